import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import { CostMeter } from '../../src/usage/costs.js';
import { listRequests, UsageRecorder } from '../../src/usage/index.js';
import { recordWords } from '../../src/usage/record.js';
import { FakeSource, OK, records, T0 } from './records.js';

const MOST = 2n ** 63n - 1n;

describe('what models have cost', () => {
  it('is the exact sum of the records, however large', () => {
    const cost = fc.oneof(fc.bigInt({ min: 0n, max: MOST }), fc.constantFrom(0n, 0xffff_ffffn, MOST));
    fc.assert(
      fc.property(fc.array(cost, { minLength: 1, maxLength: 500 }), (costs) => {
        const meter = new CostMeter();
        const words = recordWords(records(costs.map((each) => ({ ...OK, cost_picousd: each }))));
        meter.add(words, costs.length);
        meter.add(words, costs.length);
        expect(meter.sums()[0]!.cost).toBe(2n * costs.reduce((sum, each) => sum + each));
      }),
    );
  });

  it('carries before a number is no longer exact', () => {
    const meter = new CostMeter();
    const words = recordWords(records(Array.from({ length: 30_000 }, () => ({ ...OK, cost_picousd: MOST }))));
    for (let round = 0; round < 100; round += 1) meter.add(words, 30_000);
    expect(meter.sums()[0]!.cost).toBe(3_000_000n * MOST);
  });

  it('is by target, leaves out what has no price, and knows nothing of requests that reached no model', () => {
    const meter = new CostMeter();
    const rows = [
      { ...OK, cost_picousd: 7 },
      { ...OK, cost_picousd: -1 },
      { ...OK, target_id: 5, model_id: 6, cost_picousd: -1 },
      { ...OK, target_id: 0, provider_id: 0, status: 401 },
    ];
    meter.add(recordWords(records(rows)), rows.length);
    expect(meter.sums()).toEqual([
      { providerId: 3, modelId: 2, cost: 7n, unpriced: 1 },
      { providerId: 3, modelId: 6, cost: 0n, unpriced: 1 },
    ]);
  });
});

describe('the recorder', () => {
  let dir: string;
  let store: Store;
  let source: FakeSource;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-costs-'));
    store = await openStore(dir);
    source = new FakeSource();
  });

  afterEach(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const open = (bootId: string) =>
    UsageRecorder.open({
      journal: source,
      onDamage: () => {},
      ledger: store.usage,
      bootId,
      retentionMs: 1e12,
      now: () => T0 + 60_000,
      onError: (error) => expect.fail(String(error)),
    });
  const total = async () => {
    const range = { fromMinute: 0, toMinute: 2 ** 40, groupBy: [], filter: {}, limit: 9, offset: 0 };
    const [row] = await store.usage.queryRollups(range);
    return [row?.sums.requests, row?.sums.unpriced, row?.cost];
  };

  it('keeps the cost of every request, with the version of the price, and their sum', async () => {
    source.waiting.push(
      records([
        { ...OK, cost_picousd: 450_000_000, prices_id: 8, service_tier: 2 },
        { ...OK, cost_picousd: -1, prices_id: 9 },
        OK,
      ]),
    );
    const recorder = await open('boot');
    await recorder.drain();
    await recorder.flush();
    expect(await total()).toEqual([3, 1, 450_000_000n]);
    const { requests } = await listRequests(store.usage, { fromMs: 0, toMs: 2 ** 50, limit: 9 });
    expect(requests.map(({ cost, pricesId, serviceTier }) => [cost, pricesId, serviceTier])).toEqual([
      [450_000_000n, 8, 2],
      [null, 9, 0],
      [0n, 0, 0],
    ]);
    expect(recorder.counters().costs).toMatchObject([{ cost: 450_000_000n, unpriced: 1 }]);
  });

  it('books what was stored before a crash at the cost of that time', async () => {
    source.waiting.push(records([{ ...OK, cost_picousd: 5 }]));
    const crashed = await open('boot-1');
    await crashed.drain();
    const next = await open('boot-2');
    expect(await total()).toEqual([1, 0, 5n]);
    source.waiting.push(records([{ ...OK, cost_picousd: 120 }]));
    await next.stop();
    expect(await total()).toEqual([2, 0, 125n]);
  });

  it('sums exactly what is beyond any number of SQLite or JavaScript', async () => {
    const recorder = await open('boot');
    for (let round = 0; round < 5; round += 1) {
      source.waiting.push(
        records([
          { ...OK, cost_picousd: MOST - 1n },
          { ...OK, cost_picousd: 3 },
        ]),
      );
      await recorder.drain();
      await recorder.flush();
    }
    expect((await total())[2]).toBe(5n * (MOST + 2n));
    await recorder.stop();
  });
});
