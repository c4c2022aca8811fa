/**
 * Failed authentications per address. Past the limit an address is refused whatever it presents until its minute is over,
 * so that guessing is slow even for short tokens; an IPv6 network of 64 bits, which one machine has whole, counts as one.
 */
import { isIPv6 } from 'node:net';

const MS_PER_MINUTE = 60_000;

/** Most addresses remembered at once; the oldest make room. */
export const MAX_ADDRESSES = 4_096;

interface Window {
  readonly startedAt: number;
  failures: number;
}

/** The counter. */
export class FailureLimit {
  /** In the order of their beginning. */
  private readonly windows = new Map<string, Window>();

  /** `perMinute` 0 turns it off. */
  constructor(private readonly perMinute: number) {}

  /** Addresses remembered. */
  get size(): number {
    return this.windows.size;
  }

  /** Seconds until the address may try again; 0 where it may now. */
  retryAfter(address: string, now: number): number {
    const window = this.windows.get(networkOf(address));
    if (this.perMinute === 0 || window === undefined || window.failures < this.perMinute) return 0;
    const left = window.startedAt + MS_PER_MINUTE - now;
    return left > 0 ? Math.ceil(left / 1_000) : 0;
  }

  /** Counts a failure. */
  count(address: string, now: number): void {
    if (this.perMinute === 0) return;
    const network = networkOf(address);
    const window = this.windows.get(network);
    if (window !== undefined && now - window.startedAt < MS_PER_MINUTE) {
      window.failures += 1;
      return;
    }
    this.windows.delete(network);
    this.windows.set(network, { startedAt: now, failures: 1 });
    if (this.windows.size > MAX_ADDRESSES) this.dropOldest();
  }

  private dropOldest(): void {
    const [oldest] = this.windows.keys();
    if (oldest !== undefined) this.windows.delete(oldest);
  }
}

/** The address itself, or the first half of one of IPv6 (which Node writes shortened, and IPv4 inside it with dots). */
function networkOf(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(bare)) return bare;
  const [head = '', tail = ''] = bare.replace(/%.*/, '').split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail.split(':').filter(Boolean);
  const zeros = bare.includes('::')
    ? Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
    : [];
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
