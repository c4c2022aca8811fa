/** PostgreSQL through node-postgres: where it is, how connections to it are set up, and what its values become. */
import pg from 'pg';

/** Where the store is kept, and as whom. */
export interface PostgresPlace {
  /** Name or address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null for a server that asks for none. */
  readonly password: string | null;
  readonly database: string;
  /** Name of the schema that holds the tables: lower-case letters, digits and `_`, so it needs no quotes. */
  readonly schema: string;
  /** Most connections of this gateway. */
  readonly maxConnections: number;
  /** Null for a connection that is not encrypted. */
  readonly tls: PostgresTls | null;
}

/** How the server is made sure of. */
export interface PostgresTls {
  /** The certificate's name as well, its chain only, or nothing. */
  readonly verify: 'name' | 'chain' | 'nothing';
  /** Authorities in place of the usual ones. */
  readonly caPem: string | null;
}

/** The server as messages name it; never with a password. */
export function serverName({ host, port }: PostgresPlace): string {
  if (host.startsWith('/')) return `PostgreSQL at ${host}`;
  return `PostgreSQL at ${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Longest wait for a connection to be made or to become free. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A connection without work is given back after this. */
const IDLE_MS = 60_000;

/** Longest wait for a lock: another gateway's transactions take milliseconds. */
const LOCK_TIMEOUT_MS = 5_000;

/** A transaction that its gateway has forgotten (a frozen machine) is ended, so that others get on. */
const FORGOTTEN_MS = 30_000;

/** What the server may not answer in time is given up here, so that a network that swallows packets holds up nothing. */
const GRACE_MS = 5_000;

/** What differs between the connections of one gateway. */
export interface SessionForm {
  /** Longest time of a statement, milliseconds; 0 for no bound. */
  readonly statementMs: number;
  readonly readOnly?: boolean;
}

/** The settings of a connection. */
export function clientConfig(place: PostgresPlace, form: SessionForm): pg.ClientConfig {
  const { host, port, user, password, database, tls } = place;
  return {
    host,
    port,
    user,
    database,
    ...(password !== null && { password }),
    ssl: tls === null ? false : tlsOptions(place, tls),
    application_name: 'sluice',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    options: sessionOptions(place, form),
    types: VALUES,
    ...(form.statementMs > 0 && { query_timeout: form.statementMs + GRACE_MS }),
  };
}

/** A pool of connections. Those that break while idle are dropped without a word: the next use makes another. */
export function openPool(place: PostgresPlace, form: SessionForm, max: number): pg.Pool {
  const pool = new pg.Pool({ ...clientConfig(place, form), max, idleTimeoutMillis: IDLE_MS });
  pool.on('error', () => undefined);
  return pool;
}

/** Set while connecting, so that no connection is ever used without them. */
function sessionOptions({ schema }: PostgresPlace, { statementMs, readOnly = false }: SessionForm): string {
  const settings = {
    search_path: schema,
    statement_timeout: statementMs,
    lock_timeout: statementMs === 0 ? 0 : LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: FORGOTTEN_MS,
    ...(readOnly && { default_transaction_read_only: 'on' }),
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

function tlsOptions(
  { host }: PostgresPlace,
  { verify, caPem }: PostgresTls,
): NonNullable<pg.ClientConfig['ssl']> {
  return {
    host,
    rejectUnauthorized: verify !== 'nothing',
    ...(caPem !== null && { ca: caPem }),
    ...(verify === 'chain' && { checkServerIdentity: () => undefined }),
  };
}

const { INT8, NUMERIC } = pg.types.builtins;

/** Whole numbers become numbers, as in SQLite. Sums are of the type `numeric`, and as exact as a number is. */
const VALUES: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => {
    if (oid === INT8) return wholeNumber;
    if (oid === NUMERIC) return Number;
    return pg.types.getTypeParser(oid, format) as (text: string) => unknown;
  },
};

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(`the store holds the whole number ${text}, which is too large to be read exactly`);
}
