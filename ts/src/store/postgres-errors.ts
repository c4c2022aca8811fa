/**
 * What went wrong with PostgreSQL, in words: where, why, and what would help. Errors of the driver are never passed on,
 * since they carry rows and connection parameters.
 */
import pg from 'pg';
import { StoreUnavailable } from '../governance/ports.js';
import { type PostgresPlace, serverName } from './postgres.js';

/** Codes that another try a moment later may not get. */
const PASSING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ENOENT', // the socket of a server that has not started
  '57P01', // the server is being shut down
  '57P02', // it has crashed
  '57P03', // it is starting
  '53300', // it has no connection left
]);

/** The failure of a statement or a connection. */
export interface Failure {
  readonly error: Error;
  /** Whether the connection may be used again. */
  readonly broken: boolean;
  /** Whether trying again later may help. */
  readonly passing: boolean;
}

/** The failure behind what the driver has thrown. */
export function failureOf(thrown: unknown, place: PostgresPlace): Failure {
  if (thrown instanceof RangeError) return { error: thrown, broken: true, passing: false };
  const code = codeOf(thrown);
  const error = new StoreUnavailable(`${serverName(place)} ${reason(thrown, code, place)}`, code);
  if (thrown instanceof pg.DatabaseError) {
    const broken = thrown.severity === 'FATAL' || thrown.severity === 'PANIC';
    return { error, broken, passing: PASSING.has(code) };
  }
  return { error, broken: true, passing: code === '' ? !isRefusal(thrown) : PASSING.has(code) };
}

/** SQLSTATE of the server, or the system's code; empty where there is none. */
function codeOf(thrown: unknown): string {
  const { code, errors } = thrown as { code?: unknown; errors?: unknown[] };
  if (typeof code === 'string') return code;
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors[0]) : '';
}

/** Errors of the driver that have no code, and that no patience will mend. */
function isRefusal(thrown: unknown): boolean {
  return /^SASL|does not support SSL/.test(messageOf(thrown));
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'cannot be reached: nobody listens there',
  ECONNRESET: 'has closed the connection',
  EPIPE: 'has closed the connection',
  ENOTFOUND: 'cannot be reached: there is no host of this name',
  EAI_AGAIN: 'cannot be reached: the name of the host cannot be looked up at the moment',
  ETIMEDOUT: 'cannot be reached: no answer in time',
  EHOSTUNREACH: 'cannot be reached: no way leads to the host',
  ENETUNREACH: 'cannot be reached: no way leads to the host',
  ENOENT: 'cannot be reached: there is no such socket',
  EACCES: 'cannot be reached: the socket may not be used',
  '57P01': 'is being shut down',
  '57P02': 'has ended a connection after a crash',
  '57P03': 'is starting up',
  '53300':
    'has no connection left for us; raise its max_connections, or lower store.postgres.max_connections',
  '53100': 'has a full disk',
  '55P03': 'holds a lock of another gateway for too long',
  '57014': 'took too long over a statement',
  '25006': 'is read-only, such as a standby server is',
};

function reason(thrown: unknown, code: string, place: PostgresPlace): string {
  const known = REASONS[code] ?? access(code, place);
  if (known !== null && known !== undefined) return known;
  const message = messageOf(thrown);
  if (thrown instanceof pg.DatabaseError) return `has refused: ${message} (${code})`;
  if (message.startsWith('SASL')) return `asks for a password of the user "${place.user}", or another one`;
  if (message.includes('does not support SSL'))
    return 'offers no TLS; add sslmode=disable to the URL where the network in between can be trusted';
  if (isCertificate(code))
    return `has a certificate that is not accepted (${code}); see store.postgres.ca_file`;
  if (/timeout|timed out/i.test(message)) return 'has not answered in time';
  return code === '' ? 'has closed the connection' : `cannot be reached (${code})`;
}

/** Refusals by what is in the URL. */
function access(code: string, { user, database, schema }: PostgresPlace): string | null {
  if (code === '28P01') return `has refused the user "${user}": wrong password`;
  if (code === '28000')
    return `has refused the user "${user}": no such user, or pg_hba.conf does not let it in`;
  if (code === '3D000') return `has no database "${database}"`;
  if (code !== '42501') return null;
  return (
    `has refused the user "${user}" the right to the schema "${schema}" of the database "${database}"; ` +
    `an administrator may give it: create schema ${schema} authorization ${user}`
  );
}

function isCertificate(code: string): boolean {
  return /CERT|SIGNATURE|ISSUER|ERR_TLS|ERR_SSL|EPROTO/.test(code);
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : '';
}
