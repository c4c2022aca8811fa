/** Reads `providers`, or finds them in the environment where the file has no such section. */

import { X509Certificate } from 'node:crypto';
import { AZURE_VERSION_VARIABLES, catalogueRow, findProviders, firstSet } from '../providers/catalogue.js';
import type { CatalogueRow, Dialect } from '../providers/row.js';
import {
  DEMO_PROVIDER,
  type AuthConfig,
  type ProviderConfig,
  type ProviderTimeoutsConfig,
} from './config.js';
import { DEFAULTS } from './defaults.js';
import { parseDuration } from './scalars.js';
import type { RawProvider, RawProviderTimeouts } from './schema-routing.js';
import { readRules } from './section-rules.js';
import { section, type Reading } from './section.js';
import { readBaseUrl } from './section-address.js';
import { readPaths } from './section-paths.js';
import { signing } from './section-credentials.js';
import { AWS_BEARER_VARIABLE, readKeys } from './section-provider-keys.js';
import type { DocumentPath } from './wording.js';

/** Headers that the gateway itself sets or that belong to one connection. */
const RESERVED_HEADERS = new Set([
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Every provider that can be read. */
export function readProviders(reading: Reading): ProviderConfig[] {
  const raw = section(reading, 'providers');
  if (reading.raw.providers === undefined) return discovered(reading);
  return Object.entries(raw ?? {}).flatMap(([name, entry]) => {
    const path = ['providers', name];
    return reading.problems.isBroken(path) ? [] : [readProvider(reading, name, entry, path)];
  });
}

/** Names that targets may refer to, those of unreadable entries included; null when the section itself is unreadable. */
export function providerNames(
  reading: Reading,
  providers: readonly ProviderConfig[],
): ReadonlySet<string> | null {
  const raw = section(reading, 'providers');
  if (reading.raw.providers !== undefined && raw === undefined) return null;
  return new Set([...providers.map(({ name }) => name), ...Object.keys(raw ?? {})]);
}

function discovered(reading: Reading): ProviderConfig[] {
  const found = findProviders(reading.surroundings.variables);
  if (found.length === 0) return [readProvider(reading, DEMO_PROVIDER, {}, ['providers'])];
  return found.map((row) => readProvider(reading, row.name, {}, ['providers', row.name]));
}

/** Azure's API by deployment, as of its last version that has become general. */
const DEFAULT_API_VERSION = '2024-10-21';

function readProvider(reading: Reading, name: string, raw: RawProvider, path: DocumentPath): ProviderConfig {
  const row = rowOf(name, raw);
  const builtIn = isBuiltIn(name, raw);
  const authText = builtIn ? 'none' : authTextOf(reading, raw, row);
  const { keys, credential, foundIn, project } = readKeys(reading, raw, row, authText, path);
  const { dialect, apiVersion } = dialectOf(reading, raw, row, path);
  const keyed = authText !== 'none';
  const byDeployment = dialect === 'azure';
  const auth = authOf(reading, raw, authText, path);
  return {
    name,
    dialect,
    baseUrl: builtIn ? null : readBaseUrl(reading, raw, { name, path, row, keyed, byDeployment, project }),
    auth,
    authText,
    keys,
    credential,
    headers: [...usualHeaders(raw, row), ...readHeaders(reading, raw, auth, path)],
    usageInStream: raw.usage_in_stream ?? row?.usageInStream ?? true,
    quirks: raw.quirks ?? (dialect === row?.dialect ? row.quirks : []),
    ...readPaths(reading, raw, { dialect, row, path }),
    apiVersion,
    defaultMaxTokens: raw.default_max_tokens ?? null,
    extraCaPem: readExtraCa(reading, raw, path),
    timeouts: readProviderTimeouts(reading, raw.timeouts),
    maxIdlePerWorker: raw.idle_connections ?? DEFAULTS.idleConnections,
    rules: readRules(reading, raw, path),
    foundIn,
  };
}

/** What is known of the provider. Where the file names its API in OpenAI's format, that is spoken as OpenAI's is. */
function rowOf(name: string, raw: RawProvider): CatalogueRow | undefined {
  const row = catalogueRow(name);
  const path = row?.openaiPath;
  if (row === undefined || path === undefined || raw.dialect !== undefined) return row;
  if (raw.base_url?.replace(/\/+$/, '').endsWith(path) !== true) return row;
  return { ...row, dialect: 'openai', auth: row.auth === 'none' ? 'none' : 'bearer', quirks: [], paths: {} };
}

/**
 * What the file says, or the known provider's way. A plain key takes the place of fetched credentials where the API
 * takes one (Amazon's API keys for Bedrock), and an Entra application that of Azure's key.
 */
function authTextOf(reading: Reading, raw: RawProvider, row: CatalogueRow | undefined): string {
  const keyed = raw.key !== undefined || raw.keys !== undefined;
  if (raw.auth !== undefined) return raw.auth;
  if (row?.auth === 'aws_sigv4') return keyed || hasBearer(reading, raw) ? 'bearer' : row.auth;
  const fetched = keyed ? undefined : fetchedAuth(raw);
  if (fetched !== undefined) return fetched;
  if (row !== undefined && (raw.dialect === undefined || raw.dialect === row.dialect)) return row.auth;
  return usualAuth(raw.dialect, keyed);
}

function fetchedAuth({ entra, oauth }: RawProvider): string | undefined {
  if (entra !== undefined) return 'azure_entra';
  return oauth === undefined ? undefined : 'oauth';
}

/** How the companies that made the dialects take their keys, and so do those who serve them too; `bearer` for the rest. */
const USUAL_AUTH: Partial<Record<Dialect, string>> = {
  anthropic: 'header:x-api-key',
  gemini: 'header:x-goog-api-key',
  azure: 'header:api-key',
};

function usualAuth(dialect: Dialect | undefined, keyed: boolean): string {
  if (dialect === 'ollama' && !keyed) return 'none';
  return (dialect && USUAL_AUTH[dialect]) ?? 'bearer';
}

function hasBearer({ surroundings }: Reading, raw: RawProvider): boolean {
  return raw.aws === undefined && firstSet([AWS_BEARER_VARIABLE], surroundings.variables) !== undefined;
}

function authOf(reading: Reading, raw: RawProvider, text: string, path: DocumentPath): AuthConfig {
  if (text === 'none') return { kind: 'none' };
  if (text === 'aws_sigv4') return signing(reading, raw, path) ?? { kind: 'none' };
  const [kind, name = ''] = text.split(':');
  if (kind === 'header') return { kind, name: name.toLowerCase() };
  return kind === 'query' ? { kind, name } : { kind: 'bearer' };
}

interface SpokenDialect {
  readonly dialect: Dialect;
  readonly apiVersion: string | null;
}

/** Azure speaks by deployment where an API version is named; its newer API is OpenAI's own. */
function dialectOf(
  reading: Reading,
  raw: RawProvider,
  row: CatalogueRow | undefined,
  path: DocumentPath,
): SpokenDialect {
  const version = raw.api_version ?? foundVersion(reading, raw, row);
  const byDeployment = row?.name === 'azure' && version !== null;
  const dialect = raw.dialect ?? (byDeployment ? 'azure' : (row?.dialect ?? 'openai'));
  if (dialect === 'azure') return { dialect, apiVersion: version ?? DEFAULT_API_VERSION };
  if (raw.api_version !== undefined) {
    const message = `found an API version, expected none for the dialect ${dialect}`;
    const place = { path: [...path, 'api_version'], part: 'key' as const };
    reading.problems.error(place, 'unused_api_version', message);
  }
  return { dialect, apiVersion: null };
}

/** A version in the environment; it does not concern an address that the file names. */
function foundVersion(
  { surroundings }: Reading,
  raw: RawProvider,
  row: CatalogueRow | undefined,
): string | null {
  if (row?.name !== 'azure' || raw.base_url !== undefined) return null;
  const variable = firstSet(AZURE_VERSION_VARIABLES, surroundings.variables);
  return variable === undefined ? null : (surroundings.variables[variable]?.trim() ?? null);
}

/** `demo:` without an address is the provider that comes with the gateway. */
function isBuiltIn(name: string, raw: RawProvider): boolean {
  return name === DEMO_PROVIDER && raw.base_url === undefined;
}

/** Headers of a known provider that the file does not name. */
function usualHeaders(raw: RawProvider, row: CatalogueRow | undefined): ProviderConfig['headers'] {
  const named = new Set(Object.keys(raw.headers ?? {}).map((name) => name.toLowerCase()));
  const usual = Object.entries(row?.headers ?? {}).filter(([name]) => !named.has(name));
  return usual.map(([name, value]) => ({ name, value }));
}

function readHeaders(
  reading: Reading,
  raw: RawProvider,
  auth: AuthConfig,
  path: DocumentPath,
): ProviderConfig['headers'] {
  const credential = credentialHeader(auth);
  const seen = new Set<string>();
  return Object.entries(raw.headers ?? {}).map(([written, value]) => {
    const name = written.toLowerCase();
    const place = { path: [...path, 'headers', written], part: 'key' as const };
    if (RESERVED_HEADERS.has(name))
      reading.problems.error(place, 'reserved_header', 'found a header that the gateway sets itself');
    if (name === credential)
      reading.problems.error(
        place,
        'reserved_header',
        'found the header that carries the key, expected the key as key or keys',
      );
    if (seen.has(name))
      reading.problems.error(
        place,
        'duplicate_header',
        'found the same header twice; upper and lower case do not matter',
      );
    if (!/^[\x20-\x7e]*$/.test(value))
      reading.problems.error(
        { path: place.path },
        'bad_characters',
        'found line breaks or other characters than printable ASCII in the value of a header',
      );
    seen.add(name);
    return { name, value: value.trim() };
  });
}

function credentialHeader(auth: AuthConfig): string | null {
  if (auth.kind === 'none' || auth.kind === 'query') return null;
  return auth.kind === 'header' ? auth.name : 'authorization';
}

function readExtraCa(reading: Reading, raw: RawProvider, path: DocumentPath): string | null {
  if (raw.extra_ca_file === undefined) return null;
  const place = [...path, 'extra_ca_file'];
  const pem = reading.references.readFile(raw.extra_ca_file, place, false);
  if (pem === null || holdsCertificate(pem)) return pem;
  reading.problems.error(
    { path: place },
    'bad_certificate',
    'found no certificate, expected -----BEGIN CERTIFICATE----- in PEM form',
  );
  return null;
}

function holdsCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function readProviderTimeouts(
  reading: Reading,
  own: RawProviderTimeouts | undefined,
): ProviderTimeoutsConfig {
  const shared = reading.problems.isBroken(['timeouts'])
    ? {}
    : (section(reading, 'timeouts')?.provider ?? {});
  const pick = (name: keyof RawProviderTimeouts, otherwise: string): number =>
    parseDuration(own?.[name] ?? shared[name] ?? otherwise) ?? 0;
  return {
    connect: pick('connect', DEFAULTS.connect),
    firstByte: pick('first_byte', DEFAULTS.firstByte),
    betweenChunks: pick('between_chunks', DEFAULTS.betweenChunks),
    total: pick('total', DEFAULTS.total),
    idle: pick('idle', DEFAULTS.providerIdle),
  };
}
