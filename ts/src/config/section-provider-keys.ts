/** Reads the keys of a provider. */

import { firstSet, keyVariable, keyVariables } from '../providers/catalogue.js';
import type { CatalogueRow } from '../providers/row.js';
import type { ProviderKeyConfig } from './config.js';
import { DEFAULTS } from './defaults.js';
import type { RawProvider } from './schema-routing.js';
import { checkHeaderText, warnOfPlainSecret, type Reading } from './section.js';
import { NONE, readCredentials, readServiceKey, type Credentials } from './section-credentials.js';
import { readRules } from './section-rules.js';
import type { DocumentPath } from './wording.js';

/** Amazon's variable for a key of Bedrock, which needs no signing. */
export const AWS_BEARER_VARIABLE = 'AWS_BEARER_TOKEN_BEDROCK';

/** The credentials of a provider. Every way to send one but `none` needs it. */
export function readKeys(
  reading: Reading,
  raw: RawProvider,
  row: CatalogueRow | undefined,
  auth: string,
  path: DocumentPath,
): Credentials {
  const { problems } = reading;
  if (raw.key !== undefined && raw.keys !== undefined) {
    problems.error(
      { path: [...path, 'keys'], part: 'key' },
      'two_key_settings',
      'found both key and keys, expected one of them',
    );
    return NONE;
  }
  if (auth === 'none') {
    const written = raw.key === undefined ? 'keys' : 'key';
    if (raw.key !== undefined || raw.keys !== undefined) {
      problems.error(
        { path: [...path, written] },
        'unused_key',
        'found a key, expected none since auth is none',
      );
    }
    return NONE;
  }
  if (FETCHED.has(auth)) return readFetched(reading, raw, { auth, row }, path);
  if (raw.keys !== undefined) return { ...NONE, keys: readKeyList(reading, raw.keys, [...path, 'keys']) };
  if (raw.key !== undefined) return { ...NONE, keys: oneKey(reading, raw.key, [...path, 'key']) };
  if (row === undefined && raw.base_url === undefined) return NONE; // misspelt, and reported as such
  return keyFromEnvironment(reading, row, path);
}

/** Ways of authentication that take something else than a key. */
const FETCHED: ReadonlySet<string> = new Set(['aws_sigv4', 'google_service_account', 'azure_entra', 'oauth']);

function readFetched(
  reading: Reading,
  raw: RawProvider,
  { auth, row }: { readonly auth: string; readonly row: CatalogueRow | undefined },
  path: DocumentPath,
): Credentials {
  // A token service of a known provider may take a key of that provider.
  const keyed = auth === 'oauth' && row?.tokenService?.idHeader !== undefined ? row : undefined;
  const refused = raw.keys === undefined ? 'key' : 'keys';
  const takesKey = refused === 'key' && (auth === 'google_service_account' || keyed !== undefined);
  if (!takesKey && raw[refused] !== undefined) {
    reading.problems.error(
      { path: [...path, refused] },
      'unused_key',
      `found ${refused}, expected none since auth is ${auth}`,
    );
    return NONE;
  }
  if (keyed !== undefined) return readServiceKey(reading, raw, keyed, path);
  return readCredentials(reading, raw, { auth, row }, path);
}

function oneKey(reading: Reading, secret: string, path: DocumentPath): ProviderKeyConfig[] {
  warnOfPlainSecret(reading, path);
  checkHeaderText(secret, path, 'the key', reading.problems);
  return [{ name: '1', secret, weight: DEFAULTS.weight, rules: [] }];
}

function keyFromEnvironment(
  reading: Reading,
  row: CatalogueRow | undefined,
  path: DocumentPath,
): Credentials {
  const variable = variableWithKey(reading, row);
  if (variable !== undefined) {
    const secret = (reading.surroundings.variables[variable] ?? '').trim();
    checkHeaderText(secret, path, variable, reading.problems);
    return { ...NONE, keys: [{ name: '1', secret, weight: DEFAULTS.weight, rules: [] }], foundIn: variable };
  }
  const usual = row === undefined ? undefined : keyVariables(row)[0];
  const expected =
    usual === undefined ? 'key: env:NAME, or auth: none' : `${usual} in the environment, or key: env:NAME`;
  reading.problems.error({ path, part: 'key' }, 'missing_key', `found no key, expected ${expected}`);
  return NONE;
}

function variableWithKey({ surroundings }: Reading, row: CatalogueRow | undefined): string | undefined {
  if (row === undefined) return undefined;
  if (row.auth === 'aws_sigv4') return firstSet([AWS_BEARER_VARIABLE], surroundings.variables);
  return keyVariable(row, surroundings.variables);
}

function readKeyList(
  reading: Reading,
  entries: NonNullable<RawProvider['keys']>,
  path: DocumentPath,
): ProviderKeyConfig[] {
  const keys = entries.map((entry, at) => {
    const place = [...path, at, 'key'];
    warnOfPlainSecret(reading, place);
    checkHeaderText(entry.key, place, 'the key', reading.problems);
    return {
      name: entry.name ?? String(at + 1),
      secret: entry.key,
      weight: entry.weight ?? DEFAULTS.weight,
      rules: readRules(reading, entry, [...path, at]),
    };
  });
  if (keys.every(({ weight }) => weight === 0)) {
    reading.problems.error(
      { path },
      'no_key_in_use',
      'found only keys of weight 0, expected at least one in use',
    );
  }
  for (const [at, key] of keys.entries()) {
    const earlier = keys.slice(0, at);
    const place = { path: [...path, at] };
    if (earlier.some(({ name }) => name === key.name))
      reading.problems.error(place, 'duplicate_name', 'found the name of another key of this provider');
    if (earlier.some(({ secret }) => secret === key.secret))
      reading.problems.error(place, 'duplicate_key', 'found the same key twice in this provider');
  }
  return keys;
}
