/**
 * Puts a configuration to use: ids for its names, the keys as they are stored, the snapshot, and the data plane that
 * takes it or refuses it. What was refused leaves nothing behind but ids, which are never given to another name.
 */

import type { Meter, MeterUse, Snapshot } from '../bridge/generated/snapshot.js';
import type { Config } from '../config/config.js';
import type { Activate, Activation, Refusal } from '../config/manager.js';
import type { OpenedProviderKey } from '../governance/access-ports.js';
import type { CredentialSource } from '../governance/credential-source.js';
import { Entities, wordsFor, type Entity, type EntityRef } from '../governance/entity.js';
import type {
  EntityRepository,
  EntityRow,
  KeyRepository,
  LabelName,
  LabelRepository,
  VirtualKeyRow,
} from '../governance/ports.js';
import { entityToJson, scopeToJson } from '../governance/stored-settings.js';
import { compileSnapshot } from './compile.js';
import { configKeyRows, liveKeys } from './keys.js';
import { type Governed, LabelIds, labelsOf, ruleOwners } from './labels.js';
import { compileMeters, coverage, type CoveredMeter } from './meters.js';
import { withStoredKeys } from './stored-keys.js';
import { meterViews, modelViews, providerViews } from './views.js';

/** Credentials that are fetched. */
export interface FetchedCredentials {
  /** Resolves when each has been tried. */
  prepare(sources: readonly CredentialSource[]): Promise<void>;
  secretOf(source: CredentialSource): string | null;
  /** These are in use, and no others. */
  retain(sources: readonly CredentialSource[]): void;
}

/** What activation works with. */
export interface ActivationParts {
  readonly store: KeyRepository & EntityRepository & LabelRepository;
  /** Hands the snapshot to the data plane; answers why it was refused, or null. */
  readonly apply: (snapshot: Snapshot, config: Config) => Refusal | null;
  /** Base URL of the demo provider, which is started when it is first asked for. */
  readonly demoBaseUrl: () => string;
  readonly credentials: FetchedCredentials;
  /** Keys of providers that the admin API has stored, opened with the master keys of this configuration. */
  readonly storedKeys: (config: Config) => Promise<readonly OpenedProviderKey[]>;
  /** What the open windows of meters have used up; asked once for each meter, when it is new. */
  readonly usedBefore?: (meters: readonly CoveredMeter[]) => Promise<ReadonlyMap<number, MeterUse>>;
  readonly now: () => number;
  /** Told when keys of the file could not be written to the store; they serve nevertheless. */
  readonly onMirrorError: (error: unknown) => void;
}

/** Makes the function that the configuration manager calls. */
export function activator(parts: ActivationParts): Activate {
  const labels = new KnownLabels(parts.store);
  const meters = new KnownMeters();
  return async (declared, version): Promise<Activation> => {
    const config = withStoredKeys(declared, await parts.storedKeys(declared));
    const stored = await parts.store.listKeys();
    const known = await parts.store.listEntities();
    const entities = known.filter(({ source, removedAt }) => source === 'api' && removedAt === null);
    const problems = [...takenNames(config, stored, entities), ...missingOwners(config, stored, entities)];
    if (problems.length > 0) return { ok: false, problems };
    const ids = await labels.of(labelsOf(config, { keys: stored, entities }));

    const sources = config.providers.flatMap(({ credential }) => (credential === null ? [] : [credential]));
    await parts.credentials.prepare(sources);
    const demoBaseUrl = usesDemo(config) ? parts.demoBaseUrl() : null;
    const fetched = fetchedSecrets(config, parts.credentials);
    const fresh = meters.unknown({ config, keys: stored, entities }, ids);
    const used = (await parts.usedBefore?.(fresh)) ?? new Map<number, MeterUse>();
    const snapshot = compileSnapshot({
      config,
      keys: stored,
      entities,
      ids,
      version,
      demoBaseUrl,
      fetched,
      used,
    });
    const refusal = parts.apply(snapshot, config);
    if (refusal !== null) return { ok: false, problems: [refusal] };
    meters.know(snapshot.meters ?? []);
    parts.credentials.retain(sources);

    await mirrorEntities(parts, config.entities, known);
    await mirrorKeys(parts, configKeyRows(config, ids, parts.now()), stored);
    return {
      ok: true,
      providers: providerViews(config, ids),
      models: modelViews(config, ids),
      meters: meterViews({ config, keys: stored, entities }, ids),
    };
  };
}

/** Whether the built-in demo provider is among the providers. */
export function usesDemo(config: Config): boolean {
  return config.providers.some(({ baseUrl }) => baseUrl === null);
}

function fetchedSecrets(config: Config, credentials: FetchedCredentials): ReadonlyMap<string, string> {
  const secrets = config.providers.map(({ name, credential }) => ({
    name,
    secret: credential === null ? null : credentials.secretOf(credential),
  }));
  return new Map(secrets.flatMap(({ name, secret }) => (secret === null ? [] : [[name, secret]])));
}

/** Meters that the data plane has counters for: it reads what was used before only when it makes one. */
class KnownMeters {
  private known = new Set<string>();

  /** What is new, with what it covers. */
  unknown(governed: Governed, ids: LabelIds): CoveredMeter[] {
    const { config, keys, entities } = governed;
    const fresh = compileMeters(ruleOwners(governed), ids).filter(
      ({ meter }) => !this.known.has(counter(meter)),
    );
    if (fresh.length === 0) return [];
    const others = keys.filter(({ source }) => source === 'api');
    const all = [...configKeyRows(config, ids, 0), ...others];
    return coverage(fresh, all, new Entities([...config.entities, ...entities]), ids);
  }

  know(meters: readonly Meter[]): void {
    this.known = new Set(meters.map(counter));
  }
}

/** A counter is another one when its measure or its window changes. */
function counter({ id, measure, window }: Meter): string {
  return JSON.stringify([id, measure, window]);
}

/** Ids last for good, so each is asked for once: thousands of keys have thousands of meters. */
class KnownLabels {
  private readonly ids = new Map<string, number>();

  constructor(private readonly store: LabelRepository) {}

  async of(names: readonly LabelName[]): Promise<LabelIds> {
    const entryOf = ({ kind, name }: LabelName): string => `${kind} ${name}`;
    const fresh = names.filter((name) => !this.ids.has(entryOf(name)));
    const given = fresh.length === 0 ? [] : await this.store.labelIds(fresh);
    for (const [at, name] of fresh.entries()) this.ids.set(entryOf(name), given[at] ?? 0);
    return new LabelIds(
      names,
      names.map((name) => this.ids.get(entryOf(name)) ?? 0),
    );
  }
}

function takenNames(
  config: Config,
  stored: readonly VirtualKeyRow[],
  entities: readonly Entity[],
): Refusal[] {
  return [...takenKeyNames(config, stored), ...takenEntityNames(config, entities)];
}

function takenEntityNames(config: Config, entities: readonly Entity[]): Refusal[] {
  const taken = new Set(entities.map(wordsFor));
  return config.entities.flatMap(({ kind, name }): Refusal[] => {
    if (!taken.has(wordsFor({ kind, name }))) return [];
    const message = `found the ${wordsFor({ kind, name })}, which the admin API has made as well; remove one of them`;
    return [{ path: [`${kind}s`, name], code: 'duplicate_name', message }];
  });
}

/** Most problems of one kind that are told. */
const MAX_MISSING = 10;

/** What the store has belongs to nothing that does not exist: the file cannot take its owner away. */
function missingOwners(
  config: Config,
  stored: readonly VirtualKeyRow[],
  entities: readonly Entity[],
): Refusal[] {
  const known = new Set([...config.entities, ...entities].map(wordsFor));
  const links = [
    ...entities.map((entity) => ({ words: wordsFor(entity), to: [entity.parent] })),
    ...liveKeys(stored).map((key) => ({
      words: wordsFor({ kind: 'key', name: key.name }),
      to: linksOf(key),
    })),
  ];
  const missing = links.flatMap(({ words, to }) =>
    to.flatMap((ref): Refusal[] => {
      if (ref === null || known.has(wordsFor(ref))) return [];
      const message = `found no ${wordsFor(ref)}, which the ${words} made by the admin API belongs to`;
      return [{ path: [], code: 'unknown_entity', message }];
    }),
  );
  return missing.slice(0, MAX_MISSING);
}

function linksOf({ owner, tags }: VirtualKeyRow): (EntityRef | null)[] {
  return [owner, ...tags.map((name) => ({ kind: 'tag' as const, name }))];
}

function takenKeyNames(config: Config, stored: readonly VirtualKeyRow[]): Refusal[] {
  const live = stored.filter(({ source, revokedAt }) => source === 'api' && revokedAt === null);
  const names = new Set(live.map(({ name }) => name));
  return config.keys.flatMap(({ name }, at): Refusal[] => {
    if (!names.has(name)) return [];
    const message = `found the name ${JSON.stringify(name)}, which a key made by the admin API or "sluice keys" has`;
    return [{ path: ['keys', at, 'name'], code: 'duplicate_name', message }];
  });
}

/** The store is written only when the entities of the file differ from those it has. */
async function mirrorEntities(
  parts: ActivationParts,
  declared: readonly Entity[],
  stored: readonly EntityRow[],
): Promise<void> {
  const mirrored = stored.filter(({ source, removedAt }) => source === 'config' && removedAt === null);
  if (entityFingerprint(mirrored) === entityFingerprint(declared)) return;
  const now = parts.now();
  const rows = declared.map((entity) => ({ ...entity, createdAt: now, updatedAt: now, removedAt: null }));
  try {
    await parts.store.mirrorConfigEntities(rows, now);
  } catch (error) {
    parts.onMirrorError(error);
  }
}

function entityFingerprint(entities: readonly Entity[]): string {
  const parts = entities.map((entity) =>
    JSON.stringify([wordsFor(entity), entity.parent, entityToJson(entity)]),
  );
  return parts.toSorted((a, b) => a.localeCompare(b)).join();
}

/** The store is written only when the keys of the file differ from those it has. */
async function mirrorKeys(
  parts: ActivationParts,
  declared: readonly VirtualKeyRow[],
  stored: readonly VirtualKeyRow[],
): Promise<void> {
  const mirrored = stored.filter(({ source, revokedAt }) => source === 'config' && revokedAt === null);
  if (fingerprint(mirrored) === fingerprint(declared)) return;
  try {
    await parts.store.mirrorConfigKeys(declared, parts.now());
  } catch (error) {
    parts.onMirrorError(error);
  }
}

function fingerprint(keys: readonly VirtualKeyRow[]): string {
  const parts = keys.map(({ id, name, digests, models, limits, hint, ...scope }) => {
    const { requestsPerMinute, tokensPerMinute, concurrency } = limits;
    const accepted = digests.map(({ sha256, expiresAt }) => [sha256, expiresAt]);
    return [
      id,
      name,
      accepted,
      models,
      requestsPerMinute,
      tokensPerMinute,
      concurrency,
      hint,
      scope.owner,
      scopeToJson(scope),
    ];
  });
  return JSON.stringify(parts.toSorted(([a], [b]) => Number(a) - Number(b)));
}
