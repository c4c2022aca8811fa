/** How the process stops: in order when it is asked to, at once when it is asked twice, and in no case with a crash. */

import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Gateway } from './support/gateway.js';
import { ask, type Answer } from './support/http.js';
import { emptyDirectory, isBuilt, launch, PROGRAM } from './support/program.js';
import { chatHandler, Upstream } from './support/upstream.js';
import { eventually } from './support/wait.js';

const SIGNALLER = pathToFileURL(join(import.meta.dirname, 'scripts', 'signal-at-banner.mjs')).href;

let upstream: Upstream;

beforeAll(async () => {
  upstream = await Upstream.start();
});

const STREAM = JSON.stringify({ model: 'any', stream: true, messages: [] });
const WHOLE = JSON.stringify({ model: 'any', messages: [] });

function config(timeouts: Record<string, string>): Record<string, unknown> {
  return { timeouts, providers: { scripted: { base_url: upstream.url, auth: 'none' } } };
}

/** Starts streams of a known number of words, and waits until all of them run. */
async function openStreams(
  gateway: Gateway,
  count: number,
  words: number,
  gapMs: number,
): Promise<Promise<Answer>[]> {
  const before = upstream.requests.length;
  upstream.handler = chatHandler({ words: Array<string>(words).fill('word '), gapMs });
  const streams = Array.from({ length: count }, () =>
    ask(`${gateway.url}/chat/completions`, { body: STREAM }),
  );
  for (const stream of streams) stream.catch(() => {}); // looked at later
  await eventually('the streams to run', () => upstream.requests.length === before + count);
  return streams;
}

async function status(url: string): Promise<number> {
  return (await ask(url)).status;
}

/** Whether the listener takes connections. */
function isOpen(origin: string): Promise<boolean> {
  return new Promise((resolve) => {
    const { port, hostname } = new URL(origin);
    const socket = connect(Number(port), hostname);
    const tell = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.on('connect', () => tell(true)).on('error', () => tell(false));
  });
}

/** Connects, sends a part of a request, and leaves it at that. */
function sendHalf(url: string, half: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => {
      socket.write(half, () => resolve(socket));
    });
    socket.on('error', reject);
  });
}

describe.skipIf(!isBuilt)('SIGTERM', () => {
  it('turns readiness off, then closes the listeners, lets streams finish, stores their records, and ends with 0', async () => {
    const gateway = await Gateway.start({ config: config({ drain_lag: '600ms' }) });
    const streams = await openStreams(gateway, 20, 40, 50);
    expect(await status(`${gateway.origin}/readyz`)).toBe(200);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await ask(`${gateway.origin}/healthz`, { agent })).status).toBe(200);

    gateway.process.child.kill('SIGTERM');
    await eventually('readiness to be off', async () => (await status(`${gateway.origin}/readyz`)) === 503);
    // While load balancers look elsewhere, everything is served all the same.
    expect(await status(`${gateway.origin}/healthz`)).toBe(200);
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503);
    upstream.handler = chatHandler();
    expect((await ask(`${gateway.url}/chat/completions`, { body: WHOLE })).status).toBe(200);

    await eventually('the listener to close', async () => !(await isOpen(gateway.origin)));
    expect(gateway.process.child.exitCode).toBeNull(); // the streams still run
    await expect(ask(`${gateway.origin}/healthz`, { agent })).rejects.toThrow(); // idle connections are closed too

    for (const { body, isWhole, status: sent } of await Promise.all(streams)) {
      expect([sent, isWhole]).toEqual([200, true]);
      expect(body.toString().match(/word /g)).toHaveLength(40);
      expect(body.toString()).toMatch(/data: \[DONE\]\n\n$/);
    }
    expect(await gateway.process.ended).toEqual({ code: 0, signal: null });
    expect(gateway.process.err()).toMatch(/stopped\n$/);

    const again = await Gateway.start({ config: config({}), directory: gateway.directory });
    const rows = await again.rows();
    expect(rows).toHaveLength(21);
    expect(rows.filter(({ stream }) => stream)).toHaveLength(20);
    for (const row of rows)
      expect(row).toMatchObject({
        status: 200,
        estimated: false,
        input_tokens: 11,
        output_tokens: 7,
        error: null,
      });
    const { rows: sums } = await again.admin<{ rows: object[] }>('/admin/v1/usage');
    expect(sums).toMatchObject([{ requests: 21, input_tokens: 231, output_tokens: 147 }]);
    expect(await again.stop()).toEqual({ code: 0, signal: null });
  });

  it('cuts off what runs beyond the deadline, and stores that too', async () => {
    const gateway = await Gateway.start({ config: config({ drain: '300ms' }) });
    const streams = await openStreams(gateway, 3, 1_000, 50);
    const begun = performance.now();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(gateway.process.err()).toContain('3 requests ran into the deadline and were cut off');
    for (const { isWhole, body } of await Promise.all(streams)) {
      expect(isWhole).toBe(false);
      expect(body.toString()).not.toContain('[DONE]');
    }
    const again = await Gateway.start({ config: config({}), directory: gateway.directory });
    const rows = await again.rows();
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row).toMatchObject({ stream: true, estimated: true });
    await again.stop();
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('and a second signal, %s, ends it where it is', async (signal, code) => {
    const gateway = await Gateway.start({ config: config({}) });
    const streams = await openStreams(gateway, 10, 1_000, 50);
    gateway.process.child.kill('SIGTERM');
    await eventually('the first signal to be taken', () => gateway.process.err().includes('a second signal'));
    const begun = performance.now();
    gateway.process.child.kill(signal);
    expect(await gateway.process.ended).toEqual({ code, signal: null });
    expect(performance.now() - begun).toBeLessThan(2_000);
    for (const stream of streams) {
      const cut = await stream.catch(() => null);
      expect(cut?.isWhole ?? false).toBe(false);
    }
  });

  it('does not wait for whoever has sent half a request', async () => {
    const gateway = await Gateway.start({ config: config({ drain: '300ms' }) });
    const halves = ['', 'POST /v1/chat/', 'GET /readyz HTTP/1.1\r\nhost: localhost\r\n'];
    const opened = [gateway.origin, gateway.adminUrl].flatMap((url) =>
      halves.map((half) => sendHalf(url, half)),
    );
    const sockets = await Promise.all(opened);
    const begun = performance.now();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(8_000);
    for (const socket of sockets) socket.destroy();
  });

  it('is heard as soon as the gateway says that it serves', async () => {
    const directory = emptyDirectory();
    const options = ['start', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'];
    const { ended, out } = launch(process.execPath, ['--import', SIGNALLER, PROGRAM, ...options], {
      directory,
    });
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(out()).toContain('is serving');
  });

  it('with nothing under way ends at once', async () => {
    const gateway = await Gateway.start({ config: config({}) });
    await ask(`${gateway.origin}/healthz`, { agent: new Agent({ keepAlive: true }) }); // stays connected
    const begun = performance.now();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

describe.skipIf(!isBuilt)('a gateway whose output nobody reads any more', () => {
  it('goes on serving and reloading', async () => {
    upstream.handler = chatHandler();
    const gateway = await Gateway.start({ config: config({}) });
    const { stdout, stderr } = gateway.process.child;
    stdout?.destroy();
    stderr?.destroy();
    for (let version = 2; version <= 4; version += 1) {
      const report = await gateway.admin('/admin/v1/config/reload', { method: 'POST' }); // is logged
      expect(report).toMatchObject({ ok: true, version });
      expect((await ask(`${gateway.url}/chat/completions`, { body: WHOLE })).status).toBe(200);
      await sleep(20);
    }
    expect(gateway.process.child.exitCode).toBeNull();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
  });
});
