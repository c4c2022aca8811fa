/**
 * Virtual keys as the data plane takes them: with the allow lists and the meters of all that they belong to. A key whose
 * owner is disabled is left out, so that it is refused like one that does not exist.
 */

import type { KeyLimits as SnapshotLimits, VirtualKey } from '../bridge/generated/snapshot.js';
import type { Config } from '../config/config.js';
import { intersect } from '../governance/allow-list.js';
import { allowedBy, type Entities, type KeyScope } from '../governance/entity.js';
import type { KeyLimits, VirtualKeyRow } from '../governance/ports.js';
import { configKeyLabel, type LabelIds } from './labels.js';
import { entityOwner, keyOwner, meterIds } from './meters.js';

/** The keys of the file as rows, as lists and the store's mirror show them. */
export function configKeyRows(config: Config, ids: LabelIds, now: number): VirtualKeyRow[] {
  return config.keys.map((key) => ({
    ...key,
    id: ids.id('key', configKeyLabel(key.name)),
    revokedAt: null,
    source: 'config',
    createdAt: now,
  }));
}

/** Keys of the store that are in use: those it mirrors from a file are left out in favour of the file's own. */
export function liveKeys(stored: readonly VirtualKeyRow[]): VirtualKeyRow[] {
  return stored.filter(({ source, revokedAt }) => source === 'api' && revokedAt === null);
}

/** Keys of the file first, then those of the store by id. A secret leads to one key: the file's, where both have it. */
export function compileKeys(
  config: Config,
  stored: readonly VirtualKeyRow[],
  entities: Entities,
  ids: LabelIds,
): VirtualKey[] {
  const declared = configKeyRows(config, ids, 0);
  const taken = new Set(declared.flatMap(({ digests }) => digests.map(({ sha256 }) => sha256)));
  const others = liveKeys(stored)
    .map((key) => ({ ...key, digests: key.digests.filter(({ sha256 }) => !taken.has(sha256)) }))
    .map((key) => ({ ...key, limits: { ...config.keyDefaults, ...key.limits } }))
    .toSorted((a, b) => a.id - b.id);
  const bounds = new Bounds(entities, ids);
  return [...declared, ...others].flatMap((key) => keyOf(key, bounds.of(key), ids));
}

/** What holds for every key with the same owner and the same tags. */
interface Bound extends ReturnType<typeof allowedBy> {
  /** False where such keys are refused. */
  readonly open: boolean;
  readonly meters: readonly number[];
}

/** Thousands of keys belong to a few teams: what holds for all of a team is worked out once. */
class Bounds {
  private readonly known = new Map<string, Bound>();

  constructor(
    private readonly entities: Entities,
    private readonly ids: LabelIds,
  ) {}

  of({ owner, tags }: Pick<KeyScope, 'owner' | 'tags'>): Bound {
    const entry = JSON.stringify([owner?.kind, owner?.name, tags]);
    const known = this.known.get(entry);
    if (known !== undefined) return known;
    const { owners, tags: found, open } = this.entities.chain(owner, tags);
    const links = [...owners, ...found];
    const meters = links.flatMap((link) => meterIds(entityOwner(link), this.ids));
    const bound = { ...allowedBy(links), open, meters };
    this.known.set(entry, bound);
    return bound;
  }
}

function keyOf(key: VirtualKeyRow, bound: Bound, ids: LabelIds): VirtualKey[] {
  if (!bound.open) return [];
  const models = intersect(key.models, bound.models) ?? key.models;
  const providers = intersect(key.providers, bound.providers);
  const routes = intersect(key.routes, bound.routes);
  const meters = [...meterIds(keyOwner(key), ids), ...bound.meters];
  const compiled = {
    id: key.id,
    name: key.name,
    digests: key.digests.map(({ sha256, expiresAt }) => ({
      sha256,
      ...(expiresAt !== null && { expires_at_ms: expiresAt }),
    })),
    models: [...models],
    ...(providers !== null && { providers: [...providers] }),
    ...(routes !== null && { routes: [...routes] }),
    ...(key.networks.length > 0 && { networks: [...key.networks] }),
    limits: limitsOf(key.limits),
    ...(meters.length > 0 && { meters }),
  };
  return [compiled];
}

function limitsOf(limits: KeyLimits): SnapshotLimits {
  return {
    ...(limits.requestsPerMinute !== undefined && { requests_per_minute: limits.requestsPerMinute }),
    ...(limits.tokensPerMinute !== undefined && { tokens_per_minute: limits.tokensPerMinute }),
    ...(limits.concurrency !== undefined && { concurrency: limits.concurrency }),
  };
}
