/**
 * Puts a configuration to use: ids for its names, the keys as they are stored, the snapshot, and the data plane that
 * takes it or refuses it. What was refused leaves nothing behind but ids, which are never given to another name.
 */

import type { Snapshot } from '../bridge/generated/snapshot.js';
import type { Config } from '../config/config.js';
import type { Activate, Activation, Refusal } from '../config/manager.js';
import type { CredentialSource } from '../governance/credential-source.js';
import type { KeyRepository, LabelRepository, VirtualKeyRow } from '../governance/ports.js';
import { compileSnapshot } from './compile.js';
import { configKeyRows } from './keys.js';
import { LabelIds, labelsOf } from './labels.js';
import { modelViews, providerViews } from './views.js';

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
  readonly store: KeyRepository & LabelRepository;
  /** Hands the snapshot to the data plane; answers why it was refused, or null. */
  readonly apply: (snapshot: Snapshot, config: Config) => Refusal | null;
  /** Base URL of the demo provider, which is started when it is first asked for. */
  readonly demoBaseUrl: () => string;
  readonly credentials: FetchedCredentials;
  readonly now: () => number;
  /** Told when keys of the file could not be written to the store; they serve nevertheless. */
  readonly onMirrorError: (error: unknown) => void;
}

/** Makes the function that the configuration manager calls. */
export function activator(parts: ActivationParts): Activate {
  return async (config, version): Promise<Activation> => {
    const stored = await parts.store.listKeys();
    const names = labelsOf(config, { keys: stored });
    const ids = new LabelIds(names, await parts.store.labelIds(names));
    const taken = takenNames(config, stored);
    if (taken.length > 0) return { ok: false, problems: taken };

    const sources = config.providers.flatMap(({ credential }) => (credential === null ? [] : [credential]));
    await parts.credentials.prepare(sources);
    const demoBaseUrl = usesDemo(config) ? parts.demoBaseUrl() : null;
    const fetched = fetchedSecrets(config, parts.credentials);
    const snapshot = compileSnapshot({ config, keys: stored, ids, version, demoBaseUrl, fetched });
    const refusal = parts.apply(snapshot, config);
    if (refusal !== null) return { ok: false, problems: [refusal] };
    parts.credentials.retain(sources);

    await mirrorKeys(parts, configKeyRows(config, ids, parts.now()), stored);
    return { ok: true, providers: providerViews(config, ids), models: modelViews(config, ids) };
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

function takenNames(config: Config, stored: readonly VirtualKeyRow[]): Refusal[] {
  const live = stored.filter(({ source, revokedAt }) => source === 'api' && revokedAt === null);
  const names = new Set(live.map(({ name }) => name));
  return config.keys.flatMap(({ name }, at): Refusal[] => {
    if (!names.has(name)) return [];
    const message = `found the name ${JSON.stringify(name)}, which a key made by the admin API or "sluice keys" has`;
    return [{ path: ['keys', at, 'name'], code: 'duplicate_name', message }];
  });
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
  const parts = keys.map(({ id, name, digests, models, limits, hint }) => {
    const { requestsPerMinute, tokensPerMinute, concurrency } = limits;
    const accepted = digests.map(({ sha256, expiresAt }) => [sha256, expiresAt]);
    return [id, name, accepted, models, requestsPerMinute, tokensPerMinute, concurrency, hint];
  });
  return JSON.stringify(parts.toSorted(([a], [b]) => Number(a) - Number(b)));
}
