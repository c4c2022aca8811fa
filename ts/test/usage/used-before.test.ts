import { describe, expect, it } from 'vitest';
import type { Meter } from '../../src/bridge/generated/snapshot.js';
import type { RollupQuery, RollupRow } from '../../src/usage/index.js';
import { ROLLUP_SUMS, type RollupSum } from '../../src/usage/rollup-table.js';
import { type MeteredUsage, usedBefore } from '../../src/usage/used-before.js';

const NOW = Date.parse('2026-03-15T12:30:30Z');
const MONTH = Date.parse('2026-03-01T00:00:00Z');
const MINUTE = 60_000;

function row(key: number, provider: number, over: Partial<Record<RollupSum, number>>, cost = 0n): RollupRow {
  const zeros = Object.fromEntries(ROLLUP_SUMS.map((name) => [name, 0])) as Record<RollupSum, number>;
  const group = { key_id: key, provider_id: provider };
  return { minute: null, group, sums: { ...zeros, ...over }, cost };
}

const ROWS = [
  row(
    1,
    11,
    { requests: 2, input_tokens: 100, cached_input_tokens: 40, output_tokens: 30, reasoning_tokens: 10 },
    7n,
  ),
  row(1, 12, { requests: 1, input_tokens: 10 }, 9_000_000_000_000_000_000n),
  row(2, 11, { requests: 5 }, 1n),
  row(2, 0, { requests: 90 }),
];

/** A ledger of these rows, which keeps what it was asked. */
function ledger() {
  const asked: RollupQuery[] = [];
  const queryRollups = (query: RollupQuery): Promise<RollupRow[]> => {
    asked.push(query);
    return Promise.resolve(ROWS);
  };
  return { asked, queryRollups };
}

const month: Meter['window'] = { kind: 'calendar', unit: 'month', time_zone: 'UTC' };

function metered(id: number, measure: Meter['measure'], window = month, ids = [1]): MeteredUsage {
  const meter: Meter = { id, name: 'x', measure, limit: 1, window };
  return { meter, of: 'key_id', ids: new Set(ids) };
}

const starts = (meters: readonly Meter[]) =>
  meters.map(({ window }) => (window.kind === 'ever' ? null : MONTH));

const weights = {
  input: 1_000,
  cached_input: 100,
  cache_write: 0,
  cache_write_1h: 0,
  audio_input: 0,
  image_input: 0,
  output: 5_000,
  reasoning: 7_000,
  audio_output: 0,
  image_output: 0,
};

describe('what was used before', () => {
  it('is summed by the unit of each meter: check 93', async () => {
    const used = await usedBefore(
      ledger(),
      [
        metered(1, { kind: 'cost' }, month, [1, 2]),
        metered(2, { kind: 'requests' }, month, [2]),
        metered(3, { kind: 'tokens', weights }),
        metered(4, { kind: 'cost' }, month, [3]),
      ],
      starts,
      NOW,
    );
    expect([...used].map(([id, { amount }]) => [id, amount])).toEqual([
      [1, '9000000000000000008'],
      [2, '5'],
      [3, String(70 * 1_000 + 40 * 100 + 20 * 5_000 + 10 * 7_000)],
    ]);
    expect(used.get(1)?.at_ms).toBe(NOW);
  });

  it('is asked for once per window, from its beginning', async () => {
    const asking = ledger();
    const ever: Meter['window'] = { kind: 'ever' };
    await usedBefore(
      asking,
      [metered(1, { kind: 'cost' }), metered(2, { kind: 'requests' }), metered(3, { kind: 'cost' }, ever)],
      starts,
      NOW,
    );
    expect(asking.asked.map(({ fromMinute }) => fromMinute)).toEqual([MONTH / MINUTE, 0]);
    expect(asking.asked[0]).toMatchObject({ toMinute: Math.floor(NOW / MINUTE) + 1 });
  });

  it('does not matter for rates, for requests at once and for short windows of use', async () => {
    const asking = ledger();
    const used = await usedBefore(
      asking,
      [
        metered(1, { kind: 'requests' }, { kind: 'rate', period_ms: 60_000 }),
        metered(2, { kind: 'concurrency' }, { kind: 'ever' }),
        metered(3, { kind: 'requests' }, { kind: 'sliding', period_ms: 60_000 }),
      ],
      starts,
      NOW,
    );
    expect([used.size, asking.asked.length]).toEqual([0, 0]);
  });
});
