import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPrice } from '../../src/prices/index.js';
import { openStore, type Store } from '../../src/store/index.js';
import { CostMeter, type Prices } from '../../src/usage/costs.js';
import { listRequests, UsageRecorder } from '../../src/usage/index.js';
import { recordWords } from '../../src/usage/record.js';
import { FakeSource, OK, type RecordFields, records, T0 } from './records.js';

const PRICED = 4;
const FREE = 5;
const BY_REQUEST = 6;
const NOT_PRICED = 7;
const PRICES: Prices = {
  version: 'v1',
  byTarget: new Map([
    [PRICED, { price: readPrice('m|i2500000 r1250000 o10000000'), context: {} }],
    [FREE, { price: readPrice('m|i0 o0'), context: {} }],
    [BY_REQUEST, { price: readPrice('m|i0 o0 q2000000000'), context: {} }],
    [NOT_PRICED, null],
  ]),
};
/** 100 × 2,500,000 + 20 × 10,000,000. */
const OK_COST = 450_000_000n;

function costs(...rows: RecordFields[]): bigint[] {
  const meter = new CostMeter(() => PRICES);
  return [...meter.costsOf(recordWords(records(rows)), rows.length).costs];
}

describe('the cost of a record', () => {
  it('is that of its tokens by the price of its target', () => {
    expect(costs(OK, { ...OK, cached_input_tokens: 40 })).toEqual([OK_COST, OK_COST - 50_000_000n]);
  });

  it('is unknown where the target has no price, and nothing where no provider was asked', () => {
    const refused = { ...OK, target_id: 0, provider_id: 0, status: 401, input_tokens: 0, output_tokens: 0 };
    expect(costs({ ...OK, target_id: NOT_PRICED }, { ...OK, target_id: 99 }, refused)).toEqual([
      -1n,
      -1n,
      0n,
    ]);
  });

  it('is nothing where the price is', () => {
    expect(costs({ ...OK, target_id: FREE })).toEqual([0n]);
  });

  it('has the price of a request, unless it failed without a token', () => {
    const asked = { ...OK, target_id: BY_REQUEST, input_tokens: 0, output_tokens: 0 };
    const gone = { ...asked, status: 499, input_tokens: 5 };
    expect(costs(asked, { ...asked, status: 500 }, gone)).toEqual([2_000_000_000n, 0n, 2_000_000_000n]);
  });

  it('counts what an aborted or estimated request has used', () => {
    expect(costs({ ...OK, status: 499, flags: 6 })).toEqual([OK_COST]);
  });

  it('stops at what can be stored', () => {
    const dear = { price: readPrice('m|i10000000000 o10000000000'), context: { factor: 1_000_000n } };
    const meter = new CostMeter(() => ({ version: 'v', byTarget: new Map([[PRICED, dear]]) }));
    const words = recordWords(records([{ ...OK, input_tokens: 0xffff_ffff }]));
    expect([...meter.costsOf(words, 1).costs]).toEqual([2n ** 63n - 1n]);
  });
});

describe('the recorder', () => {
  let dir: string;
  let store: Store;
  let source: FakeSource;
  let prices: Prices;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-costs-'));
    store = await openStore(dir);
    source = new FakeSource();
    prices = PRICES;
  });

  afterEach(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const open = (bootId: string) =>
    UsageRecorder.open({
      source,
      ledger: store.usage,
      prices: () => prices,
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
  const listed = async () => {
    const { requests } = await listRequests(store.usage, { fromMs: 0, toMs: 2 ** 50, limit: 9 });
    return requests.map(({ cost, priceVersion }) => [cost, priceVersion]);
  };

  it('keeps the cost of every request, with the version of the price, and their sum', async () => {
    source.waiting.push(records([OK, { ...OK, target_id: NOT_PRICED }, { ...OK, target_id: FREE }]));
    const recorder = await open('boot');
    await recorder.drain();
    await recorder.flush();
    expect(await total()).toEqual([3, 1, OK_COST]);
    expect(await listed()).toEqual([
      [OK_COST, 'v1'],
      [null, 'v1'],
      [0n, 'v1'],
    ]);
    expect(recorder.counters().costs).toEqual([
      { providerId: 3, modelId: 2, cost: OK_COST, unpriced: 0 },
      { providerId: 3, modelId: 2, cost: 0n, unpriced: 1 },
      { providerId: 3, modelId: 2, cost: 0n, unpriced: 0 },
    ]);
  });

  it('books what was stored before a crash at the prices of that time', async () => {
    source.waiting.push(records([OK]));
    const crashed = await open('boot-1');
    await crashed.drain();
    prices = { version: 'v2', byTarget: new Map([[PRICED, { price: readPrice('m|i1 o1'), context: {} }]]) };
    const next = await open('boot-2');
    expect(await total()).toEqual([1, 0, OK_COST]);
    source.waiting.push(records([OK]));
    await next.stop();
    expect(await total()).toEqual([2, 0, OK_COST + 120n]);
    expect(new Set((await listed()).map(([, version]) => version))).toEqual(new Set(['v1', 'v2']));
  });

  it('sums exactly what is beyond any number of SQLite or JavaScript', async () => {
    const dear = { price: readPrice('m|i10000000000 o10000000000'), context: { factor: 999_999n } };
    prices = { version: 'v', byTarget: new Map([[PRICED, dear]]) };
    const recorder = await open('boot');
    const each = (5_000_020n * 10_000_000_000n * 999_999n) / 10_000n;
    for (let round = 0n; round < 5n; round += 1n) {
      source.waiting.push(records([{ ...OK, input_tokens: 5_000_000 }, OK]));
      await recorder.drain();
      await recorder.flush();
    }
    const small = (120n * 10_000_000_000n * 999_999n) / 10_000n;
    expect((await total())[2]).toBe(5n * (each + small));
    expect(5n * each).toBeGreaterThan(2n ** 63n);
    await recorder.stop();
  });
});
