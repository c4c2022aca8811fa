/** What recording costs: its CPU is part of the gateway's CPU per request, so it has a budget. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import { UsageRecorder } from '../../src/usage/recorder.js';
import { FakeSource, OK, records, T0 } from './records.js';

const BUDGET_US_PER_RECORD = 0.7;
/** Records per drain at 30,000 requests a second. */
const BATCH = 6_000;
const SECONDS = 20;

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
  { timeout: 60_000 },
  async (keys) => {
    const source = new FakeSource();
    let now = T0;
    const recorder = await UsageRecorder.open({
      source,
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
    }));
    let spentUs = 0;
    for (let tick = 0; tick < SECONDS * 5; tick += 1) {
      source.waiting.push(records(rows.map((row) => ({ ...row, started_at_ms: now }))));
      const before = process.cpuUsage();
      await recorder.drain();
      const used = process.cpuUsage(before);
      spentUs += used.user + used.system;
      now += 200;
    }
    const perRecord = spentUs / (BATCH * SECONDS * 5);
    process.stdout.write(`recording with ${keys} keys: ${perRecord.toFixed(3)} µs of CPU per record\n`);
    expect(perRecord).toBeLessThan(BUDGET_US_PER_RECORD);
  },
);
