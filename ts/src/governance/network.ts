/** Networks that clients may connect from. */

import { isIP } from 'node:net';

/** Bits of an address. */
const BITS: Readonly<Record<number, number>> = { 4: 32, 6: 128 };

/** Words for a network. */
export const NETWORK_EXPECTED = 'an IP address or a network such as 10.0.0.0/8 or 2001:db8::/32';

/** Whether this is an address, or an address and a length of prefix. */
export function isNetwork(text: string): boolean {
  return parse(text) !== null;
}

/** An address alone as the network of its own: `10.0.0.7` as `10.0.0.7/32`. */
export function normalNetwork(text: string): string {
  const parsed = parse(text);
  return parsed === null ? text : `${parsed.address}/${parsed.prefix}`;
}

function parse(text: string): { address: string; prefix: number } | null {
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = BITS[isIP(address)];
  if (bits === undefined || address.includes('%') || rest.length > 0) return null;
  if (prefix === undefined) return { address, prefix: bits };
  const length = /^\d{1,3}$/.test(prefix) ? Number(prefix) : bits + 1;
  return length <= bits ? { address, prefix: length } : null;
}
