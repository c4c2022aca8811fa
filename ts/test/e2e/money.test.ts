/**
 * Checks 91 and 93: what is spent is counted twice, by the limits while it happens and by the ledger afterwards, and both
 * come to the same, to the last pico-USD, whatever happened to the requests and to the gateway.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { Gateway, type GatewaySetup, type RequestRow } from './support/gateway.js';
import { ask } from './support/http.js';
import { isBuilt } from './support/program.js';
import {
  chatHandler,
  chatRequest,
  completion,
  sendJson,
  streamChat,
  Upstream,
  usageOf,
} from './support/upstream.js';
import { eventually } from './support/wait.js';

/** Prices that no binary fraction has, in USD per million tokens. */
const PRICES = [
  { provider: 'good', model: '*', input: 0.137, output: 10.003 },
  { provider: 'failing', model: '*', input: 9_000, output: 9_000 },
];

const REQUESTS = 120;
const AT_ONCE = 12;

let good: Upstream;
let failing: Upstream;
let setup: GatewaySetup;
let gateway: Gateway;
let asked = 0;

interface Budget {
  readonly name: string;
  readonly used_usd: string;
  readonly reserved_usd: string;
}

/** Pico-USD of a decimal number in USD. */
function picos(usd: string | null): bigint {
  const [whole = '', fraction = ''] = (usd ?? '0').split('.');
  expect(`${whole}${fraction}`).toMatch(/^\d+$/);
  expect(fraction.length).toBeLessThanOrEqual(12);
  return BigInt(whole + fraction.padEnd(12, '0'));
}

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, amount) => total + amount, 0n);

beforeAll(async () => {
  let nth = 0;
  good = await Upstream.start(async (request, response) => {
    nth += 1;
    const usage = usageOf(7 + nth, 3 * nth);
    const { stream = false } = chatRequest(request);
    if (nth % 10 === 0) sendJson(response, { error: { message: 'no' } }, 400);
    else if (nth % 11 === 0) response.destroy();
    else if (stream) await streamChat(response, ['a', 'b'], nth % 3 === 0 ? null : usage);
    else sendJson(response, completion('yes', usage));
  });
  failing = await Upstream.start((_, response) => sendJson(response, { error: { message: 'no' } }, 500));
  setup = {
    config: {
      teams: { search: { budgets: [{ name: 'all-time', usd: 1_000, window: 'ever' }] } },
      keys: [
        {
          name: 'tests',
          secret: 'env:SLUICE_TEST_KEY',
          owner: { team: 'search' },
          budgets: [{ name: 'yearly', usd: 1_000, window: 'year', mode: 'strict' }],
        },
      ],
      providers: {
        good: { base_url: good.url, auth: 'none' },
        failing: { base_url: failing.url, auth: 'none' },
      },
      models: {
        good: 'good/x',
        tiered: {
          targets: [
            { provider: 'failing', model: 'x' },
            { provider: 'good', model: 'x', tier: 1 },
          ],
        },
      },
      prices: PRICES,
    },
  };
  if (isBuilt) gateway = await Gateway.start(setup);
});

/** One request; how it ends is its own affair. */
async function request(model: string, stream: boolean): Promise<number> {
  asked += 1;
  const body = JSON.stringify({ model, stream, max_tokens: 400, messages: [{ role: 'user', content: 'x' }] });
  const { status } = await ask(`${gateway.url}/chat/completions`, { body });
  return status;
}

async function load(count: number): Promise<void> {
  let left = count;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await request(left % 4 === 0 ? 'tiered' : 'good', left % 2 === 0);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
}

async function budgets(): Promise<readonly Budget[]> {
  const { body } = await ask(`${gateway.url}/key/info`);
  return (JSON.parse(body.toString()) as { budgets: Budget[] }).budgets;
}

/** What the ledger has, once it has everything. */
async function ledger(): Promise<{ rows: readonly RequestRow[]; total: bigint }> {
  const rows = await eventually('the records', async () => {
    const found = (await gateway.rows()).filter(({ route }) => route === 'chat_completions');
    return found.length === asked && found;
  });
  const report = await gateway.admin<{ rows: { cost_usd: string }[] }>(
    '/admin/v1/usage?from=2020-01-01T00:00:00Z',
  );
  const total = sum(rows.map(({ cost_usd }) => picos(cost_usd)));
  expect(sum(report.rows.map(({ cost_usd }) => picos(cost_usd)))).toBe(total);
  return { rows, total };
}

/** Counter, report and rows are one number. */
async function expectOneNumber(): Promise<bigint> {
  const { total } = await ledger();
  for (const { name, used_usd, reserved_usd } of await budgets()) {
    expect([name, picos(used_usd), reserved_usd]).toEqual([name, total, '0']);
  }
  expect(await budgets()).toHaveLength(2);
  return total;
}

describe.skipIf(!isBuilt)('check 93: sum of rows = counter', () => {
  it('after requests that were answered, streamed, refused, broken off and passed on', async () => {
    await load(REQUESTS);
    expect(await expectOneNumber()).toBeGreaterThan(picos('0.01'));
    const statuses = new Set((await gateway.rows()).map(({ status }) => status));
    expect([200, 400].every((status) => statuses.has(status))).toBe(true);
  });

  it('and after a restart, from which the counters go on', { timeout: 60_000 }, async () => {
    const before = await expectOneNumber();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    gateway = await Gateway.start({ ...setup, directory: gateway.directory });
    expect(await expectOneNumber()).toBe(before);
    await load(AT_ONCE);
    expect(await expectOneNumber()).toBeGreaterThan(before);
  });

  it('and after a crash', { timeout: 60_000 }, async () => {
    const before = await expectOneNumber();
    gateway.process.child.kill('SIGKILL');
    await gateway.process.ended;
    gateway = await Gateway.start({ ...setup, directory: gateway.directory });
    expect(await expectOneNumber()).toBe(before);
  });
});

describe.skipIf(!isBuilt)('check 91: an attempt that failed', () => {
  it('costs nothing, and the one that answered what its provider costs', { timeout: 60_000 }, async () => {
    await gateway.stop();
    gateway = await Gateway.start({ ...setup, directory: gateway.directory }); // nothing cools down any more
    good.handler = chatHandler({ usage: usageOf(1_000, 500) });
    const before = await expectOneNumber();
    const failures = failing.requests.length;
    expect(await request('tiered', false)).toBe(200);
    expect(failing.requests.length).toBe(failures + 1);
    const expected = 1_000n * 137_000n + 500n * 10_003_000n;
    expect((await expectOneNumber()) - before).toBe(expected);
    const [row] = (await ledger()).rows;
    expect([row?.attempts, picos(row?.cost_usd ?? null)]).toEqual([2, expected]);
  });
});
