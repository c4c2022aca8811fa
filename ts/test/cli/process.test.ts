/** The program as people run it: a process of its own, with the real data plane. */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { compileSources } from '../store/compiled.js';

const NATIVE = resolve(import.meta.dirname, '../../../dist/native');
const isBuilt = existsSync(NATIVE) && readdirSync(NATIVE).some((name) => name.endsWith('.node'));
if (!isBuilt) console.log('skipped: the addon is not built (npm run build)');

const PATIENCE = { timeout: 15_000, interval: 20 };
const run = promisify(execFile);

/** A running `sluice start`. */
interface Started {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

let program = '';
let folder = '';
let directory = '';
const children: ChildProcess[] = [];

beforeAll(() => {
  folder = compileSources();
  program = join(folder, 'cli', 'main.js');
});

afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-process-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

/** Nothing of the environment of whoever runs the tests. */
const ENVIRONMENT = { PATH: process.env['PATH'] ?? '' };

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [program, ...args], {
      cwd: directory,
      env: ENVIRONMENT,
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

/** Starts on free ports in an empty directory, and waits for the banner. */
async function start(config: string): Promise<Started> {
  writeFileSync(join(directory, 'sluice.yaml'), config);
  const args = [
    program,
    'start',
    '--listen',
    '127.0.0.1:0',
    '--admin-listen',
    '127.0.0.1:0',
    '--workers',
    '1',
  ];
  const child = spawn(process.execPath, args, {
    cwd: directory,
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) => {
    child.on('exit', (code, signal) => done({ code, signal }));
  });
  const started = { child, out: () => out, err: () => err, exited };
  await vi.waitFor(() => expect(out, err).toContain('Ctrl-C stops'), PATIENCE);
  return started;
}

/** The lines below "Try it:". */
function pasted(out: string): string {
  return /Try it:\n([\s\S]*?)\n\n/.exec(out)?.[1] ?? '';
}

const QUICK = 'timeouts: { drain_lag: 0 }\n';

describe.skipIf(!isBuilt)('sluice start', () => {
  it('prints a request that works as pasted, at the first start and at a later one', async () => {
    const first = await start(QUICK);
    expect(first.out()).toMatch(/Token +sluice-admin-[\w-]{43} /);
    const answer = await run('sh', ['-c', `${pasted(first.out())} --silent --fail`], {
      cwd: directory,
      env: ENVIRONMENT,
    });
    expect(JSON.parse(answer.stdout)).toMatchObject({ object: 'chat.completion', choices: [{ index: 0 }] });
    first.child.kill('SIGTERM');
    expect(await first.exited).toEqual({ code: 0, signal: null });

    const second = await start(QUICK);
    expect(second.out()).not.toMatch(/sluice-admin-|sk-slc-/);
    const again = await run('sh', ['-c', `${pasted(second.out())} --silent --fail`], {
      cwd: directory,
      env: ENVIRONMENT,
    });
    expect(JSON.parse(again.stdout)).toMatchObject({ object: 'chat.completion' });
    second.child.kill('SIGINT');
    expect(await second.exited).toEqual({ code: 0, signal: null });
  });

  it('lets a running stream finish, and ends at once at a second signal', { timeout: 60_000 }, async () => {
    const provider = spawn(
      process.execPath,
      [program, 'demo-provider', '--port', '0', '--json', '--chunks', '40', '--chunk-gap-ms', '50'],
      { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(provider);
    const line = await new Promise<string>((done) =>
      provider.stdout.once('data', (data: Buffer) => done(data.toString())),
    );
    const { address } = JSON.parse(line) as { address: string };
    const config = `${QUICK}settings: { require_key: false }\nproviders: { slow: { base_url: "http://${address}/v1", auth: none } }\n`;

    const patient = await start(config);
    const stream = await openStream(patient.out());
    patient.child.kill('SIGTERM');
    expect(await stream.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect(await patient.exited).toEqual({ code: 0, signal: null });

    const hasty = await start(config);
    const cut = await openStream(hasty.out());
    hasty.child.kill('SIGTERM');
    await vi.waitFor(() => expect(hasty.err()).toContain('a second signal stops at once'), PATIENCE);
    hasty.child.kill('SIGTERM');
    expect(await hasty.exited).toEqual({ code: 143, signal: null });
    await expect(cut.text()).rejects.toThrow();
  });

  it('reads the configuration again at SIGHUP, and serves on with a wrong one', async () => {
    const started = await start(
      `${QUICK}settings: { reload_on_change: false, require_key: false }\nmodels: { one: demo }\n`,
    );
    writeFileSync(
      join(directory, 'sluice.yaml'),
      `${QUICK}settings: { require_key: false }\nmodels: { two: demo }\n`,
    );
    started.child.kill('SIGHUP');
    await vi.waitFor(async () => expect(await modelsOf(started.out())).toEqual(['two']), PATIENCE);
    writeFileSync(join(directory, 'sluice.yaml'), 'models: { three: nowhere }\n');
    started.child.kill('SIGHUP');
    await vi.waitFor(() => expect(started.err()).toContain('configuration refused'), PATIENCE);
    expect(await modelsOf(started.out())).toEqual(['two']);
  });

  it('explains why it cannot start', { timeout: 60_000 }, async () => {
    const started = await start(QUICK);
    const address = /API +http:\/\/([\d.:]+)\//.exec(started.out())?.[1] ?? '';
    const elsewhere = ['--data-dir', join(directory, 'another'), '--admin-listen', '127.0.0.1:0'];
    const busy = await cli('start', '--listen', address, ...elsewhere);
    expect(busy.code).toBe(1);
    expect(busy.err).toContain(address);
    const exposed = await cli('start', '--admin-listen', '0.0.0.0:0');
    expect(exposed.code).toBe(1);
    expect(exposed.err).toContain('listeners.admin');
  });
});

async function openStream(out: string): Promise<Response> {
  const url = /API +(http:\S+)/.exec(out)?.[1] ?? '';
  const body = JSON.stringify({ model: 'any', stream: true, messages: [{ role: 'user', content: 'hello' }] });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/chat/completions`, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
  return answer;
}

async function modelsOf(out: string): Promise<string[]> {
  const url = /API +(http:\S+)/.exec(out)?.[1] ?? '';
  const answer = (await (await fetch(`${url}/models`)).json()) as { data: { id: string }[] };
  return answer.data.map(({ id }) => id);
}

describe.skipIf(!isBuilt)('the command line', () => {
  it.each([
    [['--help'], 0],
    [['--version'], 0],
    [['start', '--help'], 0],
    [['keys', 'rotate', '--help'], 0],
    [['bench', '--help'], 0],
    [['chekc'], 2],
    [['start', '--workers', 'x'], 2],
    [['start', '--log-format', 'xml'], 2],
    [['keys', 'create'], 2],
    [['check', '--config', 'absent.yaml'], 1],
    [['check'], 0],
  ])('%j ends with %i', async (args, code) => {
    const outcome = await cli(...args);
    expect(outcome.code).toBe(code);
    expect(outcome.out + outcome.err).not.toBe('');
    expect(outcome.err).not.toMatch(/^\s+at /m);
  });

  it('shows examples and exit codes in the help of every command', async () => {
    for (const command of ['start', 'check', 'keys', 'demo-provider', 'bench']) {
      const { out } = await cli(command, '--help');
      expect(out, command).toMatch(/example/i);
    }
  });
});
