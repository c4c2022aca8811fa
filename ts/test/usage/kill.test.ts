import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore } from '../../src/store/index.js';
import { UsageRecorder } from '../../src/usage/recorder.js';
import { compileSources } from '../store/compiled.js';
import { FakeSource, OK, records } from './records.js';

const BATCH = 500;
/** What each record cost, in pico-USD. */
const COST = 2n ** 33n + 5n;
let code: string;
let dir: string;

beforeAll(() => {
  code = compileSources();
  dir = mkdtempSync(join(tmpdir(), 'sluice-kill-'));
  writeFileSync(
    join(dir, 'batch.bin'),
    records(Array.from({ length: BATCH }, () => ({ ...OK, cost_picousd: COST }))),
  );
});

afterAll(() => {
  rmSync(code, { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
});

/** Records batches without end, writing rollups after every third; prints the number of each batch once it is stored. */
function writer(bootId: string): ChildProcess {
  const url = (path: string) => JSON.stringify(pathToFileURL(join(code, path)).href);
  const script = `
    import { readFileSync } from 'node:fs';
    import { openStore } from ${url('store/index.js')};
    import { UsageRecorder } from ${url('usage/recorder.js')};
    const bytes = readFileSync(${JSON.stringify(join(dir, 'batch.bin'))});
    let waiting = [];
    const recorder = await UsageRecorder.open({
      journal: {
        next: () => waiting.shift() ?? null,
        acknowledge: () => {},
        leftBehind: () => [],
        stats: () => ({ failures: 0, crowded: false }),
      },
      ledger: (await openStore(${JSON.stringify(dir)})).usage,
      bootId: ${JSON.stringify(bootId)},
      retentionMs: 1e15,
      now: () => Date.now(),
      onError: (error) => { console.error(error); process.exit(1); },
    });
    for (let stored = 1; ; stored += 1) {
      waiting.push({ sequence: stored, count: ${BATCH}, records: Buffer.from(bytes) });
      await recorder.drain();
      if (stored % 3 === 0) await recorder.flush();
      process.stdout.write(stored + '\\n');
      await new Promise(setImmediate);
    }`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Kills the writer after it has stored some batches; resolves with how many it had reported. */
function killAfter(child: ChildProcess, batches: number): Promise<number> {
  let output = '';
  return new Promise((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split('\n').length > batches) child.kill('SIGKILL');
    });
    child.on('exit', () => resolve(output.split('\n').filter(Boolean).length));
  });
}

it(
  'a killed process loses no stored batch, and each is counted once after a restart',
  { timeout: 60_000 },
  async () => {
    let reported = 0;
    for (const [round, batches] of [5, 23, 70].entries())
      reported += await killAfter(writer(`boot-${round}`), batches);
    const store = await openStore(dir);
    const source = new FakeSource();
    const options = {
      journal: source,
      onDamage: () => {},
      ledger: store.usage,
      retentionMs: 1e15,
      now: () => Date.now(),
    };
    await UsageRecorder.open({
      ...options,
      bootId: 'after',
      onError: (error) => {
        throw error;
      },
    });
    const everything = { fromMs: 0, toMs: 2 ** 50, limit: 100_000 };
    const stored = (await store.usage.querySegments(everything)).length;
    expect(stored).toBeGreaterThanOrEqual(reported);
    expect(stored).toBeLessThanOrEqual(reported + 3);
    const range = { fromMinute: 0, toMinute: 2 ** 40, groupBy: [], filter: {}, limit: 1, offset: 0 };
    const [total] = await store.usage.queryRollups(range);
    expect(total?.sums.requests).toBe(stored * BATCH);
    expect(total?.sums.input_tokens).toBe(stored * BATCH * 100);
    expect(total?.cost).toBe(BigInt(stored * BATCH) * COST);
    expect(total?.sums.unpriced).toBe(0);
    await store.close();
  },
);
