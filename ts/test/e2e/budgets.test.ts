/** Budgets: counted to the last pico-USD, refused by name, and the same after every way of stopping. */

import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseUsd } from './support/usd.js';
import { Gateway } from './support/gateway.js';
import { ask, type Answer } from './support/http.js';
import { isBuilt } from './support/program.js';
import { completion, sendJson, Upstream, usageOf } from './support/upstream.js';
import { eventually } from './support/wait.js';

/** Longest time of one test: gateways are started up to five times. */
const TIMEOUT_MS = 120_000;

const SECOND_KEY = 'sk-test-second-0123456789abcdef';

/** Of a request: 101 tokens of prompt at 3,333,333 pico-USD and 37 of answer at 7,777,777. */
const COST = 101n * 3_333_333n + 37n * 7_777_777n;

interface KeyInfo {
  readonly budgets: readonly {
    readonly name: string;
    readonly used_usd: string;
    readonly reserved_usd: string;
    readonly remaining_usd: string;
    readonly limit_usd: string;
  }[];
}

interface Refused {
  readonly error: { readonly message: string };
}

let upstream: Upstream;

beforeAll(async () => {
  upstream = await Upstream.start((_, response) => sendJson(response, completion('yes', usageOf(101, 37))));
});

/** A key of the tests with these settings, and a second one. */
function config(first: object, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const { second = {}, model = {}, ...sections } = more as Record<string, object>;
  return {
    providers: { scripted: { base_url: upstream.url, auth: 'none' } },
    models: { m: { targets: ['scripted'], ...model }, other: 'scripted' },
    prices: [{ provider: 'scripted', model: '*', input: 3.333333, output: 7.777777 }],
    keys: [
      { name: 'first', secret: 'env:SLUICE_TEST_KEY', ...first },
      { name: 'second', secret: 'env:SLUICE_SECOND_KEY', ...second },
    ],
    ...sections,
  };
}

function start(sections: Readonly<Record<string, unknown>>, directory?: string): Promise<Gateway> {
  const env = { SLUICE_SECOND_KEY: SECOND_KEY };
  return Gateway.start({ config: sections, env, ...(directory !== undefined && { directory }) });
}

function chat(gateway: Gateway, key?: string, model = 'm'): Promise<Answer> {
  const body = JSON.stringify({ model, max_tokens: 40, messages: [{ role: 'user', content: 'hello' }] });
  return ask(`${gateway.url}/chat/completions`, { body, ...(key !== undefined && { key }) });
}

/** Sends requests until one is refused; answers how many were served, and the refusal. */
async function exhaust(gateway: Gateway, key?: string): Promise<{ served: bigint; refusal: Answer }> {
  for (let served = 0n; served < 100n; served += 1n) {
    const answer = await chat(gateway, key);
    if (answer.status !== 200) return { served, refusal: answer };
  }
  throw new Error('never refused');
}

function messageOf({ body }: Answer): string {
  return (JSON.parse(body.toString()) as Refused).error.message;
}

/** The budgets of a key, once nothing is reserved. */
function budgetsOf(gateway: Gateway, key?: string): Promise<KeyInfo['budgets']> {
  return eventually('reservations to be settled', async () => {
    const answer = await ask(`${gateway.url}/key/info`, key === undefined ? {} : { key });
    const { budgets } = JSON.parse(answer.body.toString()) as KeyInfo;
    return budgets.every(({ reserved_usd: reserved }) => parseUsd(reserved) === 0n) && budgets;
  });
}

async function usedBy(gateway: Gateway, key?: string): Promise<bigint> {
  const [budget] = await budgetsOf(gateway, key);
  return parseUsd(budget?.used_usd ?? '');
}

/** What the ledger says that all requests have cost, once it has this many that were served. */
function ledgerCost(gateway: Gateway, requests: bigint): Promise<bigint> {
  return eventually(`${requests} requests in the reports`, async () => {
    const { rows } = await gateway.admin<{ rows: { requests: number; cost_usd: string | null }[] }>(
      '/admin/v1/usage?group_by=status&status=2xx&model=m',
    );
    const [row] = rows;
    return row !== undefined && BigInt(row.requests) === requests && parseUsd(row.cost_usd ?? '0');
  });
}

async function reload(gateway: Gateway, sections: Readonly<Record<string, unknown>>): Promise<void> {
  gateway.writeConfig(sections);
  const report = await gateway.admin<{ ok: boolean }>('/admin/v1/config/reload', { method: 'POST' });
  expect(report).toMatchObject({ ok: true });
}

describe.skipIf(!isBuilt)('a budget of a key', { timeout: TIMEOUT_MS }, () => {
  it('is counted exactly, is refused by name, and stays so after a restart and after kill -9', async () => {
    const sections = config({ budgets: [{ usd: 0.004, window: 'month' }] });
    let gateway = await start(sections);
    const { served, refusal } = await exhaust(gateway);
    expect(served).toBeGreaterThan(3n);
    expect(refusal.status).toBe(429);
    expect(messageOf(refusal)).toContain('budget "usd/month" of key "first"');
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThan(0);

    const [budget] = await budgetsOf(gateway);
    expect(parseUsd(budget?.used_usd ?? '')).toBe(served * COST);
    expect(parseUsd(budget?.remaining_usd ?? '')).toBe(parseUsd('0.004') - served * COST);
    expect(await ledgerCost(gateway, served)).toBe(served * COST);

    await gateway.stop();
    gateway = await start(sections, gateway.directory);
    expect(await usedBy(gateway)).toBe(served * COST);
    expect((await chat(gateway)).status).toBe(429);

    await gateway.stop('SIGKILL');
    gateway = await start(sections, gateway.directory);
    expect(await usedBy(gateway)).toBe(served * COST);
    expect(await ledgerCost(gateway, served)).toBe(served * COST);
    expect((await chat(gateway)).status).toBe(429);

    const raised = config({ budgets: [{ usd: 0.008, window: 'month' }] });
    await reload(gateway, raised);
    expect((await chat(gateway)).status).toBe(200);
    expect(await usedBy(gateway)).toBe((served + 1n) * COST);
    // Killed with requests that only the journal has.
    await sleep(400);
    await gateway.stop('SIGKILL');
    gateway = await start(raised, gateway.directory);
    expect(await usedBy(gateway)).toBe((served + 1n) * COST);
    expect(await ledgerCost(gateway, served + 1n)).toBe((served + 1n) * COST);
    await gateway.stop();
  });

  it('tells what is left with every answer', async () => {
    const gateway = await start(config({ budgets: [{ usd: 1, window: 'day' }] }));
    const left = async (): Promise<bigint> =>
      parseUsd(String((await chat(gateway)).headers['x-sluice-budget-remaining']));
    const first = await left();
    expect(first).toBeLessThan(parseUsd('1'));
    expect(await left()).toBeLessThan(first);
    await gateway.stop();
  });

  it('that is put on a running gateway begins with what was spent before', async () => {
    const gateway = await start(config({}));
    for (let sent = 0; sent < 3; sent += 1) expect((await chat(gateway)).status).toBe(200);
    await sleep(400);
    await reload(gateway, config({ budgets: [{ usd: 0.002, window: 'month' }] }));
    expect(await usedBy(gateway)).toBe(3n * COST);
    expect((await chat(gateway)).status).toBe(429);
    await gateway.stop();
  });
});

describe.skipIf(!isBuilt)('a budget of others than keys', { timeout: TIMEOUT_MS }, () => {
  it('of a team is spent by all of its keys together', async () => {
    const owner = { owner: { team: 'search' } };
    const teams = { search: { budgets: [{ usd: 0.004, window: 'month' }] } };
    const sections = config(owner, { second: owner, teams });
    let gateway = await start(sections);
    for (let sent = 0; sent < 2; sent += 1) expect((await chat(gateway)).status).toBe(200);
    const { served, refusal } = await exhaust(gateway, SECOND_KEY);
    expect(messageOf(refusal)).toContain('budget "usd/month" of team "search"');
    expect((await chat(gateway)).status).toBe(429);
    expect(await usedBy(gateway)).toBe((served + 2n) * COST);
    expect(await usedBy(gateway, SECOND_KEY)).toBe((served + 2n) * COST);
    const { meters } = await gateway.admin<{ meters: Record<string, unknown>[] }>('/admin/v1/meters');
    expect(meters).toMatchObject([{ kind: 'budget', owner: { kind: 'team', name: 'search' }, refused: 2 }]);
    expect(parseUsd(String(meters[0]?.['used']))).toBe((served + 2n) * COST);

    await gateway.stop('SIGTERM');
    gateway = await start(sections, gateway.directory);
    expect(await usedBy(gateway)).toBe((served + 2n) * COST);
    expect((await chat(gateway, SECOND_KEY)).status).toBe(429);
    await gateway.stop();
  });

  it('of a model is spent by everyone who asks for it, and leaves other models alone', async () => {
    const sections = config({}, { model: { budgets: [{ usd: 0.004, window: 'week' }] } });
    let gateway = await start(sections);
    const { refusal } = await exhaust(gateway);
    expect(messageOf(refusal)).toContain('budget "usd/week" of model "m"');
    expect((await chat(gateway, SECOND_KEY)).status).toBe(429);
    expect((await chat(gateway, SECOND_KEY, 'other')).status).toBe(200);
    await gateway.stop();
    gateway = await start(sections, gateway.directory);
    expect((await chat(gateway)).status).toBe(429);
    expect((await chat(gateway, undefined, 'other')).status).toBe(200);
    await gateway.stop();
  });
});
