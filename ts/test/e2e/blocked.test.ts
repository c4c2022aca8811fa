/** The control plane stands still; the data plane does not notice. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoProvider, type DemoProvider } from '../../src/bridge/index.js';
import { Gateway } from './support/gateway.js';
import { openLoop, undisturbed } from './support/load.js';
import { isBuilt } from './support/program.js';
import { eventually } from './support/wait.js';

const BLOCKER = pathToFileURL(join(import.meta.dirname, 'scripts', 'block-on-signal.mjs')).href;
/** The loop is blocked for five of these. */
const LOAD_MS = 7_000;

let demo: DemoProvider;
let gateway: Gateway;

beforeAll(async () => {
  demo = startDemoProvider({ delay_ms: 5, chunks: 20, chunk_gap_ms: 5 });
  gateway = await Gateway.start({
    config: { providers: { demo: { base_url: `http://${demo.address}/v1`, auth: 'none' } } },
    nodeOptions: ['--import', BLOCKER],
  });
});

afterAll(() => demo.stop());

describe.skipIf(!isBuilt)('an event loop that is blocked for five seconds', () => {
  it('delays the admin API, and no request and no stream', { timeout: 60_000 }, async () => {
    const requests = { url: gateway.url, model: 'any', requestsPerSecond: 500, durationMs: LOAD_MS };
    const streams = {
      url: gateway.url,
      model: 'any',
      requestsPerSecond: 20,
      durationMs: LOAD_MS,
      stream: true,
    };
    const reports = [openLoop(requests), openLoop(streams)];
    await eventually('the load', async () => (await gateway.metrics()).sum('sluice_requests_total') > 100);

    gateway.process.child.kill('SIGUSR2');
    await new Promise((resolve) => setTimeout(resolve, 200)); // until the signal has arrived
    const begun = performance.now();
    await gateway.admin('/admin/v1/health');
    const adminWaitedMs = performance.now() - begun;
    expect(gateway.process.err()).toMatch(/blocked for 5\d{3}/);
    expect(adminWaitedMs).toBeGreaterThan(4_000);

    const [whole, streamed] = await Promise.all(reports);
    expect(whole).toMatchObject(undisturbed(requests));
    expect(streamed).toMatchObject(undisturbed(streams));
    // Nobody waited for the control plane: a request that did would have taken seconds.
    expect(whole?.latency.max_us).toBeLessThan(2_500_000);
    expect(streamed?.gap?.max_us).toBeLessThan(2_500_000);
  });

  it('loses no record', async () => {
    const expected = (500 * LOAD_MS) / 1_000 + (20 * LOAD_MS) / 1_000;
    await eventually('all records', async () => {
      const { recording } = await gateway.admin<{ recording: { records: number; records_lost: number } }>(
        '/admin/v1/health',
      );
      expect(recording.records_lost).toBe(0);
      return recording.records === expected;
    });
    const { rows } = await gateway.admin<{ rows: { requests: number }[] }>('/admin/v1/usage');
    expect(rows).toMatchObject([{ requests: expected }]);
  });
});
