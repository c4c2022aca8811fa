/** What recording costs: its CPU is part of the gateway's CPU per request, so it has a budget. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import { UsageRecorder } from '../../src/usage/recorder.js';
import { begunAt, FakeSource, OK, records, T0 } from './records.js';

const BUDGET_US_PER_RECORD = 1.2;
/** Records per drain at 30,000 requests a second. */
const BATCH = 6_000;
const DRAIN_MS = 200;
/** Drains measured together: as many as lie between two writes of rollups. */
const DRAINS_PER_ROUND = 150;
/** The cheapest round counts, since whatever else runs on the machine only ever adds. */
const ROUNDS = 3;

let dir: string;
let store: Store;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-cost-'));
  store = await openStore(dir);
});

afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

it.each([1, 100, 5_000])(
  'stays in budget with %i keys at 30,000 requests a second',
  { timeout: 120_000 },
  async (keys) => {
    const source = new FakeSource();
    let now = T0;
    const recorder = await UsageRecorder.open({
      journal: source,
      onDamage: () => {},
      ledger: store.usage,
      bootId: 'boot',
      retentionMs: 1e12,
      now: () => now,
      onError: (error) => expect.fail(String(error)),
    });
    const rows = Array.from({ length: BATCH }, (_, at) => ({
      ...OK,
      key_id: 1 + ((at * 7_919) % keys),
      model_id: 1 + (at % 5),
      cost_picousd: 7_000_000_000 + at,
    }));
    const template = records(rows);
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      let spentUs = 0;
      for (let drain = 0; drain < DRAINS_PER_ROUND; drain += 1) {
        source.waiting.push(begunAt(template, now));
        const before = process.cpuUsage();
        await recorder.drain();
        const used = process.cpuUsage(before);
        spentUs += used.user + used.system;
        now += DRAIN_MS;
      }
      rounds.push(spentUs / (BATCH * DRAINS_PER_ROUND));
    }
    const figures = rounds.map((round) => round.toFixed(2)).join(', ');
    process.stdout.write(`recording with ${keys} keys: ${figures} µs of CPU per record\n`);
    expect(Math.min(...rounds)).toBeLessThan(BUDGET_US_PER_RECORD);
  },
);
