/** What a killed run left in the journal, and how it comes into the store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RECORD_BYTES } from '../../src/bridge/generated/record.js';
import { openStore, type Store } from '../../src/store/index.js';
import type { RecordBatch } from '../../src/usage/ports.js';
import { decodeRecord, widened } from '../../src/usage/record.js';
import { type RecorderOptions, UsageRecorder } from '../../src/usage/recorder.js';
import { batchOf, FakeSource, OK, records, T0 } from './records.js';

let dir: string;
let store: Store;
let journal: FakeSource;
let now: number;
let errors: unknown[];
let damaged: string[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-recovery-'));
  store = await openStore(dir);
  journal = new FakeSource();
  now = T0 + 60_000;
  errors = [];
  damaged = [];
});

afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function open(bootId: string, over: Partial<RecorderOptions> = {}): Promise<UsageRecorder> {
  return UsageRecorder.open({
    journal,
    ledger: store.usage,
    bootId,
    retentionMs: 1e12,
    now: () => now,
    onError: (error) => errors.push(error),
    onDamage: (run) => damaged.push(run),
    ...over,
  });
}

/** One record per frame; its number is its request id and that of the frame. */
const frame = (number: number): Buffer => records([{ ...OK, request_id: number }]);

/** Frames from one sequence to another in one batch, as a journal gives them out together. */
function frames(from: number, to: number): RecordBatch {
  const numbers = Array.from({ length: to - from + 1 }, (_, at) => from + at);
  return batchOf(to, Buffer.concat(numbers.map(frame)));
}

/** Request numbers in the store, and how many the reports count. */
async function stored(): Promise<{ numbers: number[]; counted: number }> {
  const found = await store.usage.querySegments({ fromMs: 0, toMs: 2 ** 50, limit: 10_000 });
  const numbers = found.flatMap(({ records: bytes, count }) =>
    Array.from({ length: count }, (_, at) => Number.parseInt(decodeRecord(bytes, at).requestId, 16)),
  );
  const range = { fromMinute: 0, toMinute: 2 ** 40, groupBy: [], filter: {}, limit: 1, offset: 0 };
  const [row] = await store.usage.queryRollups(range);
  return { numbers: numbers.sort((a, b) => a - b), counted: row?.sums.requests ?? 0 };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

describe('recovery', () => {
  it('stores and sums what a run left, once, and has it forgotten', async () => {
    journal.left.set('dead', [frames(1, 4), frames(5, 9)]);
    const recorder = await open('heir');
    expect(await stored()).toEqual({ numbers: upTo(9), counted: 9 });
    expect(recorder.counters().recovered).toBe(9);
    expect(journal.leftBehind()).toEqual([]);
    expect(damaged).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('leaves out what the store has, however it was cut into batches, and what has expired since', async () => {
    const dead = await store.usage.openBoot('dead');
    const span = { firstMs: T0, lastMs: T0 };
    const write = (sequence: number, bytes: Buffer) =>
      store.usage.writeSegments(dead.id, [
        { sequence, count: bytes.length / RECORD_BYTES, records: bytes, ...span },
      ]);
    await write(3, frames(1, 3).records as Buffer);
    await write(5, frames(4, 5).records as Buffer);
    journal.recover = (_, after) => (after < 8 ? frames(after + 1, 8) : null);
    journal.left.set('dead', []);
    await open('heir');
    expect(await stored()).toEqual({ numbers: upTo(8), counted: 8 });

    expect(await store.usage.deleteSegments(T0 + 1_000_000, 10)).toBe(3);
    journal.left.set('dead', []);
    await open('heir-2');
    expect(await stored()).toEqual({ numbers: [], counted: 8 });
  });

  it('is tried again when the store could not be written, and files stay until then', async () => {
    journal.left.set('dead', [frames(1, 4)]);
    let broken = true;
    const ledger = new Proxy(store.usage, {
      get: (target, name, receiver) => {
        if (broken && name === 'writeSegments') return () => Promise.reject(new Error('disk full'));
        const value: unknown = Reflect.get(target, name, receiver);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const recorder = await open('heir', { ledger });
    expect(String(errors)).toContain('disk full');
    expect(journal.leftBehind()).toEqual(['dead']);
    broken = false;
    await recorder.drain();
    expect(await stored()).toEqual({ numbers: upTo(4), counted: 4 });
    expect(journal.leftBehind()).toEqual([]);
  });

  it('keeps the files when the store could not be synced', async () => {
    journal.left.set('dead', [frames(1, 4)]);
    const { usage } = store;
    usage.makeDurable = () => Promise.reject(new Error('busy'));
    await open('heir');
    expect(journal.leftBehind()).toEqual(['dead']);
    expect(await stored()).toEqual({ numbers: upTo(4), counted: 4 });
  });

  it('tells of damage', async () => {
    journal.left.set('dead', [frames(1, 4)]);
    journal.damage.set('dead', { cutBytes: 7, damagedBytes: 0, kept: [] });
    await open('heir');
    expect(damaged).toEqual(['dead']);
  });

  it('tells when the journal fails, once for each time', async () => {
    const recorder = await open('heir');
    journal.reading = { ...journal.reading, failures: 2, last_failure: 'cannot write to x: disk full' };
    await recorder.drain();
    await recorder.drain();
    expect(errors.map(String)).toEqual(['Error: the journal of usage records: cannot write to x: disk full']);
  });

  it('reads records of other versions', () => {
    const ours = records([OK, OK]);
    const later = Buffer.alloc(2 * (RECORD_BYTES + 16), 9);
    for (const at of [0, 1])
      ours.copy(later, at * (RECORD_BYTES + 16), at * RECORD_BYTES, (at + 1) * RECORD_BYTES);
    expect(Buffer.from(widened(later, 2))).toEqual(ours);
  });
});

describe('whatever happens between a run and the next', () => {
  /** What a run does, one step after the other. */
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('frames' as const), count: fc.integer({ min: 1, max: 5 }) }),
    },
    { weight: 4, arbitrary: fc.constant({ kind: 'drain' as const, count: 0 }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const, count: 0 }) },
  );

  it('stores and counts every record once', { timeout: 60_000 }, async () => {
    let run = 0;
    const property = fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 5 }),
      async (runs) => {
        const before = await stored();
        let number = before.numbers.at(-1) ?? 0;
        let left: { bootId: string; frames: Buffer[] }[] = [];
        for (const steps of runs) {
          run += 1;
          const bootId = `run-${run}`;
          const written: Buffer[] = [];
          let taken = 0;
          journal = new FakeSource();
          for (const dead of left) journal.left.set(dead.bootId, []);
          journal.recover = (dead, after) => {
            const all = left.find((found) => found.bootId === dead)?.frames ?? [];
            const some = all.slice(after, after + 3);
            return some.length === 0 ? null : batchOf(after + some.length, Buffer.concat(some));
          };
          journal.next = () => {
            const some = written.slice(taken, taken + 2);
            taken += some.length;
            return some.length === 0 ? null : batchOf(taken, Buffer.concat(some));
          };
          const recorder = await open(bootId);
          left = [];
          for (const { kind, count } of steps) {
            for (let at = 0; at < count; at += 1) written.push(frame((number += 1)));
            if (kind === 'drain') await recorder.drain();
            if (kind === 'flush') await recorder.flush();
          }
          left.push({ bootId, frames: written }); // and killed: all of its files are still there
        }
        journal = new FakeSource();
        for (const dead of left)
          journal.left.set(
            dead.bootId,
            dead.frames.map((bytes, at) => batchOf(at + 1, bytes)),
          );
        await open(`heir-${run}`);
        expect(await stored()).toEqual({ numbers: upTo(number), counted: number });
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});
