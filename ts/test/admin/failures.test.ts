import { describe, expect, it } from 'vitest';
import { FailureLimit, MAX_ADDRESSES } from '../../src/admin/failures.js';

const NOW = 1_000_000;

function failed(limit: FailureLimit, address: string, times: number, at = NOW): void {
  for (let n = 0; n < times; n += 1) limit.count(address, at);
}

describe('check 48: failures per address', () => {
  it('close an address for the rest of its minute', () => {
    const limit = new FailureLimit(3);
    failed(limit, '192.0.2.1', 2);
    expect(limit.retryAfter('192.0.2.1', NOW)).toBe(0);
    failed(limit, '192.0.2.1', 1);
    expect(limit.retryAfter('192.0.2.1', NOW + 1_500)).toBe(59);
    expect(limit.retryAfter('192.0.2.2', NOW)).toBe(0);
    expect(limit.retryAfter('192.0.2.1', NOW + 60_000)).toBe(0);
  });

  it.each([
    ['::ffff:192.0.2.1', '192.0.2.1', true],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8::1', '2001:db8:0:0:5::1', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['fe80::1%eth0', 'fe80::2%eth0', true],
  ])('%s and %s count as one: %s', (first, second, together) => {
    const limit = new FailureLimit(1);
    failed(limit, first, 1);
    expect(limit.retryAfter(second, NOW) > 0).toBe(together);
  });

  it('keeps a bounded number of addresses', () => {
    const limit = new FailureLimit(1);
    for (let n = 0; n < MAX_ADDRESSES + 500; n += 1)
      limit.count(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, NOW);
    expect(limit.size).toBe(MAX_ADDRESSES);
  });

  it('0 turns it off', () => {
    const limit = new FailureLimit(0);
    failed(limit, '192.0.2.1', 100);
    expect(limit.retryAfter('192.0.2.1', NOW)).toBe(0);
    expect(limit.size).toBe(0);
  });
});
