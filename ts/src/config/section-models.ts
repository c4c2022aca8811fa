/** Reads `models`, or serves every model of the providers where the file has no such section. */

import { isPattern } from '../governance/name-pattern.js';
import { catalogueRow } from '../providers/catalogue.js';
import type { ModelConfig, ProviderConfig, TargetConfig } from './config.js';
import { DEFAULTS } from './defaults.js';
import type { RawModel, RawTarget } from './schema-routing.js';
import { readRules } from './section-rules.js';
import { section, type Reading } from './section.js';
import { listChoices, quoteName, suggestion, type DocumentPath } from './wording.js';

/** The model that the built-in demo provider is asked for. */
const DEMO_MODEL = 'demo';

/** Stands for what the star of a pattern matched. */
const STAR = '*';

/** Every model that can be read. */
export function readModels(
  reading: Reading,
  providers: readonly ProviderConfig[],
  known: ReadonlySet<string> | null,
): ModelConfig[] {
  if (reading.raw.models === undefined) return defaultModels(providers);
  const entries = Object.entries(section(reading, 'models') ?? {});
  if (entries.length === 0 && !reading.problems.isBroken(['models'])) {
    reading.problems.error(
      { path: ['models'] },
      'no_models',
      'found no model, expected at least one, or no models section to serve all',
    );
  }
  const models = entries.flatMap(([name, entry]) => {
    const path = ['models', name];
    return reading.problems.isBroken(path) ? [] : [readModel(reading, name, entry, known)];
  });
  checkNames(reading, models);
  return models;
}

/**
 * With no `models` section: `PROVIDER/MODEL` for every provider; the provider's own families of names, so that `gpt-4o`
 * goes to OpenAI whatever else there is; and every other name where there is only one provider it can mean. The built-in
 * demo provider's model is named besides, for lists of models leave patterns out.
 */
export function defaultModels(providers: readonly ProviderConfig[]): ModelConfig[] {
  const prefixed = providers.map(({ name }) => single(`${name}/*`, name, STAR));
  const families = providers.flatMap(({ name }) =>
    (catalogueRow(name)?.families ?? []).map((family) => single(family, name, null)),
  );
  const only = providers.length === 1 ? providers.map(({ name }) => single(STAR, name, null)) : [];
  const demo = providers
    .filter(({ baseUrl }) => baseUrl === null)
    .map(({ name }) => single(DEMO_MODEL, name, null));
  return [...prefixed, ...families, ...only, ...demo];
}

function single(name: string, provider: string, upstreamModel: string | null): ModelConfig {
  return {
    name,
    aliases: [],
    targets: [
      { provider, upstreamModel, weight: DEFAULTS.weight, tier: DEFAULTS.tier, maxOutputTokens: null },
    ],
    rules: [],
  };
}

function readModel(
  reading: Reading,
  name: string,
  raw: RawModel,
  known: ReadonlySet<string> | null,
): ModelConfig {
  const path = ['models', name];
  const entries: [string | RawTarget, DocumentPath][] =
    typeof raw === 'string'
      ? [[raw, path]]
      : raw.targets.map((target, at) => [target, [...path, 'targets', at]]);
  const targets = entries.map(([target, place]) => readTarget(reading, name, target, place, known));
  checkWeights(reading, targets, path);
  return {
    name,
    aliases: typeof raw === 'string' ? [] : (raw.aliases ?? []),
    targets: targets.toSorted((a, b) => a.tier - b.tier),
    rules: typeof raw === 'string' ? [] : readRules(reading, raw, path),
  };
}

function readTarget(
  reading: Reading,
  model: string,
  raw: string | RawTarget,
  path: DocumentPath,
  known: ReadonlySet<string> | null,
): TargetConfig {
  const target = typeof raw === 'string' ? splitTarget(raw) : raw;
  const { problems } = reading;
  if (known !== null && !known.has(target.provider)) {
    const names = [...known];
    const place = typeof raw === 'string' ? path : [...path, 'provider'];
    const message = `found the provider ${quoteName(target.provider)}, expected ${listChoices(names)}${suggestion(target.provider, names)}`;
    problems.error({ path: place }, 'unknown_provider', message);
  }
  checkStar(reading, model, target.model, typeof raw === 'string' ? path : [...path, 'model']);
  return {
    provider: target.provider,
    upstreamModel: upstreamName(model, target.model),
    weight: target.weight ?? DEFAULTS.weight,
    tier: target.tier ?? DEFAULTS.tier,
    maxOutputTokens: target.max_output_tokens ?? null,
  };
}

/** `provider/model`; the model may contain further slashes, the provider may stand alone. */
function splitTarget(text: string): RawTarget {
  const slash = text.indexOf('/');
  if (slash < 0) return { provider: text };
  return { provider: text.slice(0, slash), model: text.slice(slash + 1) };
}

/** An exact name is spelt out, so that its aliases reach the provider under it too; a pattern keeps the name asked for. */
function upstreamName(model: string, written: string | undefined): string | null {
  return written ?? (isPattern(model) ? null : model);
}

function checkStar(
  { problems }: Reading,
  model: string,
  written: string | undefined,
  path: DocumentPath,
): void {
  if (written === undefined || !written.includes(STAR)) return;
  if (!isPattern(model)) {
    problems.error(
      { path },
      'star_without_pattern',
      'found * in a target of a model whose own name has none, expected the name at the provider',
    );
  } else if (written !== STAR) {
    problems.error(
      { path },
      'partial_star',
      'found * beside other characters, expected * alone, which stands for what the star of the pattern matched',
    );
  }
}

function checkWeights({ problems }: Reading, targets: readonly TargetConfig[], path: DocumentPath): void {
  if (targets.every(({ weight }) => weight === 0)) {
    problems.error(
      { path },
      'no_target_in_use',
      'found only targets of weight 0, expected at least one in use',
    );
    return;
  }
  for (const tier of new Set(targets.map((target) => target.tier))) {
    const inTier = targets.filter((target) => target.tier === tier);
    if (inTier.every(({ weight }) => weight === 0)) {
      problems.warning(
        { path },
        'unused_tier',
        `found only targets of weight 0 in tier ${tier}, which is never used`,
      );
    }
  }
}

/** Every exact name leads to one model. */
function checkNames({ problems }: Reading, models: readonly ModelConfig[]): void {
  const owner = new Map(models.filter(({ name }) => !isPattern(name)).map(({ name }) => [name, name]));
  for (const model of models) {
    for (const [at, alias] of model.aliases.entries()) {
      const other = owner.get(alias);
      if (other === undefined) {
        owner.set(alias, model.name);
        continue;
      }
      const whose = other === model.name ? 'this model has already' : `the model ${quoteName(other)} has`;
      const message = `found the alias ${quoteName(alias)}, a name that ${whose}; expected every name once`;
      problems.error({ path: ['models', model.name, 'aliases', at] }, 'duplicate_alias', message);
    }
  }
}
