/** Reads `providers`, or finds them in the environment where the file has no such section. */

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  CATALOGUE,
  catalogueRow,
  findProviders,
  keyVariable,
  type CatalogueRow,
} from '../providers/catalogue.js';
import {
  DEMO_PROVIDER,
  type ProviderConfig,
  type ProviderKeyConfig,
  type ProviderTimeoutsConfig,
} from './config.js';
import { DEFAULTS } from './defaults.js';
import { isLoopback, parseDuration } from './scalars.js';
import type { RawProvider, RawProviderTimeouts } from './schema-routing.js';
import { checkHeaderText, section, warnOfPlainSecret, type Reading } from './section.js';
import { suggestion, type DocumentPath } from './wording.js';

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
  return found.map(({ row }) => readProvider(reading, row.name, {}, ['providers', row.name]));
}

function readProvider(reading: Reading, name: string, raw: RawProvider, path: DocumentPath): ProviderConfig {
  const row = catalogueRow(name);
  const auth = authOf(raw.auth ?? (isBuiltIn(name, raw) ? 'none' : (row?.auth ?? 'bearer')));
  const { keys, foundIn } = readKeys(reading, raw, row, auth, path);
  return {
    name,
    dialect: 'openai',
    baseUrl: isBuiltIn(name, raw)
      ? null
      : readBaseUrl(reading, raw, row, { name, path, keyed: auth.kind !== 'none' }),
    auth,
    keys,
    headers: readHeaders(reading, raw, auth, path),
    usageInStream: raw.usage_in_stream ?? row?.usageInStream ?? true,
    extraCaPem: readExtraCa(reading, raw, path),
    timeouts: readProviderTimeouts(reading, raw.timeouts),
    maxIdlePerWorker: raw.idle_connections ?? DEFAULTS.idleConnections,
    foundIn,
  };
}

/** `demo:` without an address is the provider that comes with the gateway. */
function isBuiltIn(name: string, raw: RawProvider): boolean {
  return name === DEMO_PROVIDER && raw.base_url === undefined;
}

function authOf(text: string): ProviderConfig['auth'] {
  if (text === 'bearer' || text === 'none') return { kind: text };
  return { kind: 'header', name: text.slice('header:'.length).toLowerCase() };
}

interface NamedPlace {
  readonly name: string;
  readonly path: DocumentPath;
  /** Whether a key is sent. */
  readonly keyed: boolean;
}

function readBaseUrl(
  reading: Reading,
  raw: RawProvider,
  row: CatalogueRow | undefined,
  place: NamedPlace,
): string | null {
  const written = raw.base_url ?? row?.baseUrl;
  if (written === undefined) {
    const names = CATALOGUE.map(({ name }) => name);
    const message = `found no base_url, expected one since this is not the name of a known provider${suggestion(place.name, names)}`;
    reading.problems.error({ path: place.path, part: 'key' }, 'missing_base_url', message);
    return null;
  }
  const path = [...place.path, 'base_url'];
  const url = URL.canParse(written) ? new URL(written) : null;
  const wrong = urlProblem(url);
  if (wrong !== null) {
    reading.problems.error(
      { path },
      'bad_url',
      `found ${wrong}, expected an http:// or https:// URL such as https://api.example.com/v1`,
    );
    return null;
  }
  if (url?.protocol === 'http:' && place.keyed && isPublic(url.hostname)) {
    reading.problems.warning(
      { path },
      'plain_http',
      'found http:// to a public name, which shows the key to the network; expected https://',
    );
  }
  return written.replace(/\/+$/, '');
}

function urlProblem(url: URL | null): string | null {
  if (url === null) return 'something that is not a URL';
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `a URL of scheme ${url.protocol.slice(0, 16)}`;
  if (url.username !== '' || url.password !== '') return 'a URL with credentials in it';
  return url.search !== '' || url.hash !== '' ? 'a URL with a query or a fragment' : null;
}

/** A host name with a dot that is neither an address nor under a name reserved for private use. */
function isPublic(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0)
    return !isLoopback(bare) && !/^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|fc|fd|fe80)/i.test(bare);
  return host.includes('.') && !/\.(local|localhost|internal|home\.arpa|test)$/.test(host);
}

type FoundKeys = Pick<ProviderConfig, 'keys' | 'foundIn'>;

function readKeys(
  reading: Reading,
  raw: RawProvider,
  row: CatalogueRow | undefined,
  auth: ProviderConfig['auth'],
  path: DocumentPath,
): FoundKeys {
  const { problems } = reading;
  const none: FoundKeys = { keys: [], foundIn: null };
  if (raw.key !== undefined && raw.keys !== undefined) {
    problems.error(
      { path: [...path, 'keys'], part: 'key' },
      'two_key_settings',
      'found both key and keys, expected one of them',
    );
    return none;
  }
  if (auth.kind === 'none') {
    const written = raw.key === undefined ? 'keys' : 'key';
    if (raw.key !== undefined || raw.keys !== undefined) {
      problems.error(
        { path: [...path, written] },
        'unused_key',
        'found a key, expected none since auth is none',
      );
    }
    return none;
  }
  if (raw.keys !== undefined)
    return { keys: readKeyList(reading, raw.keys, [...path, 'keys']), foundIn: null };
  if (raw.key !== undefined) return { keys: oneKey(reading, raw.key, [...path, 'key']), foundIn: null };
  if (row === undefined && raw.base_url === undefined) return none; // misspelt, and reported as such
  return keyFromEnvironment(reading, row, path);
}

function oneKey(reading: Reading, secret: string, path: DocumentPath): ProviderKeyConfig[] {
  warnOfPlainSecret(reading, path);
  checkHeaderText(secret, path, 'the key', reading.problems);
  return [{ name: '1', secret, weight: DEFAULTS.weight }];
}

function keyFromEnvironment(reading: Reading, row: CatalogueRow | undefined, path: DocumentPath): FoundKeys {
  const variable = row === undefined ? undefined : keyVariable(row, reading.surroundings.variables);
  if (variable !== undefined) {
    const secret = (reading.surroundings.variables[variable] ?? '').trim();
    checkHeaderText(secret, path, variable, reading.problems);
    return { keys: [{ name: '1', secret, weight: DEFAULTS.weight }], foundIn: variable };
  }
  const usual = row?.env[0];
  const expected =
    usual === undefined ? 'key: env:NAME, or auth: none' : `${usual} in the environment, or key: env:NAME`;
  reading.problems.error({ path, part: 'key' }, 'missing_key', `found no key, expected ${expected}`);
  return { keys: [], foundIn: null };
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
    return { name: entry.name ?? String(at + 1), secret: entry.key, weight: entry.weight ?? DEFAULTS.weight };
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

function readHeaders(
  reading: Reading,
  raw: RawProvider,
  auth: ProviderConfig['auth'],
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

function credentialHeader(auth: ProviderConfig['auth']): string | null {
  if (auth.kind === 'none') return null;
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
