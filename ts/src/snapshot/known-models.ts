/**
 * What the catalogue of models adds to a configuration: facts about models, and what is special about each at the
 * provider it is asked of.
 *
 * The name at the provider is known only for targets that spell it out. So that a pattern (`claude-*`) serves the models
 * it stands for with their own bounds, quirks and prices, the snapshot has those that are known besides, each with the id
 * of the pattern: to reports and limits they are the pattern. Their targets have ids of their own, by which records tell
 * what was asked for.
 */

import type { ModelInfo, Target } from '../bridge/generated/snapshot.js';
import type { Config, ModelConfig, ProviderConfig, TargetConfig } from '../config/config.js';
import { covers, isPattern } from '../governance/name-pattern.js';
import { pricedModels } from '../prices/index.js';
import { chatModels, makerOf, modelFacts, modelQuirks, type ModelFacts } from '../providers/models.js';

/** Dialects whose requests depend on the model they are for. */
const BY_MODEL: ReadonlySet<string> = new Set(['anthropic', 'gemini', 'vertex', 'bedrock']);

/** Stands for what the star of a pattern matched. */
export const STAR = '*';

/** What is known of a target's model at its provider; null where its name is not known. */
export function targetFacts(
  { upstreamModel, maxOutputTokens }: TargetConfig,
  provider: ProviderConfig | undefined,
): Pick<Target, 'quirks' | 'max_output_tokens'> {
  const named = upstreamModel !== null && upstreamModel !== STAR;
  const quirks = named && provider !== undefined ? modelQuirks(provider.dialect, upstreamModel) : [];
  const known = named && provider !== undefined ? modelFacts(provider, upstreamModel) : undefined;
  const most = maxOutputTokens ?? known?.maxOutputTokens ?? null;
  return {
    ...(quirks.length > 0 && { quirks }),
    ...(most !== null && { max_output_tokens: most }),
  };
}

/** What is known of a model, by the first of its targets of which anything is. */
export function knownFacts(
  model: ModelConfig,
  config: Config,
): (ModelFacts & { readonly name: string }) | null {
  const providers = new Map(config.providers.map((provider) => [provider.name, provider]));
  for (const { provider, upstreamModel } of model.targets) {
    const at = providers.get(provider);
    if (at === undefined || upstreamModel === null || upstreamModel === STAR) continue;
    const facts = modelFacts(at, upstreamModel);
    if (facts !== undefined) return { ...facts, name: upstreamModel };
  }
  return null;
}

/** The same for the snapshot; undefined where nothing is known. */
export function modelInfo(model: ModelConfig, config: Config): ModelInfo | undefined {
  const facts = knownFacts(model, config);
  if (facts === null) return undefined;
  const owner = makerOf(facts.name);
  return {
    ...(facts.contextWindow !== null && { context_window: facts.contextWindow }),
    ...(facts.maxOutputTokens !== null && { max_output_tokens: facts.maxOutputTokens }),
    ...(owner !== null && { owned_by: owner }),
    ...(facts.mode === 'embedding' && { embeds: true }),
  };
}

/** Known models that a pattern stands for: the pattern's model in the snapshot, and the model spelt out. */
export interface Spelt {
  readonly pattern: ModelConfig;
  readonly model: ModelConfig;
}

/** Every known model that a pattern leads to and no exact name does. */
export function speltModels(config: Config): Spelt[] {
  const taken = new Set(config.models.flatMap(({ name, aliases }) => [name, ...aliases]));
  const patterns = config.models.filter(({ name }) => isPattern(name)).toSorted(bySpecificity);
  const providers = new Map(config.providers.map((provider) => [provider.name, provider]));
  const found: Spelt[] = [];
  for (const pattern of patterns) {
    for (const name of namesBehind(pattern, providers, config)) {
      const winner = patterns.find((other) => covers(other.name, name));
      if (taken.has(name) || winner !== pattern) continue;
      taken.add(name);
      found.push({ pattern, model: spelt(pattern, name) });
    }
  }
  return found;
}

/** As the data plane has it: the longer pattern wins. */
function bySpecificity(a: ModelConfig, b: ModelConfig): number {
  return b.name.length - a.name.length;
}

/** Names that clients may ask for under a pattern whose targets are known by their models. */
function namesBehind(
  pattern: ModelConfig,
  providers: ReadonlyMap<string, ProviderConfig>,
  config: Config,
): Set<string> {
  const names = pattern.targets.flatMap(({ provider, upstreamModel }) => {
    const at = providers.get(provider);
    if (at === undefined) return [];
    const known = knownNames(at, config);
    if (upstreamModel === null) return known.filter((name) => covers(pattern.name, name));
    return upstreamModel === STAR ? known.map((name) => pattern.name.replace(STAR, () => name)) : [];
  });
  return new Set(names);
}

/** Models of a provider that are more than a name: those with facts that requests depend on, and those with a price. */
function knownNames(provider: ProviderConfig, { prices }: Config): string[] {
  const ruled = prices.filter((rule) => !isPattern(rule.model) && covers(rule.provider, provider.name));
  const facts = BY_MODEL.has(provider.dialect) ? chatModels(provider) : [];
  return [...new Set([...facts, ...pricedModels(provider), ...ruled.map(({ model }) => model)])];
}

function spelt(pattern: ModelConfig, name: string): ModelConfig {
  const at = pattern.name.indexOf(STAR);
  const star = name.slice(at, name.length - (pattern.name.length - at - 1));
  const targets = pattern.targets.map((target) => ({
    ...target,
    upstreamModel: target.upstreamModel === STAR ? star : (target.upstreamModel ?? name),
  }));
  return { name, aliases: [], targets, rules: pattern.rules };
}
