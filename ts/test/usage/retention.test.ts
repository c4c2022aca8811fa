import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Store } from '../../src/store/index.js';
import { recordWords } from '../../src/usage/record.js';
import { ReportRetention } from '../../src/usage/retention.js';
import { RollupTable } from '../../src/usage/rollup-table.js';
import { describeEach, type StorePlace } from '../store/engines.js';
import { OK, records } from './records.js';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-03-01T00:00:00Z');
const HOURS = 30;

describeEach((engine) => {
  let place: StorePlace;
  let store: Store;

  beforeEach(async () => {
    place = await engine.place();
    store = await place.open();
    const boot = await store.usage.openBoot('boot');
    const table = new RollupTable();
    const rows = Array.from({ length: HOURS * 6 }, (_, at) => ({
      ...OK,
      started_at_ms: START + (at * HOUR_MS) / 6,
      duration_us: 0,
    }));
    table.add(recordWords(records(rows)), rows.length);
    await store.usage.addRollups(boot.id, 0, 1, table);
  });

  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  const sums = async (interval: 'minute' | 'hour') => {
    const range = {
      fromMinute: 0,
      toMinute: 2 ** 40,
      groupBy: [],
      filter: {},
      limit: 9_999,
      offset: 0,
    } as const;
    return (await store.usage.queryRollups({ ...range, interval })).map(({ minute }) => minute! * 60_000);
  };

  it('deletes whole hours of sums, from both tables, and goes on until they are gone', async () => {
    const now = START + 20 * HOUR_MS + 30 * 60_000;
    const errors: unknown[] = [];
    const retention = new ReportRetention({
      ledger: store.usage,
      keepMs: 5 * HOUR_MS,
      now: () => now,
      onError: (error) => errors.push(error),
    });
    let looks = 1;
    while (await retention.deleteOld()) looks += 1;
    expect(looks).toBeGreaterThan(1);
    const kept = START + 15 * HOUR_MS;
    expect((await sums('minute'))[0]).toBe(kept);
    expect(await sums('minute')).toHaveLength(15 * 6);
    expect((await sums('hour'))[0]).toBe(kept);
    expect(await sums('hour')).toHaveLength(15);
    expect(await retention.deleteOld()).toBe(false);
    expect(errors).toEqual([]);
  });

  it('runs by itself, and tells of what fails', async () => {
    const errors: unknown[] = [];
    const { usage } = store;
    let calls = 0;
    const deleteRollups = (before: number) => {
      calls += 1;
      return calls === 2 ? Promise.reject(new Error('away')) : usage.deleteRollups(before);
    };
    const options = { ledger: { deleteRollups }, keepMs: 0, now: () => START + HOURS * HOUR_MS };
    const retention = new ReportRetention({ ...options, onError: (error) => errors.push(error) });
    retention.start();
    await expect.poll(() => errors.length, { interval: 50, timeout: 5_000 }).toBe(1);
    await retention.stop();
    expect(calls).toBe(2);
  });
});
