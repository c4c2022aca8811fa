import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Store } from '../../src/store/index.js';
import { openReader } from '../../src/store/reader.js';
import { SqliteDatabase } from '../../src/store/sqlite-database.js';
import { migrate } from '../../src/store/sqlite-migrate.js';
import { openDatabase } from '../../src/store/sqlite.js';
import type { RollupRow, UsageLedger } from '../../src/usage/ports.js';
import { type RecorderOptions, UsageRecorder } from '../../src/usage/recorder.js';
import { describeEach, type StorePlace } from '../store/engines.js';
import { begunAt, FakeSource, OK, type RecordFields, records, T0 } from './records.js';

const DAY_MS = 86_400_000;
describeEach((engine) => {
  let place: StorePlace;
  let store: Store;
  let source: FakeSource;
  let now: number;
  let errors: unknown[];

  beforeEach(async () => {
    place = await engine.place();
    store = await place.open();
    source = new FakeSource();
    now = T0;
    errors = [];
  });

  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  function open(over: Partial<RecorderOptions> = {}): Promise<UsageRecorder> {
    return UsageRecorder.open({
      journal: source,
      ledger: store.usage,
      bootId: 'boot-1',
      retentionMs: 30 * DAY_MS,
      now: () => now,
      onError: (error) => errors.push(error),
      onDamage: (bootId) => errors.push(`damage of ${bootId}`),
      ...over,
    });
  }

  const ALL_TIME = {
    fromMinute: 0,
    toMinute: 2 ** 40,
    groupBy: [],
    filter: {},
    limit: 10_000,
    offset: 0,
  } as const;

  async function totals(ledger: UsageLedger = store.usage): Promise<RollupRow['sums'] | undefined> {
    return (await ledger.queryRollups(ALL_TIME))[0]?.sums;
  }

  async function segments(): Promise<number[]> {
    const found = await store.usage.querySegments({ fromMs: 0, toMs: 2 ** 50, limit: 10_000 });
    return found.map((segment) => segment.count).reverse();
  }

  const batch = (count: number, over: RecordFields = {}) =>
    records(Array.from({ length: count }, (_, at) => ({ ...OK, ...over, request_id: at })));

  describe('recorder', () => {
    it('stores each drained buffer as one segment, and its sums in time', async () => {
      const recorder = await open();
      source.waiting.push(batch(3));
      await recorder.drain();
      source.waiting.push(batch(2));
      await recorder.drain();
      expect(await segments()).toEqual([3, 2]);
      expect(await totals()).toBeUndefined();
      now += 30_000;
      await recorder.drain();
      expect(await totals()).toMatchObject({ requests: 5, input_tokens: 500, output_tokens: 100 });
      expect(recorder.counters()).toMatchObject({ records: 5, pendingBytes: 0, writeFailures: 0 });
    });

    it('writes the sums at once when a report asks', async () => {
      const recorder = await open();
      source.waiting.push(batch(3));
      await recorder.drain();
      await recorder.flush();
      expect(await totals()).toMatchObject({ requests: 3 });
    });

    it('takes everything that is left when it stops', { timeout: 60_000 }, async () => {
      const recorder = await open();
      recorder.start();
      for (let at = 0; at < 20; at += 1) source.waiting.push(batch(16_384));
      source.waiting.push(batch(7));
      await recorder.stop();
      expect(await totals()).toMatchObject({ requests: 20 * 16_384 + 7 });
      expect(await segments()).toHaveLength(21);
    });

    it('writes what it has when the data plane fails to answer', async () => {
      const recorder = await open();
      source.waiting.push(batch(16_384));
      const take = source.next.bind(source);
      source.next = () => (source.waiting.length > 0 ? take() : expect.fail('gone'));
      await recorder.stop();
      expect(await totals()).toMatchObject({ requests: 16_384 });
      expect(String(errors)).toContain('gone');
    });

    it('drains by itself', async () => {
      const recorder = await open();
      recorder.start();
      source.waiting.push(batch(1));
      await expect.poll(segments, { interval: 50, timeout: 5_000 }).toEqual([1]);
      await recorder.stop();
    });

    it('sums a million records to exactly what was in them', { timeout: 60_000 }, async () => {
      const recorder = await open();
      const random = fc.sample(fc.nat(0xffff), { numRuns: 4_096, seed: 7 });
      const pick = (at: number, max: number) => random[at % random.length]! % max;
      let input = 0;
      let requests = 0;
      for (let round = 0; round < 64; round += 1) {
        const rows = Array.from({ length: 15_625 }, (_, at) => ({
          ...OK,
          started_at_ms: T0 + round * 1_000,
          key_id: 1 + pick(at + round, 200),
          model_id: 1 + pick(at * 3 + round, 7),
          input_tokens: pick(at * 5 + round, 9_999),
        }));
        input += rows.reduce((sum, row) => sum + row.input_tokens, 0);
        requests += rows.length;
        source.waiting.push(records(rows));
        now += 1_000;
        await recorder.drain();
      }
      await recorder.stop();
      expect(requests).toBe(1_000_000);
      expect(await totals()).toMatchObject({ requests, input_tokens: input });
      const byKey = await store.usage.queryRollups({
        ...ALL_TIME,
        groupBy: ['key_id', 'model_id'],
        interval: 'minute',
      });
      expect(byKey.reduce((sum, row) => sum + row.sums.input_tokens, 0)).toBe(input);
      expect((await segments()).reduce((sum, count) => sum + count, 0)).toBe(requests);
    });
  });

  describe('exactly once', () => {
    it('holds when a batch is written again', async () => {
      const boot = await store.usage.openBoot('boot-1');
      const segment = { sequence: 1, firstMs: T0, lastMs: T0, count: 2, records: batch(2) };
      await store.usage.writeSegments(boot.id, [segment]);
      await store.usage.writeSegments(boot.id, [segment, { ...segment, sequence: 2 }]);
      expect(await segments()).toEqual([2, 2]);
    });

    it('holds over a crash between the segments and their sums', async () => {
      const crashed = await open();
      source.waiting.push(batch(3));
      await crashed.drain();
      await crashed.flush();
      source.waiting.push(batch(40), batch(2));
      await crashed.drain();
      await crashed.drain();
      for (let restart = 0; restart < 2; restart += 1) {
        await open({ bootId: `boot-${restart + 2}` });
        expect(await totals()).toMatchObject({ requests: 45 });
      }
    });

    it('holds when another process takes a living run for dead', async () => {
      const living = await open();
      source.waiting.push(batch(5));
      await living.drain();
      const other = await open({ bootId: 'boot-2', journal: new FakeSource() });
      source.waiting.push(batch(6));
      await living.drain();
      await living.flush();
      await living.flush();
      source.waiting.push(batch(7));
      await living.stop();
      await other.stop();
      expect(await totals()).toMatchObject({ requests: 18 });
      expect(errors).toEqual([]);
    });
  });

  describe('a store that cannot be written', () => {
    /** The real ledger, which fails while `broken` is set. */
    function fragile(): UsageLedger & { broken: boolean } {
      const { usage } = store;
      const guard =
        <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
        (...args: A): Promise<R> =>
          ledger.broken ? Promise.reject(new Error('disk full')) : call.apply(usage, args);
      const ledger = {
        broken: false,
        openBoot: guard(usage.openBoot),
        unrolledBoots: guard(usage.unrolledBoots),
        writeSegments: guard(usage.writeSegments),
        segmentsAfter: guard(usage.segmentsAfter),
        addRollups: guard(usage.addRollups),
        queryRollups: guard(usage.queryRollups),
        querySegments: guard(usage.querySegments),
        usedBytes: guard(usage.usedBytes),
        deleteSegments: guard(usage.deleteSegments),
        deleteRollups: guard(usage.deleteRollups),
        makeDurable: guard(usage.makeDurable),
      };
      return ledger;
    }

    it('is tried again, ever more rarely, and nothing is lost', async () => {
      const ledger = fragile();
      const recorder = await open({ ledger });
      ledger.broken = true;
      for (let tick = 0; tick < 300; tick += 1) {
        source.waiting.push(batch(1));
        await recorder.drain();
        now += 200;
      }
      const { writeFailures } = recorder.counters();
      expect(writeFailures).toBeGreaterThan(5);
      expect(writeFailures).toBeLessThan(25);
      expect(errors.length).toBeGreaterThanOrEqual(writeFailures);
      ledger.broken = false;
      now += 40_000;
      await recorder.drain();
      expect(await totals()).toMatchObject({ requests: 300 });
      expect(await segments()).toHaveLength(300);
      expect(recorder.counters()).toMatchObject({ detailDropped: 0, pendingBytes: 0 });
    });

    it('leaves what memory has no room for in the journal', async () => {
      const ledger = fragile();
      const recorder = await open({ ledger });
      ledger.broken = true;
      const bytes = batch(16_384);
      for (let tick = 0; tick < 60; tick += 1) {
        source.waiting.push(bytes);
        await recorder.drain();
      }
      expect(recorder.counters().pendingBytes).toBeLessThanOrEqual(64 * 1024 * 1024);
      expect(source.waiting.length).toBeGreaterThan(10);
      expect(source.acknowledged).toBe(0);
      ledger.broken = false;
      await recorder.stop();
      expect(await totals()).toMatchObject({ requests: 60 * 16_384 });
      expect(await segments()).toHaveLength(60);
      expect(source.acknowledged).toBe(60);
    });

    it('costs detail once the journal is crowded too, never the sums', async () => {
      source.reading = { ...source.reading, crowded: true };
      const ledger = fragile();
      const recorder = await open({ ledger });
      ledger.broken = true;
      const bytes = batch(16_384);
      for (let tick = 0; tick < 60; tick += 1) {
        source.waiting.push(bytes);
        await recorder.drain();
      }
      expect(recorder.counters().pendingBytes).toBeLessThanOrEqual(64 * 1024 * 1024);
      const { detailDropped } = recorder.counters();
      expect(detailDropped).toBeGreaterThan(0);
      expect(source.acknowledged).toBe(0);
      ledger.broken = false;
      await recorder.stop();
      const total = 60 * 16_384;
      expect(await totals()).toMatchObject({ requests: total });
      expect((await segments()).reduce((sum, count) => sum + count, 0)).toBe(total - detailDropped);
      expect(source.acknowledged).toBe(60);
    });

    it.runIf(engine.name === 'SQLite')(
      'because the disk is full: serving goes on, and it recovers',
      { timeout: 20_000 },
      async () => {
        const dir = mkdtempSync(join(tmpdir(), 'sluice-full-'));
        const full = openDatabase(dir);
        migrate(full.connection, full.path);
        const small = new Store(new SqliteDatabase(full.connection, openReader(full.path, full.connection)));
        const recorder = await open({ ledger: small.usage });
        full.connection.exec('pragma max_page_count = 40');
        for (let tick = 0; tick < 5; tick += 1) {
          source.waiting.push(batch(8_000));
          await recorder.drain();
          now += 1_000;
        }
        expect(String(errors[0])).toMatch(/full/);
        expect(recorder.counters()).toMatchObject({ records: 40_000, detailDropped: 0 });
        full.connection.exec('pragma max_page_count = 1000000');
        await recorder.stop();
        expect(await totals(small.usage)).toMatchObject({ requests: 40_000 });
        await small.close();
        rmSync(dir, { recursive: true, force: true });
      },
    );
  });

  describe('retention', () => {
    it('deletes old segments and keeps their sums', async () => {
      const recorder = await open({ retentionMs: DAY_MS });
      for (let at = 0; at < 40; at += 1) {
        source.waiting.push(batch(1));
        await recorder.drain();
      }
      await recorder.flush();
      now += DAY_MS + 600_000;
      source.waiting.push(batch(2, { started_at_ms: now }));
      for (let tick = 0; tick < 4; tick += 1) await recorder.drain();
      expect(await segments()).toEqual([2]);
      await recorder.flush();
      expect(await totals()).toMatchObject({ requests: 42 });
    });

    it('deletes the oldest segments early when the store grows too large, and no more than needed', async () => {
      const used = await store.usage.usedBytes();
      const recorder = await open({ maxStoreBytes: used + 6 * 1024 * 1024 });
      const template = batch(3_000);
      for (let at = 0; at < 60; at += 1) {
        source.waiting.push(begunAt(template, now));
        now += 61_000;
        await recorder.drain();
        await recorder.flush();
      }
      expect(await store.usage.usedBytes()).toBeLessThan(used + 8 * 1024 * 1024);
      const kept = await store.usage.querySegments({ fromMs: 0, toMs: 2 ** 50, limit: 100 });
      expect(kept.length).toBeGreaterThan(10);
      expect(kept.length).toBeLessThan(60);
      expect(kept[0]?.sequence).toBe(60);
      expect(await totals()).toMatchObject({ requests: 180_000 });
    });

    it('never deletes what is not yet in the sums', async () => {
      const boot = await store.usage.openBoot('boot-1');
      const segment = { sequence: 1, firstMs: T0, lastMs: T0, count: 1, records: batch(1) };
      await store.usage.writeSegments(boot.id, [segment]);
      expect(await store.usage.deleteSegments(T0 + 1, 10)).toBe(0);
      await open({ bootId: 'boot-2' });
      expect(await store.usage.deleteSegments(T0 + 1, 10)).toBe(1);
    });
  });
});
