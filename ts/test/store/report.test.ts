import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/index.js';
import { splitByHour } from '../../src/store/report.js';
import { recordWords } from '../../src/usage/record.js';
import { RollupTable } from '../../src/usage/rollup-table.js';
import { OK, records } from '../usage/records.js';
import { describeEach, type StorePlace } from './engines.js';

const HOURS = 5;
const START = 29_216_640;

interface KeyFilter {
  key_id?: number[];
}

const minutes = fc.integer({ min: START - 70, max: START + HOURS * 60 + 70 });

describeEach((engine) => {
  let place: StorePlace;
  let store: Store;
  /** Requests per minute, for key 1 and key 2. */
  const truth: { minute: number; key: number; requests: number }[] = [];

  beforeAll(async () => {
    place = await engine.place();
    store = await place.open();
    const boot = await store.usage.openBoot('boot');
    for (let minute = START; minute < START + HOURS * 60; minute += 7) {
      const key = 1 + (minute % 2);
      const requests = 1 + (minute % 5);
      truth.push({ minute, key, requests });
      const rows = Array.from({ length: requests }, () => ({
        ...OK,
        started_at_ms: minute * 60_000,
        duration_us: 0,
        key_id: key,
      }));
      const table = new RollupTable();
      table.add(recordWords(records(rows)), requests);
      await store.usage.addRollups(boot.id, truth.length - 1, truth.length, table);
    }
  });

  afterAll(async () => {
    await store.close();
    await place.remove();
  });

  describe('a report', () => {
    it('is the same sum whatever the interval and wherever the range begins and ends', async () => {
      const property = fc.asyncProperty(
        minutes,
        minutes,
        fc.constantFrom(undefined, 'minute', 'hour', 'day'),
        fc.constantFrom<KeyFilter>({}, { key_id: [1] }, { key_id: [1, 2] }, { key_id: [3] }),
        async (a, b, interval, filter) => {
          const [fromMinute, toMinute] = [Math.min(a, b), Math.max(a, b)];
          const paging = { groupBy: ['key_id'], filter, limit: 10_000, offset: 0 } as const;
          const rows = await store.usage.queryRollups({
            fromMinute,
            toMinute,
            ...paging,
            ...(interval && { interval }),
          });
          const wanted = truth.filter(
            ({ minute, key }) =>
              minute >= fromMinute && minute < toMinute && (filter.key_id ?? [key]).includes(key),
          );
          const sum = wanted.reduce((all, { requests }) => all + requests, 0);
          expect(rows.reduce((all, row) => all + row.sums.requests, 0)).toBe(sum);
          const length = { minute: 1, hour: 60, day: 1_440 }[interval ?? 'day'];
          for (const row of rows.filter(({ minute }) => minute !== null)) {
            const inside = wanted.filter(
              ({ minute, key }) => minute - (minute % length) === row.minute && key === row.group.key_id,
            );
            expect(row.sums.requests).toBe(inside.reduce((all, { requests }) => all + requests, 0));
          }
        },
      );
      await fc.assert(property, { numRuns: 150 });
    });
  });
});

describe('splitByHour', () => {
  it('covers every minute of a range once, with the middle on full hours', () => {
    const property = fc.property(fc.nat(500), fc.nat(500), (from, length) => {
      const { before, hours, after } = splitByHour({ from, to: from + length });
      expect(before.from).toBe(from);
      expect(after.to).toBe(from + length);
      const total = [before, hours, after].reduce((all, part) => all + part.to - part.from, 0);
      expect(total).toBe(length);
      if (hours.to > hours.from) {
        expect([hours.from % 60, hours.to % 60]).toEqual([0, 0]);
        expect([before.to, hours.to]).toEqual([hours.from, after.from]);
        expect(Math.max(before.to - before.from, after.to - after.from)).toBeLessThan(60);
      } else {
        expect(length).toBeLessThan(120);
      }
    });
    fc.assert(property, { numRuns: 1_000 });
  });
});
