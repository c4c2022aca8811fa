/**
 * Settings of entities and keys as JSON, for a store: rules in the form they are written in, so that what is stored can be
 * read by whoever knows the configuration file.
 */

import type { AllowList } from './allow-list.js';
import type { EntitySettings, KeyScope, Metadata } from './entity.js';
import { meterKind, type MeterRule } from './meter-rule.js';
import {
  readBudget,
  readRateLimit,
  writeRule,
  type WrittenBudget,
  type WrittenRateLimit,
} from './meter-text.js';

interface StoredRules {
  readonly budgets?: readonly WrittenBudget[];
  readonly rate_limits?: readonly WrittenRateLimit[];
}

interface StoredEntity extends StoredRules {
  readonly models?: readonly string[];
  readonly providers?: readonly string[];
  readonly routes?: readonly string[];
  readonly metadata?: Metadata;
  readonly disabled?: boolean;
}

interface StoredScope extends StoredRules {
  readonly tags?: readonly string[];
  readonly providers?: readonly string[];
  readonly routes?: readonly string[];
  readonly networks?: readonly string[];
  readonly metadata?: Metadata;
}

/** Settings of an entity but for what it belongs to. */
export function entityToJson(settings: Omit<EntitySettings, 'parent'>): string {
  const { models, providers, routes, metadata, disabled } = settings;
  return JSON.stringify({
    ...listed('models', models),
    ...listed('providers', providers),
    ...listed('routes', routes),
    ...rulesToJson(settings.rules),
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(disabled && { disabled }),
  } satisfies StoredEntity);
}

/** The same back. Throws for a text that this version cannot have written. */
export function entityFromJson(text: string): Omit<EntitySettings, 'parent'> {
  const stored = JSON.parse(text) as StoredEntity;
  return {
    models: stored.models ?? null,
    providers: stored.providers ?? null,
    routes: stored.routes ?? null,
    rules: rulesFromJson(stored),
    metadata: stored.metadata ?? {},
    disabled: stored.disabled ?? false,
  };
}

/** What a key is narrowed to, but for its owner. */
export function scopeToJson(scope: Omit<KeyScope, 'owner'>): string {
  const { tags, providers, routes, networks, metadata } = scope;
  return JSON.stringify({
    ...(tags.length > 0 && { tags }),
    ...listed('providers', providers),
    ...listed('routes', routes),
    ...(networks.length > 0 && { networks }),
    ...rulesToJson(scope.rules),
    ...(Object.keys(metadata).length > 0 && { metadata }),
  } satisfies StoredScope);
}

/** The same back. */
export function scopeFromJson(text: string): Omit<KeyScope, 'owner'> {
  const stored = JSON.parse(text) as StoredScope;
  return {
    tags: stored.tags ?? [],
    providers: stored.providers ?? null,
    routes: stored.routes ?? null,
    networks: stored.networks ?? [],
    rules: rulesFromJson(stored),
    metadata: stored.metadata ?? {},
  };
}

/** Rules in the form they are written in. */
export function rulesToJson(rules: readonly MeterRule[]): StoredRules {
  const budgets = rules.filter((rule) => meterKind(rule) === 'budget').map(writeRule) as WrittenBudget[];
  const limits = rules.filter((rule) => meterKind(rule) !== 'budget').map(writeRule) as WrittenRateLimit[];
  return {
    ...(budgets.length > 0 && { budgets }),
    ...(limits.length > 0 && { rate_limits: limits }),
  };
}

function rulesFromJson({ budgets = [], rate_limits: limits = [] }: StoredRules): MeterRule[] {
  const read = [...budgets.map(readBudget), ...limits.map(readRateLimit)];
  return read.map(({ rule, problems }) => {
    if (rule !== null) return rule;
    const [first] = problems;
    throw new TypeError(`a stored limit cannot be read: found ${first?.found}, expected ${first?.expected}`);
  });
}

function listed<K extends string>(name: K, list: AllowList): { readonly [key in K]?: readonly string[] } {
  return (list === null ? {} : { [name]: list }) as { readonly [key in K]?: readonly string[] };
}
