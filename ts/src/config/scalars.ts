/**
 * Values with a unit, as people write them: `30s`, `32MiB`, `127.0.0.1:8080`. A bare number is refused where its unit
 * would have to be guessed.
 */

import { isIP, isIPv6 } from 'node:net';

/** Longest duration: a day, well inside the 32 bits the data plane keeps milliseconds in. */
export const MAX_DURATION_MS = 86_400_000;

/** Largest size: a gibibyte, which no request or event needs and a 32-bit length still holds. */
export const MAX_SIZE_BYTES = 1_073_741_824;

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
};

/** `500ms`, `30s`, `5m`, `1h`, or 0. In milliseconds; null when it is none of these or over {@link MAX_DURATION_MS}. */
export function parseDuration(value: string | number): number | null {
  return withUnit(value, MS_PER_UNIT, MAX_DURATION_MS);
}

/** `512KiB`, `32MiB`, `10MB`. In bytes; null when it is none of these or over {@link MAX_SIZE_BYTES}. */
export function parseSize(value: string | number): number | null {
  return withUnit(value, BYTES_PER_UNIT, MAX_SIZE_BYTES);
}

function withUnit(
  value: string | number,
  units: Readonly<Record<string, number>>,
  most: number,
): number | null {
  if (value === 0 || value === '0') return 0;
  const match = /^(\d{1,10})([a-zA-Z]+)$/.exec(String(value));
  const factor = units[match?.[2] ?? ''];
  if (match === null || factor === undefined) return null;
  const total = Number(match[1]) * factor;
  return total <= most ? total : null;
}

/** A socket address. */
export interface SocketAddress {
  /** An IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, and `:8080` or `*:8080` for every interface; null for anything else.
 * Other host names are refused: what they lead to may change, and listening on a surprise is worse than asking.
 */
export function parseAddress(text: string): SocketAddress | null {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  const host = match[1] === undefined ? ipv4Host(match[2] ?? '') : ipv6Host(match[1]);
  return host === null || port > 65_535 ? null : { host, port };
}

/** As text that a socket library accepts: brackets around IPv6. */
export function formatAddress({ host, port }: SocketAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return isIPv6(host) ? host === '::1' || /^::ffff:127\./i.test(host) : host.startsWith('127.');
}

function ipv4Host(text: string): string | null {
  if (text === '' || text === '*') return '0.0.0.0';
  if (text === 'localhost') return '127.0.0.1';
  return isIP(text) === 4 ? text : null;
}

function ipv6Host(text: string): string | null {
  return isIPv6(text) && !text.includes('%') ? text : null;
}

/** A moment as RFC 3339 (`2026-12-31T23:59:59Z`) or as a date, which means its start in UTC. Milliseconds since 1970. */
export function parseMoment(text: string): number | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/.exec(text);
  if (match === null) return null;
  const at = Date.parse(text);
  const daysInMonth = new Date(Date.UTC(Number(match[1]), Number(match[2]), 0)).getUTCDate();
  return Number.isNaN(at) || Number(match[3]) > daysInMonth ? null : at;
}
