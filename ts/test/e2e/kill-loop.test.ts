/** Check 87: a gateway that is killed at random moments under load. `npm run kill-loop` does it 200 times. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../scripts/lib/tree.mjs';
import { Gateway } from './support/gateway.js';
import { isBuilt } from './support/program.js';
import { eventually } from './support/wait.js';

const ROUNDS = 5;

/** What a machine that is busy with other tests may add to the window: the thread that writes waits for its turn. */
const SLACK_MS = 1_000;

interface Report {
  readonly rounds: number;
  readonly answered: number;
  readonly rows: number;
  readonly problems: readonly string[];
}

describe.skipIf(!isBuilt)('check 87: kill -9', () => {
  it('loses nothing outside the window, and counts nothing twice', { timeout: 120_000 }, async () => {
    const script = join(ROOT, 'scripts', 'kill-loop.mjs');
    const args = [script, '--rounds', String(ROUNDS), '--seed', '87', '--slack', String(SLACK_MS), '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({ rounds: ROUNDS, problems: [] });
    expect(report.answered).toBeGreaterThan(100);
    expect(report.rows).toBeGreaterThan(100);
  });
});

describe.skipIf(!isBuilt)('a data directory', () => {
  const config = { providers: { demo: {} } };

  it('belongs to one gateway, until that one is gone', { timeout: 60_000 }, async () => {
    const first = await Gateway.start({ config });
    const second = Gateway.start({ config, directory: first.directory });
    await expect(second).rejects.toThrow(
      new RegExp(
        `could not start: another gateway \\(process ${first.process.child.pid}\\) is using .*journal`,
      ),
    );
    expect((await first.stop()).code).toBe(0);
    const third = await Gateway.start({ config, directory: first.directory });
    expect(await third.stop('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    const fourth = await Gateway.start({ config, directory: first.directory });
    await fourth.stop();
  });

  it('has what a killed gateway had written, and the metrics tell of it', { timeout: 60_000 }, async () => {
    const doomed = await Gateway.start({ config });
    const ask = () =>
      fetch(`${doomed.url}/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: 'Bearer sk-test-virtual-0123456789abcdef',
          'content-type': 'application/json',
        },
        body: '{"model":"demo","messages":[{"role":"user","content":"x"}]}',
      }).then((response) => response.text());
    await Promise.all(Array.from({ length: 20 }, ask));
    await eventually('the journal', async () => {
      return (await doomed.metrics()).sum('sluice_usage_journal_records_total') === 20;
    });
    await doomed.stop('SIGKILL');
    const heir = await Gateway.start({ config, directory: doomed.directory });
    expect(await heir.rows()).toHaveLength(20);
    const metrics = await heir.metrics();
    expect(metrics.sum('sluice_usage_journal_records_lost_total')).toBe(0);
    expect(metrics.sum('sluice_usage_journal_failures_total')).toBe(0);
    await heir.stop();
  });
});
