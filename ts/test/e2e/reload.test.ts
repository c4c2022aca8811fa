/** New configurations under load: none costs a request, a wrong one changes nothing, and streams end as they began. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoProvider, type DemoProvider } from '../../src/bridge/index.js';
import { Gateway, withDefaults } from './support/gateway.js';
import { ask, type Answer } from './support/http.js';
import { openLoop, undisturbed } from './support/load.js';
import { isBuilt } from './support/program.js';
import { eventually } from './support/wait.js';

const LOAD_MS = 10_000;
const REQUESTS_PER_SECOND = 1_000;

/** A stream longer than the load: it lives through every reload. */
const STREAM_CHUNKS = 120;
const STREAM_GAP_MS = 100;
const STREAMS = 20;

interface Problem {
  readonly file: string;
  readonly line: number;
  readonly path: string;
  readonly message: string;
}

interface Status {
  readonly version: number;
  readonly last_error: { readonly problems: readonly Problem[] } | null;
  readonly workers: readonly { readonly worker: number; readonly version: number }[];
}

/** Configurations that must be refused, and what is said of them. */
const WRONG: readonly (readonly [string, { line: number; path: string; message: RegExp }])[] = [
  [
    'providers:\n  fast: { base_url: "http://127.0.0.1:1/v1", auth: none }\nmodels:\n  steady: nowhere\n',
    { line: 4, path: 'models.steady', message: /found the provider "nowhere", expected fast/ },
  ],
  [
    'providers: {}\nlimits:\n  request_body: huge\n',
    { line: 3, path: 'limits.request_body', message: /found .*huge.*expected/ },
  ],
  ['providers:\n  - [\n', { line: 3, path: '', message: /.+/ }],
];

let fast: DemoProvider;
let slow: DemoProvider;
let gateway: Gateway;

/** The generation shows in a model's name; streams run on a provider that only generation 0 has. */
function config(generation: number): Record<string, unknown> {
  const providers = {
    fast: { base_url: `http://${fast.address}/v1`, auth: 'none' },
    ...(generation === 0 && { slow: { base_url: `http://${slow.address}/v1`, auth: 'none' } }),
  };
  const models = {
    steady: 'fast',
    [`generation-${generation}`]: 'fast',
    ...(generation === 0 && { slow: 'slow' }),
  };
  return { workers: 2, providers, models, settings: { reload_on_change: true } };
}

beforeAll(async () => {
  fast = startDemoProvider({ delay_ms: 50 });
  slow = startDemoProvider({ chunks: STREAM_CHUNKS, chunk_gap_ms: STREAM_GAP_MS });
  gateway = await Gateway.start({ config: config(0) });
});

afterAll(() => {
  fast.stop();
  slow.stop();
});

const status = (): Promise<Status> => gateway.admin('/admin/v1/config/status');
const reloadByApi = (): Promise<Response> =>
  gateway.adminResponse('/admin/v1/config/reload', { method: 'POST' });

/** The ways in which a new configuration comes into force. */
const TRIGGERS = {
  'a changed file': () => Promise.resolve(),
  SIGHUP: () => Promise.resolve(void gateway.process.child.kill('SIGHUP')),
  'the admin API': async () => expect((await reloadByApi()).status).toBe(200),
};

/** Puts a configuration into force and waits until every worker serves it. */
async function replace(generation: number, trigger: keyof typeof TRIGGERS): Promise<void> {
  const before = await status();
  gateway.writeConfig(config(generation));
  await TRIGGERS[trigger]();
  const served = `generation-${generation}`;
  await eventually(
    `${served} by ${trigger}`,
    async () => (await models()).includes(served),
    gateway.process.err,
  );
  await eventually('every worker to be on one version', async () => {
    const after = await status();
    return after.version > before.version && after.workers.every(({ version }) => version === after.version);
  });
  expect(await models()).not.toContain(`generation-${generation - 1}`);
}

async function models(): Promise<string[]> {
  const { status: code, body } = await ask(`${gateway.url}/models`);
  if (code !== 200) throw new Error(`/models answered ${code}: ${body.toString()}`);
  return (JSON.parse(body.toString()) as { data: { id: string }[] }).data.map(({ id }) => id);
}

/** Has a wrong configuration refused, and checks that everything stays as it was. */
async function refuse(text: string, expected: (typeof WRONG)[number][1]): Promise<void> {
  const before = await status();
  writeFileSync(join(gateway.directory, 'sluice.yaml'), text);
  const refusal = await reloadByApi();
  expect(refusal.status).toBe(422);
  const { error } = (await refusal.json()) as { error: { code: string; message: string; path: string } };
  expect(error.code).toBe('config_refused');
  expect(error.path).toContain(`sluice.yaml:${expected.line}`);
  const after = await status();
  expect([after.version, after.workers]).toEqual([before.version, before.workers]);
  const problem = after.last_error?.problems[0];
  expect(problem).toMatchObject({ line: expected.line, path: expected.path });
  expect(problem?.file).toMatch(/sluice\.yaml$/);
  expect(problem?.message).toMatch(expected.message);
}

function openStreams(): Promise<Answer>[] {
  const body = JSON.stringify({ model: 'slow', stream: true, messages: [{ role: 'user', content: 'x' }] });
  return Array.from({ length: STREAMS }, () => ask(`${gateway.url}/chat/completions`, { body }));
}

describe.skipIf(!isBuilt)('reloads under load', () => {
  it(
    'fail no request, and streams end under the configuration they began with',
    { timeout: 60_000 },
    async () => {
      const streams = openStreams();
      await eventually('the streams to run', async () => {
        return (await gateway.metrics()).sum('sluice_active_streams') === STREAMS;
      });
      const load = {
        url: gateway.url,
        model: 'steady',
        requestsPerSecond: REQUESTS_PER_SECOND,
        durationMs: LOAD_MS,
      };
      const progress = { isLoading: true };
      const report = openLoop(load).finally(() => (progress.isLoading = false));

      const triggers = Object.keys(TRIGGERS) as (keyof typeof TRIGGERS)[];
      let reloads = 0;
      let refusals = 0;
      while (progress.isLoading) {
        await replace(reloads + 1, triggers[reloads % triggers.length] ?? 'SIGHUP');
        reloads += 1;
        const wrong = WRONG[reloads % WRONG.length];
        if (wrong !== undefined) await refuse(...wrong);
        refusals += 1;
        await sleep(150);
      }
      expect(await report).toMatchObject(undisturbed(load));
      expect(reloads).toBeGreaterThanOrEqual(10);
      expect(refusals).toBeGreaterThanOrEqual(10);

      const absent = await ask(`${gateway.url}/chat/completions`, { body: '{"model":"slow","messages":[]}' });
      expect(absent.status).toBe(404); // what the streams run on has been gone since the first reload
      for (const { status: sent, isWhole, body } of await Promise.all(streams)) {
        expect([sent, isWhole]).toEqual([200, true]);
        expect(body.toString()).toMatch(/data: \[DONE\]\n\n$/);
        expect(body.toString().match(/"content":"/g)?.length).toBeGreaterThanOrEqual(STREAM_CHUNKS);
      }
    },
  );

  it('are told of in the log: what was applied, and what was refused and why', () => {
    const log = gateway.process.err();
    expect(log).toContain('configuration applied');
    expect(log).toContain('configuration refused; the one before goes on serving');
    for (const [, { line, path }] of WRONG) {
      const logged = log.split('\n').find((text) => text.includes(`"line":${line},"path":"${path}"`));
      expect(logged, path).toMatch(/sluice\.yaml/);
    }
  });
});

describe.skipIf(!isBuilt)('a wrong configuration', () => {
  it('is refused by SIGHUP and by a changed file as well', async () => {
    const before = await status();
    const refusals = (): number => gateway.process.err().split('configuration refused').length;
    for (const isSignalled of [false, true]) {
      const seen = refusals();
      const text = JSON.stringify(withDefaults({ models: { steady: `nowhere-${String(isSignalled)}` } }));
      writeFileSync(join(gateway.directory, 'sluice.yaml'), text);
      if (isSignalled) gateway.process.child.kill('SIGHUP');
      await eventually('the refusal in the log', () => refusals() > seen);
    }
    expect((await status()).version).toBe(before.version);
    expect(
      (
        await ask(`${gateway.url}/chat/completions`, {
          body: '{"model":"steady","messages":[{"role":"user","content":"x"}]}',
        })
      ).status,
    ).toBe(200);
  });

  it('is forgotten when a right one has been applied', async () => {
    gateway.writeConfig(config(1_000));
    expect((await reloadByApi()).status).toBe(200);
    expect((await status()).last_error).toBeNull();
  });
});
