/** The names that need stable ids, and how ids are looked up. */

import type { Config, ModelConfig, TargetConfig } from '../config/config.js';
import type { Entity } from '../governance/entity.js';
import type { LabelKind, LabelName, VirtualKeyRow } from '../governance/ports.js';
import { configOwners, entityOwner, keyOwner, meterLabels, type RuleOwner } from './meters.js';
import { pricesVersion } from '../prices/index.js';
import { speltModels, STAR, type Spelt } from './known-models.js';

/** Ids by kind and name; throws for a name that was never asked for. */
export class LabelIds {
  private readonly ids: ReadonlyMap<string, number>;

  /** The names and their ids, in the same order. */
  constructor(names: readonly LabelName[], ids: readonly number[]) {
    this.ids = new Map(names.map(({ kind, name }, at) => [entry(kind, name), ids[at] ?? 0]));
  }

  id(kind: LabelKind, name: string): number {
    const id = this.ids.get(entry(kind, name)) ?? 0;
    if (id === 0) throw new RangeError(`no id for the ${kind} ${JSON.stringify(name)}`);
    return id;
  }
}

/** Who there is besides the configuration: what the store has. */
export interface Governed {
  readonly config: Config;
  readonly keys: readonly VirtualKeyRow[];
  readonly entities: readonly Entity[];
}

/** All that has budgets and rate limits. */
export function ruleOwners({ config, keys, entities }: Governed): RuleOwner[] {
  return [
    ...config.entities.map(entityOwner),
    ...entities.map(entityOwner),
    ...config.keys.map((key) => keyOwner({ ...key, id: 0, source: 'config', revokedAt: null, createdAt: 0 })),
    ...keys.filter(({ source, revokedAt }) => source === 'api' && revokedAt === null).map(keyOwner),
    ...configOwners(config),
  ];
}

/** Every name that records, metrics and meters refer to, without the keys of the store, which have ids of their own. */
export function labelsOf(config: Config, others: Partial<Omit<Governed, 'config'>> = {}): LabelName[] {
  const { keys = [], entities = [] } = others;
  const names = [...config.entities, ...entities].map(({ kind, name }): LabelName => ({ kind, name }));
  return [...configLabels(config), ...names, ...meterLabels(ruleOwners({ config, keys, entities }))];
}

function configLabels(config: Config): LabelName[] {
  const providers = config.providers.flatMap(({ name, keys }): LabelName[] => [
    { kind: 'provider', name },
    ...keys.map((key): LabelName => ({ kind: 'provider_key', name: providerKeyLabel(name, key.name) })),
  ]);
  const models = config.models.flatMap((model): LabelName[] => [
    { kind: 'model', name: model.name },
    ...targetLabels(model).map((name): LabelName => ({ kind: 'target', name })),
  ]);
  const spelt = speltModels(config).flatMap((one) =>
    speltTargetLabels(one).map((name): LabelName => ({ kind: 'target', name })),
  );
  return [
    ...providers,
    ...models,
    ...spelt,
    ...config.keys.map((key): LabelName => ({ kind: 'key', name: configKeyLabel(key.name) })),
    { kind: 'prices', name: pricesVersion(config.prices) },
  ];
}

/** Label of one key of a provider. */
export function providerKeyLabel(provider: string, key: string): string {
  return `${provider}/${key}`;
}

/** Label of a virtual key declared in the file; those of the store have labels of their own. */
export function configKeyLabel(name: string): string {
  return `config:${name}`;
}

/**
 * Labels of a model's targets, in their order. Weight and tier are not part of one, so that shifting traffic keeps the
 * id; a second target of the same name gets a number.
 */
export function targetLabels(model: ModelConfig): string[] {
  const seen = new Map<string, number>();
  return model.targets.map((target) => {
    const label = `${model.name} -> ${targetName(target)}`;
    const nth = (seen.get(label) ?? 0) + 1;
    seen.set(label, nth);
    return nth === 1 ? label : `${label} #${nth}`;
  });
}

/**
 * Labels of the targets of a model that a pattern stands for: those of the pattern, and the model's name at the provider
 * where the pattern leaves it open. A record that has one tells which model was asked, and so what it costs.
 */
export function speltTargetLabels({ pattern, model }: Spelt): string[] {
  return targetLabels(pattern).map((label, at) => {
    const { upstreamModel } = pattern.targets[at] ?? { upstreamModel: null };
    const isOpen = upstreamModel === null || upstreamModel === STAR;
    return isOpen ? `${label} (${model.targets[at]?.upstreamModel})` : label;
  });
}

function targetName({ provider, upstreamModel }: TargetConfig): string {
  return upstreamModel === null ? provider : `${provider}/${upstreamModel}`;
}

function entry(kind: LabelKind, name: string): string {
  return `${kind}\0${name}`;
}
