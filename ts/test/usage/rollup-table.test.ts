import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RECORD_BYTES, RECORD_FIELDS, UNPRICED } from '../../src/bridge/generated/record.js';
import { decodeRecord, recordCount, recordWords, statusClass, widened } from '../../src/usage/record.js';
import { RollupTable } from '../../src/usage/rollup-table.js';
import { OK, type RecordFields, records, T0 } from './records.js';

const fields: fc.Arbitrary<RecordFields> = fc.record({
  started_at_ms: fc.integer({ min: T0, max: T0 + 300_000 }),
  key_id: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 0xffff_ffff })),
  model_id: fc.integer({ min: 0, max: 3 }),
  provider_id: fc.integer({ min: 0, max: 2 }),
  input_tokens: fc.integer({ min: 0, max: 0xffff_ffff }),
  cached_input_tokens: fc.integer({ min: 0, max: 0xffff_ffff }),
  cache_write_tokens: fc.nat(1_000),
  output_tokens: fc.nat(100_000),
  reasoning_tokens: fc.nat(1_000),
  cache_write_1h_tokens: fc.nat(1_000),
  audio_input_tokens: fc.integer({ min: 0, max: 0xffff_ffff }),
  image_input_tokens: fc.nat(1_000),
  audio_output_tokens: fc.nat(1_000),
  image_output_tokens: fc.integer({ min: 0, max: 0xffff_ffff }),
  duration_us: fc.integer({ min: 0, max: 0xffff_ffff }),
  gateway_us: fc.nat(10_000),
  status: fc.constantFrom(200, 204, 301, 400, 429, 499, 500, 502, 599),
  route: fc.integer({ min: 1, max: 7 }),
  flags: fc.nat(15),
  error: fc.nat(25),
});

/** A record and what it cost, in pico-USD. */
const priced = fc.tuple(fields, fc.oneof(fc.constant(UNPRICED), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })));
type Priced = readonly [RecordFields, bigint];

/** The same sums the plain way, the cost as the last. */
function naive(rows: readonly Priced[]): Map<string, (number | bigint)[]> {
  const sums = new Map<string, number[]>();
  const costs = new Map<string, bigint>();
  for (const [row, cost] of rows) {
    const key = [
      Math.floor(row.started_at_ms! / 60_000),
      row.key_id,
      row.model_id,
      row.provider_id,
      row.route,
    ];
    const name = [...key, statusClass(row.status!)].join();
    const flags = row.flags!;
    const values = [
      1,
      row.input_tokens!,
      row.cached_input_tokens!,
      row.cache_write_tokens!,
      row.output_tokens!,
      row.reasoning_tokens!,
      row.cache_write_1h_tokens!,
      row.audio_input_tokens!,
      row.image_input_tokens!,
      row.audio_output_tokens!,
      row.image_output_tokens!,
      row.error ? 1 : 0,
      flags & 4 ? 1 : 0,
      flags & 2 ? 1 : 0,
      cost === UNPRICED ? 1 : 0,
      row.duration_us!,
      row.gateway_us!,
    ];
    sums.set(
      name,
      values.map((value, at) => value + (sums.get(name)?.[at] ?? 0)),
    );
    costs.set(name, (costs.get(name) ?? 0n) + (cost === UNPRICED ? 0n : cost));
  }
  return new Map([...sums].map(([name, values]) => [name, [...values, costs.get(name) ?? 0n]]));
}

function contents(table: RollupTable): Map<string, (number | bigint)[]> {
  const found = new Map<string, (number | bigint)[]>();
  table.forEach((key, sums, cost) => found.set(key.join(), [...sums, cost]));
  return found;
}

describe('decodeRecord', () => {
  it('reads every field from its place', () => {
    const row = Object.fromEntries(
      Object.entries(RECORD_FIELDS).map(([name, field], at) => [name, field.kind === 'u8' ? at : 1_000 + at]),
    );
    const decoded = decodeRecord(records([OK, { ...row, request_id: 0xabcd }]), 1);
    expect(decoded.requestId).toBe('0000000000000000000000000000abcd'.slice(-32));
    const byName = Object.entries(decoded).filter(([name]) => name !== 'requestId');
    const snake = (name: string) => name.replace(/[A-Z]|1h/g, (part) => `_${part.toLowerCase()}`);
    expect(Object.fromEntries(byName.map(([name, value]) => [snake(name), Number(value)]))).toEqual({
      ...row,
      request_id: undefined,
    });
  });

  it('reads times beyond 32 bits', () => {
    expect(decodeRecord(records([{ started_at_ms: 2 ** 40 + 7 }]), 0).startedAtMs).toBe(2 ** 40 + 7);
  });
});

describe('widened', () => {
  it('reads records that were stored before they were longer', () => {
    const FORMER_BYTES = 96;
    const wide = records([OK, { ...OK, key_id: 7 }]);
    const former = Buffer.concat([
      wide.subarray(0, FORMER_BYTES),
      wide.subarray(RECORD_BYTES, RECORD_BYTES + FORMER_BYTES),
    ]);
    const read = (costs: Buffer | null) => Buffer.from(widened(former, 2, costs));
    const unknown = { cost_picousd: -1 };
    expect(read(null)).toEqual(
      records([
        { ...OK, ...unknown },
        { ...OK, key_id: 7, ...unknown },
      ]),
    );
    const costs = Buffer.alloc(16);
    costs.writeBigInt64LE(2n ** 40n + 5n);
    costs.writeBigInt64LE(-1n, 8);
    expect(read(costs)).toEqual(
      records([
        { ...OK, cost_picousd: 2n ** 40n + 5n },
        { ...OK, key_id: 7, ...unknown },
      ]),
    );
    expect(widened(wide, 2)).toBe(wide);
    expect(widened(Buffer.alloc(0), 0)).toHaveLength(0);
  });
});

describe('recordWords', () => {
  it('reads a buffer that does not lie on a word boundary', () => {
    const shifted = Buffer.alloc(RECORD_BYTES + 1);
    records([OK]).copy(shifted, 1);
    const table = new RollupTable();
    const bytes = shifted.subarray(1);
    expect(bytes.byteOffset % 4).not.toBe(0);
    table.add(recordWords(bytes), recordCount(bytes));
    expect([...contents(table).values()][0]?.slice(0, 2)).toEqual([1, 100]);
  });
});

describe('statusClass', () => {
  it.each([
    [200, 0],
    [299, 0],
    [304, 1],
    [404, 2],
    [498, 2],
    [499, 4],
    [500, 3],
    [599, 3],
  ])('puts %i into class %i', (status, expected) => expect(statusClass(status)).toBe(expected));
});

describe('RollupTable', () => {
  it('sums as the plain way does, however the records are batched', () => {
    fc.assert(
      fc.property(fc.array(fc.array(priced, { maxLength: 200 }), { maxLength: 20 }), (batches) => {
        const table = new RollupTable();
        for (const batch of batches) {
          const bytes = records(batch.map(([row, cost]) => ({ ...row, cost_picousd: cost })));
          table.add(recordWords(bytes), batch.length);
        }
        expect(contents(table)).toEqual(naive(batches.flat()));
      }),
      { numRuns: 100 },
    );
  });

  it('tells when the first and the last record of a batch finished', () => {
    const rows = [4_000, 1_000, 9_000].map((at) => ({ ...OK, started_at_ms: T0 + at, duration_us: 2_999 }));
    expect(new RollupTable().add(recordWords(records(rows)), 3)).toEqual({
      firstMs: T0 + 1_002,
      lastMs: T0 + 9_002,
    });
  });

  it('sums a request into the minute of its beginning, where limits have counted it', () => {
    const table = new RollupTable();
    table.add(recordWords(records([{ ...OK, started_at_ms: T0 + 59_999, duration_us: 90_000_000 }])), 1);
    expect([...contents(table).keys()].map((key) => key.split(',')[0])).toEqual([String(T0 / 60_000)]);
  });

  it('grows over many combinations and starts empty after a clear', () => {
    const rows = Array.from({ length: 20_000 }, (_, key_id) => ({ ...OK, key_id: key_id * 4_099 }));
    const table = new RollupTable();
    for (let round = 0; round < 2; round += 1) {
      table.add(recordWords(records(rows)), rows.length);
      expect(table.size).toBe(rows.length);
      expect([...contents(table).values()].every((sums) => sums[0] === 1 && sums[1] === 100)).toBe(true);
      table.clear();
      expect(table.size).toBe(0);
    }
  });

  it('keeps the totals when it is full, and counts what it could not attribute', () => {
    const rows = Array.from({ length: 1_000 }, (_, key_id) => ({ ...OK, key_id: key_id + 1 }));
    const table = new RollupTable(10);
    table.add(recordWords(records(rows)), rows.length);
    const sums = [...contents(table).values()];
    expect(sums.reduce((total, sum) => total + Number(sum[1]), 0)).toBe(100_000);
    expect(table.size).toBe(11);
    expect(table.unattributed).toBe(990);
  });
});
