/**
 * Budgets and rate limits as the data plane takes them: one list of meters, and for each key, model, provider and
 * provider key the ids of those that hold for it. Who belongs to whom is resolved here, once per snapshot, so that a
 * request only has a list to walk.
 */

import type { Meter, Window } from '../bridge/generated/snapshot.js';
import type { Config } from '../config/config.js';
import { wordsFor, type Entities, type Entity } from '../governance/entity.js';
import { meterKind, type Measure, type MeterRule } from '../governance/meter-rule.js';
import type { MeterWindow } from '../governance/meter-window.js';
import type { LabelName, VirtualKeyRow } from '../governance/ports.js';
import type { LabelIds } from './labels.js';

/** Anything that has rules. */
export interface RuleOwner {
  readonly kind: string;
  /** As clients are told it. */
  readonly name: string;
  /** What it is known by for good: a key of the store by its id, everything else by its name. */
  readonly identity: string;
  readonly rules: readonly MeterRule[];
}

/** A meter and where it comes from. */
export interface CompiledMeter {
  readonly meter: Meter;
  readonly owner: RuleOwner;
  readonly rule: MeterRule;
}

/** Names of the meters of these owners, for ids. */
export function meterLabels(owners: readonly RuleOwner[]): LabelName[] {
  return owners.flatMap((owner) =>
    owner.rules.map((rule) => ({ kind: 'meter', name: labelOf(rule, owner) })),
  );
}

/** Ids of an owner's meters. */
export function meterIds(owner: RuleOwner, ids: LabelIds): number[] {
  return owner.rules.map((rule) => ids.id('meter', labelOf(rule, owner)));
}

/** The meters of these owners. */
export function compileMeters(owners: readonly RuleOwner[], ids: LabelIds): CompiledMeter[] {
  return owners.flatMap((owner) =>
    owner.rules.map((rule) => ({ meter: meterOf(rule, owner, ids), owner, rule })),
  );
}

/** An entity as the owner of its rules. */
export function entityOwner({ kind, name, rules }: Entity): RuleOwner {
  return { kind, name, identity: name, rules };
}

/** A virtual key likewise. Those of the file keep their counters by their name, those of the store through a new name. */
export function keyOwner({ id, name, source, rules }: VirtualKeyRow): RuleOwner {
  return { kind: 'key', name, identity: source === 'config' ? `config:${name}` : String(id), rules };
}

/** Models, providers and provider keys of a configuration. */
export function configOwners(config: Config): RuleOwner[] {
  return [
    ...config.models.map(({ name, rules }) => modelOwner(name, rules)),
    ...config.providers.flatMap(({ name, rules, keys }) => [
      providerOwner(name, rules),
      ...keys.map((key) => providerKeyOwner(`${name}/${key.name}`, key.rules)),
    ]),
  ];
}

export function modelOwner(name: string, rules: readonly MeterRule[]): RuleOwner {
  return { kind: 'model', name, identity: name, rules };
}

export function providerOwner(name: string, rules: readonly MeterRule[]): RuleOwner {
  return { kind: 'provider', name, identity: name, rules };
}

/** A key of a provider by its label, `openai/main`. */
export function providerKeyOwner(label: string, rules: readonly MeterRule[]): RuleOwner {
  return { kind: 'provider key', name: label, identity: label, rules };
}

/** As `budget usd/month of team search`. Names of rules have no spaces, so that no two labels are the same by chance. */
function labelOf(rule: MeterRule, { kind, identity }: RuleOwner): string {
  return `${meterKind(rule)} ${rule.name} of ${kind} ${identity}`;
}

function meterOf(rule: MeterRule, owner: RuleOwner, ids: LabelIds): Meter {
  return {
    id: ids.id('meter', labelOf(rule, owner)),
    name: `${KIND_WORDS[meterKind(rule)]} ${JSON.stringify(rule.name)} of ${wordsFor(owner)}`,
    measure: measureOf(rule.measure),
    limit: rule.limit,
    window: windowOf(rule.window),
    mode: rule.mode,
    refusal: REFUSALS[rule.status],
  };
}

const KIND_WORDS = { budget: 'budget', rate_limit: 'rate limit' } as const;

const REFUSALS = { 429: 'too_many_requests', 402: 'payment_required', 400: 'budget_exceeded' } as const;

function measureOf(measure: Measure): Meter['measure'] {
  return 'weights' in measure ? { kind: 'tokens', weights: { ...measure.weights } } : { kind: measure.kind };
}

/** The window in the data plane's terms. Fixed windows are counted from the beginning of 1970. */
function windowOf(window: MeterWindow): Window {
  if (window.kind === 'ever') return { kind: 'ever' };
  if (window.kind === 'calendar') return { kind: 'calendar', unit: window.unit, time_zone: window.timeZone };
  const { kind, periodMs } = window;
  return kind === 'fixed' ? { kind, period_ms: periodMs, anchor_ms: 0 } : { kind, period_ms: periodMs };
}

/** Whose usage a meter counts: requests of these keys, for these models, or sent to these providers. */
export interface CoveredMeter {
  readonly meter: Meter;
  readonly of: 'key_id' | 'model_id' | 'provider_id';
  readonly ids: ReadonlySet<number>;
}

/**
 * What each meter covers, by today's owners: usage of a key counts for whom the key belongs to now. Revoked keys are among
 * them, for what they have spent is spent. Usage is not kept by the key of a provider, so its meters cover nothing.
 */
export function coverage(
  meters: readonly CompiledMeter[],
  keys: readonly VirtualKeyRow[],
  entities: Entities,
  ids: LabelIds,
): CoveredMeter[] {
  const members = new Map<string, Set<number>>();
  const join = (ref: { kind: string; name: string }, id: number): void => {
    const entry = wordsFor(ref);
    members.set(entry, (members.get(entry) ?? new Set()).add(id));
  };
  for (const { id, owner, tags } of keys) {
    const chain = entities.chain(owner, tags);
    for (const link of [...chain.owners, ...chain.tags]) join(link, id);
  }
  const byIdentity = new Map(keys.map((key) => [keyOwner(key).identity, key.id]));
  const none: ReadonlySet<number> = new Set();
  return meters.map(({ meter, owner }) => {
    if (owner.kind === 'model') return { meter, of: 'model_id', ids: new Set([ids.id('model', owner.name)]) };
    if (owner.kind === 'provider')
      return { meter, of: 'provider_id', ids: new Set([ids.id('provider', owner.name)]) };
    if (owner.kind === 'key')
      return { meter, of: 'key_id', ids: new Set([byIdentity.get(owner.identity) ?? 0]) };
    return { meter, of: 'key_id', ids: members.get(wordsFor(owner)) ?? none };
  });
}
