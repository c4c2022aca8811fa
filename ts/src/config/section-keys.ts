/** Reads `keys`, the virtual keys declared in the file. */

import { digestOf, hintOf } from '../governance/key-secret.js';
import { OWNER_KINDS, type KeyScope } from '../governance/entity.js';
import { normalNetwork } from '../governance/network.js';
import type { KeyDigest, KeyLimits } from '../governance/ports.js';
import type { DeclaredKey } from './config.js';
import { parseMoment } from './scalars.js';
import type { RawKeyLimits, RawVirtualKey } from './schema.js';
import { checkModelList, checkProviderList } from './section-allow.js';
import { checkDeclared, readOwner, type Served } from './section-entities.js';
import { readRules } from './section-rules.js';
import { checkHeaderText, section, warnOfPlainSecret, type Reading } from './section.js';
import { quoteName, type DocumentPath } from './wording.js';

/** Shortest secret of a virtual key, in characters: random ones of this length carry 100 bits or more. */
export const MIN_SECRET_CHARACTERS = 20;

/** Every key that can be read, with the defaults of `limits.per_key` filled in. */
export function readKeys(reading: Reading, served: Served): { keys: DeclaredKey[]; keyDefaults: KeyLimits } {
  const limits = reading.problems.isBroken(['limits', 'per_key'])
    ? undefined
    : section(reading, 'limits')?.per_key;
  const keyDefaults = keyLimits(limits, {});
  const keys = (section(reading, 'keys') ?? []).flatMap((raw, at) => {
    const path = ['keys', at];
    return reading.problems.isBroken(path) ? [] : [readKey(reading, raw, keyDefaults, served, path)];
  });
  checkUnique(reading, keys);
  return { keys, keyDefaults };
}

function readKey(
  reading: Reading,
  raw: RawVirtualKey,
  defaults: KeyLimits,
  served: Served,
  path: DocumentPath,
): DeclaredKey {
  const { problems } = reading;
  if (raw.name.trim() !== raw.name || /\p{Cc}/u.test(raw.name)) {
    problems.error(
      { path: [...path, 'name'] },
      'bad_name',
      'found spaces around the name or control characters in it',
    );
  }
  checkModelList(reading, raw.models ?? [], served.models, path);
  const digests = [readDigest(reading, raw, path), readPrevious(reading, raw.previous, path)];
  return {
    name: raw.name,
    digests: digests.filter((digest) => digest !== null),
    models: raw.models ?? ['*'],
    limits: keyLimits(raw.limits, defaults),
    hint: raw.secret === undefined ? '' : hintOf(raw.secret),
    ...readScope(reading, raw, served, path),
  };
}

function readScope(reading: Reading, raw: RawVirtualKey, served: Served, path: DocumentPath): KeyScope {
  checkProviderList(reading, raw.providers ?? [], served.providers, path);
  const tags = [...new Set(raw.tags ?? [])];
  for (const [at, name] of tags.entries())
    checkDeclared(reading, { kind: 'tag', name }, [...path, 'tags', at]);
  return {
    owner: readOwner(reading, raw.owner ?? {}, OWNER_KINDS, [...path, 'owner']),
    tags,
    providers: raw.providers ?? null,
    routes: raw.routes ?? null,
    networks: (raw.networks ?? []).map(normalNetwork),
    rules: readRules(reading, raw, path),
    metadata: raw.metadata ?? {},
  };
}

function readPrevious(
  reading: Reading,
  raw: RawVirtualKey['previous'],
  path: DocumentPath,
): KeyDigest | null {
  return raw === undefined ? null : readDigest(reading, raw, [...path, 'previous']);
}

type RawSecret = Pick<RawVirtualKey, 'secret' | 'sha256' | 'expires_at'>;

function readDigest(reading: Reading, raw: RawSecret, path: DocumentPath): KeyDigest | null {
  const expiresAt = raw.expires_at === undefined ? null : parseMoment(raw.expires_at);
  if (expiresAt !== null && expiresAt <= reading.surroundings.now) {
    reading.problems.warning(
      { path: [...path, 'expires_at'] },
      'expired',
      'found a time that has passed: this secret is no longer accepted',
    );
  }
  if (raw.secret === undefined && raw.sha256 !== undefined)
    return { sha256: raw.sha256.toLowerCase(), expiresAt };
  if (raw.secret !== undefined && raw.sha256 === undefined) {
    checkSecret(reading, raw.secret, [...path, 'secret']);
    return { sha256: digestOf(raw.secret), expiresAt };
  }
  const found = raw.secret === undefined ? 'neither secret nor sha256' : 'both secret and sha256';
  reading.problems.error({ path }, 'one_secret', `found ${found}, expected one of them`);
  return null;
}

function checkSecret(reading: Reading, secret: string, path: DocumentPath): void {
  warnOfPlainSecret(reading, path);
  checkHeaderText(secret, path, 'the secret', reading.problems);
  if (secret.length >= MIN_SECRET_CHARACTERS) return;
  const message = `found a secret of ${secret.length} characters, expected at least ${MIN_SECRET_CHARACTERS} random ones`;
  reading.problems.error({ path }, 'short_secret', message);
}

function keyLimits(raw: RawKeyLimits | undefined, defaults: KeyLimits): KeyLimits {
  const pick = <K extends keyof KeyLimits>(
    name: K,
    written: number | 'unlimited' | undefined,
  ): Pick<KeyLimits, K> | object => {
    if (written === 'unlimited') return {};
    const value = written ?? defaults[name];
    return value === undefined ? {} : { [name]: value };
  };
  return {
    ...pick('requestsPerMinute', raw?.requests_per_minute),
    ...pick('tokensPerMinute', raw?.tokens_per_minute),
    ...pick('concurrency', raw?.concurrency),
  };
}

function checkUnique(reading: Reading, keys: readonly DeclaredKey[]): void {
  const names = new Map<string, number>();
  const digests = new Set<string>();
  for (const [at, key] of keys.entries()) {
    const path = ['keys', at];
    if (names.has(key.name)) {
      reading.problems.error(
        { path: [...path, 'name'] },
        'duplicate_name',
        `found the name ${quoteName(key.name)} twice, expected it once`,
      );
    }
    names.set(key.name, at);
    for (const { sha256 } of key.digests) {
      if (digests.has(sha256))
        reading.problems.error(
          { path },
          'duplicate_secret',
          'found the same secret twice, expected every secret once',
        );
      digests.add(sha256);
    }
  }
}
