/** The composition root, with everything real but the data plane. */

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SnapshotRefused } from '../../src/bridge/index.js';
import { processSurroundings } from '../../src/config/disk.js';
import { ConfigRefused } from '../../src/config/manager.js';
import { digestOf } from '../../src/governance/key-secret.js';
import { mintKey } from '../../src/governance/virtual-key.js';
import { startGateway, type Gateway } from '../../src/main.js';
import { openStore } from '../../src/store/index.js';
import { TokenServer } from '../credentials/server.js';
import { FakeDataPlane, record } from './fake-data-plane.js';

const PATIENCE = { timeout: 5_000, interval: 10 };
const BASE = 'listeners: { admin: { address: "127.0.0.1:0" } }\ntimeouts: { drain_lag: 0, drain: 200ms }\n';

let directory = '';
let file = '';
let plane: FakeDataPlane;
let gateway: Gateway | null = null;
const log: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-gateway-'));
  file = join(directory, 'sluice.yaml');
  plane = new FakeDataPlane();
  log.length = 0;
});

afterEach(async () => {
  await gateway?.drain();
  gateway = null;
  rmSync(directory, { recursive: true });
});

async function start(text = '', variables: Record<string, string> = {}): Promise<Gateway> {
  writeFileSync(file, `${BASE}data_dir: data\n${text}`);
  const surroundings = () => processSurroundings(variables);
  const options = {
    configFile: file,
    surroundings,
    version: '1.2.3',
    log: { write: (line: string) => log.push(line) },
  };
  gateway = await startGateway(options, plane.parts);
  return gateway;
}

async function stop(): Promise<{ cutOff: number }> {
  const result = await gateway!.drain();
  gateway = null;
  return result;
}

async function admin(path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
  const token = gateway?.generatedAdminToken ?? 'token-of-the-test-0123';
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const answer = await fetch(gateway!.adminUrl + path, { headers, ...post });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.includes('json') === true;
  return { status: answer.status, body: isJson ? (JSON.parse(text) as unknown) : text };
}

describe('the first start', () => {
  it('makes an admin token and a key, which work, and shows neither again', async () => {
    const first = await start();
    expect(first.generatedAdminToken).toMatch(/^sluice-admin-/);
    expect(first.firstKeySecret).toMatch(/^sk-slc-/);
    expect(first.dataAddresses).toEqual(['127.0.0.1:4242']);
    expect(plane.snapshots[0]?.keys.map(({ digests }) => digests[0]?.sha256)).toEqual([
      digestOf(first.firstKeySecret!),
    ]);
    expect(await admin('/admin/v1/keys')).toMatchObject({
      status: 200,
      body: { keys: [{ name: 'default' }] },
    });
    expect(statSync(join(directory, 'data')).mode & 0o777).toBe(0o700);
    await stop();

    plane = new FakeDataPlane();
    const second = await start();
    expect([second.generatedAdminToken, second.firstKeySecret]).toEqual([null, null]);
    expect(plane.snapshots[0]?.keys).toHaveLength(1);
    expect(log.join('')).not.toMatch(/sluice-admin-|sk-slc-/);
  });

  it.each([
    ['the file declares keys', `keys: [{ name: a, sha256: "${'a'.repeat(64)}" }]`],
    ['no key is asked for', 'settings: { require_key: false }'],
  ])('makes no key where %s', async (_title, text) => {
    expect((await start(text)).firstKeySecret).toBeNull();
  });

  it('takes the token of the configuration or the environment', async () => {
    expect(
      (await start('', { SLUICE_ADMIN_TOKEN: 'token-of-the-test-0123' })).generatedAdminToken,
    ).toBeNull();
    expect((await admin('/admin/v1/health')).status).toBe(200);
  });
});

describe('a start that fails', () => {
  it('names what is wrong with the file, and has started nothing', async () => {
    await expect(start('workers: x')).rejects.toBeInstanceOf(ConfigRefused);
    expect(plane.events).toEqual([]);
  });

  it('is explained with the place in the file when the data plane refuses', async () => {
    plane.refusal = new SnapshotRefused('models[0].targets[0]', 'bad', 'found nothing good');
    await expect(start('models: { a: demo }')).rejects.toMatchObject({
      problems: [{ path: 'models.a', line: 4, code: 'bad', message: 'found nothing good' }],
    });
  });

  it('takes back the key and the token that nobody has seen', async () => {
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    const { port } = busy.address() as AddressInfo;
    const taken = { SLUICE_ADMIN_TOKEN: '' };
    writeFileSync(file, `data_dir: data\nlisteners: { admin: { address: "127.0.0.1:${port}" } }`);
    const surroundings = () => processSurroundings(taken);
    const options = { configFile: file, surroundings, version: '1', log: { write: () => undefined } };
    await expect(startGateway(options, plane.parts)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(plane.events.slice(0, 2)).toEqual(['start', 'journal']);
    expect(plane.events.slice(-3)).toEqual(['stop', 'demo stopped', 'journal closed']);
    busy.close();

    plane = new FakeDataPlane();
    const second = await start();
    expect(second.generatedAdminToken).not.toBeNull();
    expect(second.firstKeySecret).not.toBeNull();
  });
});

describe('while it serves', () => {
  it('reloads through the admin API, whole or not at all', async () => {
    await start('models: { a: demo }');
    writeFileSync(file, `${BASE}data_dir: data\nmodels: { b: nowhere }`);
    expect(await admin('/admin/v1/config/reload', {})).toMatchObject({ status: 422 });
    expect(plane.version).toBe(1);
    writeFileSync(file, `${BASE}data_dir: data\nmodels: { b: demo }`);
    await vi.waitFor(
      () => expect(plane.snapshots.at(-1)?.models.map(({ name }) => name)).toEqual(['b']),
      PATIENCE,
    );
    expect(await admin('/admin/v1/config/status')).toMatchObject({
      status: 200,
      body: { source_file: file, last_error: null, version: plane.version },
    });
  });

  it('notices a changed file, and logs a wrong one', async () => {
    await start('models: { a: demo }');
    writeFileSync(file, `${BASE}data_dir: data\nmodels: { b: demo }`);
    await vi.waitFor(() => expect(plane.snapshots.at(-1)?.models[0]?.name).toBe('b'), PATIENCE);
    writeFileSync(file, `${BASE}data_dir: data\nmodels: { b: nowhere }`);
    await vi.waitFor(() => expect(log.join('')).toContain('configuration refused'), PATIENCE);
    expect(log.join('')).toContain('found the provider');
    expect(plane.version).toBe(2);
  });

  it('leaves a changed file alone where it is told to', async () => {
    const running = await start('settings: { reload_on_change: false }\nmodels: { a: demo }');
    writeFileSync(file, `${BASE}data_dir: data\nmodels: { b: demo }`);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(plane.version).toBe(1);
    expect(await running.reload()).toMatchObject({ ok: true, version: 2 });
  });

  it('takes over a key made through the admin API at once', async () => {
    await start();
    const made = await admin('/admin/v1/keys', { name: 'app' });
    expect(made.status).toBe(201);
    const { secret } = made.body as { secret: string };
    expect(plane.snapshots.at(-1)?.keys.map(({ digests }) => digests[0]?.sha256)).toContain(digestOf(secret));
  });

  it('takes over a key that another process has put into the database', async () => {
    await start();
    await new Promise((resolve) => setTimeout(resolve, 300)); // the first look tells what the database is like now
    const other = await openStore(join(directory, 'data'));
    await other.insertKey(mintKey({ name: 'beside' }, Buffer.alloc, Date.now()).row);
    await other.close();
    await vi.waitFor(() => expect(plane.snapshots.at(-1)?.keys).toHaveLength(2), PATIENCE);
  });

  it('serves metrics with the names of what is configured', async () => {
    await start();
    const page = await admin('/metrics');
    expect(page.status).toBe(200);
    expect(page.body).toContain('sluice_build_info{version="1.2.3"} 1');
  });

  it('starts the demo provider when a reload asks for it', async () => {
    await start('providers: { ollama: }');
    expect(plane.demoRunning).toBe(false);
    writeFileSync(file, `${BASE}data_dir: data\nproviders: { demo: }`);
    await gateway!.reload();
    expect(plane.demoRunning).toBe(true);
    expect(plane.snapshots.at(-1)?.providers[0]?.base_url).toBe('http://127.0.0.1:7777/v1');
  });
});

describe('a credential that is fetched', () => {
  const server = new TokenServer();
  afterEach(() => server.stop());

  it('is tried for at the start, does not keep the gateway from serving, and is used when it has come', async () => {
    await server.start();
    const CANARY = 'secret-of-the-application';
    server.answer = () => ({ status: 503, body: CANARY });
    const entra = `{ tenant_id: t, client_id: c, client_secret: "env:S", authority: "${server.url}" }`;
    await start(`providers: { azure: { account: a, entra: ${entra} } }`, { S: CANARY });
    const secrets = (): (string | undefined)[] =>
      plane.snapshots.map(({ providers }) => providers[0]?.keys[0]?.secret);
    expect(secrets()).toEqual([expect.stringContaining('not-fetched-yet')]);
    server.answer = () => ({ body: { access_token: 'token-1', expires_in: 3600 } });
    await vi.waitFor(() => expect(secrets().at(-1)).toBe('token-1'), PATIENCE);
    expect(log.join('')).toContain('a credential could not be fetched');
    expect(log.join('')).not.toContain(CANARY);
    expect(log.join('')).not.toContain('token-1');
  });
});

describe('the drain', () => {
  it('goes in order: readiness, listeners, requests, threads; the admin API answers until the requests are done', async () => {
    const { adminUrl } = await start();
    plane.active = 1;
    const stopped = stop();
    await vi.waitFor(() => expect(plane.events).toContain('drain'), PATIENCE);
    expect((await fetch(`${adminUrl}/readyz`)).status).toBe(503);
    plane.active = 0;
    expect(await stopped).toEqual({ cutOff: 0 });
    expect(plane.events).toEqual([
      'start',
      'journal',
      'unready',
      'drain',
      'stop',
      'demo stopped',
      'journal stopped',
      'journal closed',
    ]);
    await expect(fetch(`${adminUrl}/healthz`)).rejects.toThrow();
  });

  it('cuts off what is still running at the deadline', async () => {
    await start();
    plane.active = 3;
    const before = performance.now();
    expect(await stop()).toEqual({ cutOff: 3 });
    expect(performance.now() - before).toBeGreaterThanOrEqual(200);
  });

  it('keeps the records of the last requests, those cut off by the stop included', async () => {
    await start();
    plane.stop = () => {
      plane.events.push('stop');
      plane.waiting.push(record(1, Date.now()), record(1, Date.now()));
    };
    plane.waiting.push(record(1, Date.now()));
    await stop();
    const store = await openStore(join(directory, 'data'));
    const query = { fromMs: 0, toMs: Date.now() + 60_000, limit: 10 };
    const segments = await store.usage.querySegments(query);
    await store.close();
    expect(segments.reduce((sum, { count }) => sum + count, 0)).toBe(3);
  });
});
