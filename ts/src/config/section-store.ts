/** Reads `store`. */

import type { PostgresConfig } from './config.js';
import { DEFAULTS } from './defaults.js';
import { isLoopback } from './scalars.js';
import { section, warnOfPlainSecret, type Reading } from './section.js';
import type { DocumentPath } from './wording.js';

const POSTGRES: DocumentPath = ['store', 'postgres'];
const URL_PATH: DocumentPath = [...POSTGRES, 'url'];

const DEFAULT_PORT = 5_432;

/** What may stand behind the question mark. */
const PARAMETERS = ['host', 'sslmode'];

type TlsConfig = NonNullable<PostgresConfig['tls']>;

/** Values of `sslmode`; null stands for a connection that is not encrypted. */
const MODES: Readonly<Record<string, TlsConfig['verify'] | null>> = {
  disable: null,
  require: 'nothing',
  'verify-ca': 'chain',
  'verify-full': 'name',
};

/** Where the store is kept; null for SQLite in the data directory. */
export function readStore(reading: Reading): PostgresConfig | null {
  if (reading.problems.isBroken(POSTGRES)) return null;
  const raw = section(reading, 'store')?.postgres;
  if (raw === undefined) return null;
  warnOfPlainSecret(reading, URL_PATH);
  const address = addressOf(raw.url, reading);
  const caPem = certificates(reading, raw.ca_file);
  if (address === null) return null;
  const { tls, ...server } = address;
  return {
    ...server,
    schema: raw.schema ?? DEFAULTS.postgresSchema,
    maxConnections: raw.max_connections ?? DEFAULTS.postgresConnections,
    tls: tls === null ? null : { verify: tls, caPem },
  };
}

function certificates(reading: Reading, file: string | undefined): string | null {
  return file === undefined ? null : reading.references.readFile(file, [...POSTGRES, 'ca_file'], false);
}

type Address = Pick<PostgresConfig, 'host' | 'port' | 'user' | 'password' | 'database'> & {
  readonly tls: TlsConfig['verify'] | null;
};

/** Null after reporting what is wrong, without a word of what was found: it may hold the password. */
function addressOf(text: string, reading: Reading): Address | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  const wrong = url === null ? NO_URL : complaint(url);
  if (url !== null && wrong === null) return addressIn(url);
  const [found, expected] = wrong ?? NO_URL;
  reading.problems.error({ path: URL_PATH }, 'bad_url', `found ${found}, expected ${expected}`);
  return null;
}

type Complaint = readonly [found: string, expected: string];

const FORM = 'postgres://USER:PASSWORD@HOST:PORT/DATABASE';
const NO_URL: Complaint = [
  'no URL',
  `${FORM}, and in the password %40 for @, %2F for /, %23 for #, %3F for ?`,
];

function complaint(url: URL): Complaint | null {
  if (!['postgres:', 'postgresql:'].includes(url.protocol)) return ['a URL of another kind', FORM];
  if ([...url.searchParams.keys()].some((name) => !PARAMETERS.includes(name)))
    return ['an unknown parameter behind the ?', `one of ${PARAMETERS.join(', ')}`];
  if ([url.username, url.password, url.pathname].some((part) => decoded(part) === null))
    return ['a % without two hexadecimal digits', '%25 in its place'];
  if (hostOf(url) === '') return ['a URL without a host', FORM];
  if (url.username === '') return ['a URL without a user', FORM];
  if (!/^\/[^/]+$/.test(url.pathname)) return ['a URL without a database', FORM];
  const mode = url.searchParams.get('sslmode');
  const isKnown = mode === null || Object.hasOwn(MODES, mode);
  return isKnown ? null : ['an unknown sslmode', `one of ${Object.keys(MODES).join(', ')}`];
}

/** The parts of a URL without a complaint. */
function addressIn(url: URL): Address {
  const host = hostOf(url);
  return {
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    user: decoded(url.username) ?? '',
    password: decoded(url.password) || null,
    database: decoded(url.pathname.slice(1)) ?? '',
    tls: tlsOf(url.searchParams.get('sslmode'), host),
  };
}

function hostOf(url: URL): string {
  return url.searchParams.get('host') ?? url.hostname.replace(/^\[(.*)\]$/, '$1');
}

function tlsOf(mode: string | null, host: string): TlsConfig['verify'] | null {
  if (mode !== null) return MODES[mode] ?? null;
  const isLocal = host.startsWith('/') || host === 'localhost' || isLoopback(host);
  return isLocal ? null : 'name';
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
