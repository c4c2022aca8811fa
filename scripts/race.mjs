#!/usr/bin/env node
// `npm run race`: budgets against a crowd. Many requests at once, streams and whole answers mixed, against a budget that has
// room for ten of them, again and again with a budget of its own each time.
//
//   node scripts/race.mjs [--runs 100] [--parallel 200] [--built] [--json]
//
// Of `strict` budgets no more than ten requests may reach the provider, and no more may be spent than the budget. `normal`
// ones are given requests that use more than anyone could have estimated: what is spent beyond the budget must stay within
// the stated bound, which is by how much the requests that were let in were underestimated. Last comes a rate limit, which
// must let exactly as many through as it says. The provider is a scripted one that counts what reaches it, apart from what
// the gateway says. Exit code 1 on a violation.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAll } from './build.mjs';
import { BASE_CONFIG, adminOf, startBuilt, stopBuilt } from './lib/gateway.mjs';
import { StepError, runMain } from './lib/steps.mjs';

/** Requests that a budget has room for. */
const ROOM = 10;
/** Tokens that a request says it may generate. */
const ASKED = 100;
/** Tokens that the models without a bound in the request are known to generate at most. */
const KNOWN_MOST = 50;
/** USD per million generated tokens; the prompt is free, so that the sums can be done by hand. */
const OUTPUT_USD = 1_000;
/** USD of a token. */
const PER_TOKEN = OUTPUT_USD / 1_000_000;
/** How long the provider takes, so that all requests of a run are there at once. */
const DELAY_MS = 30;

/** The kinds of runs: which budget, which request, and what the provider says it has generated. */
const KINDS = {
  // What is reserved is what is used.
  strict: { mode: 'strict', budget: ROOM * ASKED * PER_TOKEN, body: { max_tokens: ASKED }, generated: ASKED },
  // Far less is used than was reserved: more may come after, never more than the budget pays for.
  'strict, refunded': {
    mode: 'strict',
    budget: ROOM * ASKED * PER_TOKEN,
    body: { max_tokens: ASKED },
    generated: ASKED / 10,
    most: ROOM * 10,
  },
  // The request gives no bound; the model has one.
  'strict, the bound is the model’s': {
    mode: 'strict',
    budget: ROOM * KNOWN_MOST * PER_TOKEN,
    body: {},
    generated: KNOWN_MOST,
  },
  // Twice as much is used as was estimated.
  normal: {
    mode: 'normal',
    budget: ROOM * ASKED * PER_TOKEN,
    body: { max_tokens: ASKED },
    generated: 2 * ASKED,
  },
};

/** Mode, index and what to do go with the request as its `user`: the provider knows nothing else. */
const keyOf = (kind, run) =>
  `sk-race-${String(Object.keys(KINDS).indexOf(kind)).padStart(4, '0')}-${String(run).padStart(8, '0')}`;
const nameOf = (kind, run) => `${kind} ${run}`;
const RATE_KEY = 'sk-race-rate-limit-000001';

/** Counts what reaches it, by `user`. */
async function startProvider() {
  const reached = new Map();
  const server = createServer((incoming, response) => void answer(incoming, response, reached));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, reached };
}

async function answer(incoming, response, reached) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { user, stream } = JSON.parse(Buffer.concat(chunks).toString());
  reached.set(user, (reached.get(user) ?? 0) + 1);
  const generated = KINDS[user.replace(/ \d+$/, '')]?.generated ?? 1;
  const usage = { prompt_tokens: 5, completion_tokens: generated, total_tokens: generated + 5 };
  setTimeout(() => (stream ? answerStream(response, usage) : answerWhole(response, usage)), DELAY_MS);
}

const head = { id: 'chatcmpl-race', created: 1, model: 'm' };

function answerWhole(response, usage) {
  const choices = [{ index: 0, message: { role: 'assistant', content: 'raced' }, finish_reason: 'stop' }];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ ...head, object: 'chat.completion', choices, usage }));
}

function answerStream(response, usage) {
  const chunk = (choices, more) =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...more })}\n\n`;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(chunk([{ index: 0, delta: { role: 'assistant', content: 'raced' }, finish_reason: null }]));
  response.write(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]));
  response.end(`${chunk([], { usage })}data: [DONE]\n\n`);
}

function configOf(port, runs, parallel) {
  const key = (kind, run) => ({
    name: nameOf(kind, run),
    secret: keyOf(kind, run),
    budgets: [{ name: 'race', usd: KINDS[kind].budget.toFixed(6), window: 'ever', mode: KINDS[kind].mode }],
  });
  const keys = Object.keys(KINDS).flatMap((kind) => Array.from({ length: runs }, (_, run) => key(kind, run)));
  const rate = {
    name: 'rate',
    secret: RATE_KEY,
    rate_limits: [{ requests: parallel / 2, window: '1d' }],
  };
  return {
    ...BASE_CONFIG,
    providers: { race: { base_url: `http://127.0.0.1:${port}/v1`, auth: 'none' } },
    models: { m: { targets: [{ provider: 'race', max_output_tokens: KNOWN_MOST }] } },
    prices: [{ provider: 'race', input: 0, output: OUTPUT_USD }],
    keys: [...keys, rate],
    limits: { auth_failures_per_minute: 0 },
  };
}

/** Sends one request; resolves to its status. */
function send(url, key, user, more, agent) {
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'race' }], user, ...more });
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/chat/completions`, { method: 'POST', headers, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** One run; resolves to how many were answered and how many refused. */
async function crowd(gateway, { key, user, body, parallel }, agent) {
  const one = (_, at) => send(gateway.url, key, user, { ...body, stream: at % 2 === 0 }, agent);
  const statuses = await Promise.all(Array.from({ length: parallel }, one));
  const count = (status) => statuses.filter((found) => found === status).length;
  const others = statuses.filter((status) => status !== 200 && status !== 429);
  if (others.length > 0) throw new StepError(`a request of ${user} was answered with ${others[0]}`);
  return { answered: count(200), refused: count(429) };
}

/** What every key has spent by the ledger, in USD. */
async function spentByKey(gateway) {
  const spent = new Map();
  for (let offset = 0; ;) {
    const page = await adminOf(gateway, `/admin/v1/usage?group_by=key&limit=1000&offset=${offset}`);
    for (const { key, cost_usd } of page.rows) spent.set(key.name, Number(cost_usd));
    offset += page.rows.length;
    if (page.rows.length < 1_000) return spent;
  }
}

function judge(kind, run, { reached, answered, spent }) {
  const { mode, budget, generated, most = ROOM } = KINDS[kind];
  const problems = [];
  const complain = (text) => problems.push(`${nameOf(kind, run)}: ${text}`);
  if (answered !== reached) complain(`${reached} requests reached the provider, ${answered} were answered`);
  if (reached > most) complain(`${reached} requests reached the provider, at most ${most} may`);
  if (reached < 1) complain('no request reached the provider');
  const cost = reached * generated * PER_TOKEN;
  if (Math.abs(cost - spent) > 1e-9) complain(`${spent} USD are in the ledger, ${cost} were used`);
  const bound = mode === 'strict' ? 0 : ROOM * (generated - ASKED) * PER_TOKEN;
  if (spent > budget + bound + 1e-9)
    complain(`${spent} USD were spent of ${budget}, the bound is ${bound} more`);
  return problems;
}

async function race(folder, runs, parallel) {
  const provider = await startProvider();
  writeFileSync(
    join(folder, 'sluice.yaml'),
    JSON.stringify(configOf(provider.server.address().port, runs, parallel)),
  );
  const gateway = await startBuilt(folder);
  const agent = new Agent({ keepAlive: true, maxSockets: parallel });
  const results = [];
  try {
    for (const kind of Object.keys(KINDS)) {
      for (let run = 0; run < runs; run += 1) {
        const user = nameOf(kind, run);
        const task = { key: keyOf(kind, run), user, body: KINDS[kind].body, parallel };
        results.push({ kind, run, ...(await crowd(gateway, task, agent)) });
      }
      process.stderr.write(`  ${kind}: ${runs} runs of ${parallel} requests\n`);
    }
    const rate = await crowd(gateway, { key: RATE_KEY, user: 'rate', body: {}, parallel }, agent);
    const spent = await spentByKey(gateway);
    return report({ results, rate, spent, reached: provider.reached, parallel });
  } finally {
    agent.destroy();
    await stopBuilt(gateway);
    provider.server.close();
    provider.server.closeAllConnections();
  }
}

function report({ results, rate, spent, reached, parallel }) {
  const rows = [];
  const problems = [];
  for (const kind of Object.keys(KINDS)) {
    const runs = results
      .filter((result) => result.kind === kind)
      .map((result) => {
        const name = nameOf(kind, result.run);
        return { ...result, reached: reached.get(name) ?? 0, spent: spent.get(name) ?? 0 };
      });
    problems.push(...runs.flatMap((run) => judge(kind, run.run, run)));
    const counts = runs.map((run) => run.reached);
    rows.push({
      kind,
      runs: runs.length,
      reached_least: Math.min(...counts),
      reached_most: Math.max(...counts),
      budget_usd: KINDS[kind].budget,
      spent_most_usd: Math.max(...runs.map((run) => run.spent)),
    });
  }
  if (rate.answered !== parallel / 2)
    problems.push(`a limit of ${parallel / 2} requests let ${rate.answered} through`);
  return { parallel, rows, rate_limit: { limit: parallel / 2, ...rate }, problems };
}

function print({ parallel, rows, rate_limit, problems }) {
  console.log(`${parallel} requests at once, streams and whole answers, against a budget for ${ROOM}`);
  for (const row of rows) {
    const { kind, runs, reached_least, reached_most, budget_usd, spent_most_usd } = row;
    const spent = `${spent_most_usd.toFixed(4)} of ${budget_usd.toFixed(4)} USD spent at most`;
    console.log(
      `  ${kind.padEnd(34)} ${runs} runs: ${reached_least} to ${reached_most} reached the provider, ${spent}`,
    );
  }
  const { limit, answered, refused } = rate_limit;
  console.log(`  ${`limit of ${limit} requests`.padEnd(34)} 1 run: ${answered} answered, ${refused} refused`);
  for (const problem of problems.slice(0, 20)) console.log(`violation: ${problem}`);
  console.log(problems.length === 0 ? 'no violation' : `${problems.length} violations`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '100' },
      parallel: { type: 'string', default: '200' },
      built: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const [runs, parallel] = [Number(values.runs), Number(values.parallel)];
  if (!(
    Number.isInteger(runs) &&
    runs > 0 &&
    Number.isInteger(parallel) &&
    parallel > ROOM * 2 &&
    parallel % 2 === 0
  )) {
    throw new StepError(`--runs takes a whole number above 0, --parallel an even one above ${ROOM * 2}`);
  }
  if (!values.built) await buildAll();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-race-'));
  try {
    const result = await race(folder, runs, parallel);
    if (values.json) console.log(JSON.stringify(result));
    else print(result);
    if (result.problems.length > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await runMain(main);
