#!/usr/bin/env node
// Kills the built gateway under load, again and again, and counts what it has written down.
//
//   node scripts/kill-loop.mjs [--rounds 200] [--store sqlite|postgres] [--seed N] [--slack MS] [--json]
//
// Each round starts the gateway on the same data directory, sends it requests, whole and streamed, and ends it with
// `kill -9` at a random moment. In the end it is started once more and asked for everything it has. Exit code 1 unless
//
// - every request whose answer a client had in full more than 250 ms before its gateway was killed has its row,
// - no request has two,
// - the reports count what the rows add up to: requests, tokens and money.
//
// `--slack` widens the window on a machine that is too busy to run a thread when it is due. With `--store postgres` the
// environment variable DATABASE_URL names an empty database.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { StepError, formatDuration, runMain, step } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');
const KEY = 'sk-kill-virtual-0123456789abcdef';
const TOKEN = 'sluice-admin-kill0123456789abcdefgh';

/** What a killed process may lose: what was finished this shortly before. */
const WINDOW_MS = 250;
/** A gateway lives between these, from the moment it serves. */
const LIFE_MS = { least: 50, most: 1_200 };
/** Longest wait for a gateway to serve, and for one to stop. */
const PATIENCE_MS = 60_000;
/** Clients at once; each sends one request after the other. */
const CLIENTS = 16;
/** Pause of a client between two requests, so that the clients do not take the machine from the gateway. */
const CLIENT_PAUSE_MS = 10;
/** Every so many of the requests are streams. */
const STREAM_EVERY = 3;
/** Rows per page of the list. */
const PAGE_ROWS = 500;

const SUMS = ['input_tokens', 'cached_input_tokens', 'output_tokens', 'reasoning_tokens'];

/** Random numbers from 0 to 1 that a seed repeats (mulberry32, in the public domain). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function configOf(store) {
  return {
    listeners: {
      data: { address: '127.0.0.1:0' },
      admin: { address: '127.0.0.1:0', token: 'env:KILL_TOKEN' },
    },
    ...(store === 'postgres' && { store: { postgres: { url: 'env:DATABASE_URL' } } }),
    providers: { demo: {} },
    models: { m: 'demo' },
    prices: [{ model: '*', input: 2.5, output: 10 }],
    keys: [{ name: 'kill', secret: 'env:KILL_KEY' }],
    settings: { reload_on_change: false },
    timeouts: { drain_lag: '0s' },
  };
}

/** A gateway that serves. */
async function startGateway(folder) {
  const args = [
    PROGRAM,
    'start',
    '--config',
    join(folder, 'sluice.yaml'),
    '--data-dir',
    join(folder, 'data'),
  ];
  const env = { ...process.env, KILL_KEY: KEY, KILL_TOKEN: TOKEN };
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let text = '';
  const served = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        text += chunk;
        if (text.includes('Ctrl-C stops')) resolve();
      });
    child.on('exit', (code) => reject(new StepError(`the gateway ended with exit code ${code}:\n${text}`)));
    const late = () => reject(new StepError(`the gateway did not serve within ${PATIENCE_MS} ms:\n${text}`));
    setTimeout(late, PATIENCE_MS).unref();
  });
  try {
    await served;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const url = /(http:\/\/[\d.]+:\d+)\/v1$/m.exec(text)[1];
  const adminUrl = /Admin +(http:\/\/[\d.]+:\d+)\//.exec(text)[1];
  return { child, ended, url, adminUrl };
}

/** Sends one request; resolves to its id when the answer is there in full, and to null otherwise. */
function ask(url, agent, stream) {
  const body = JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content: 'kill' }] });
  const headers = {
    authorization: `Bearer ${KEY}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  return new Promise((resolve) => {
    const sent = request(`${url}/v1/chat/completions`, { method: 'POST', headers, agent }, (response) => {
      let end = '';
      response.on('data', (chunk) => (end = (end + chunk.toString()).slice(-64)));
      response.on('error', () => {});
      response.on('close', () => {
        const isWhole = response.complete && (!stream || end.includes('[DONE]'));
        const id = String(response.headers['x-sluice-request-id']).replaceAll('-', '');
        resolve(isWhole && response.statusCode === 200 ? id : null);
      });
    });
    sent.on('error', () => resolve(null));
    sent.end(body);
  });
}

/** Sends requests until the gateway is gone; puts each that was answered into `answered`, with the time. */
async function sendUntil(gateway, answered, isOver) {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  let number = 0;
  const client = async () => {
    while (!isOver()) {
      number += 1;
      const id = await ask(gateway.url, agent, number % STREAM_EVERY === 0);
      if (id !== null) answered.push({ id, at: performance.now() });
      await sleep(CLIENT_PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  agent.destroy();
  return number;
}

/** One life of a gateway; resolves to what was sent, and what was answered how long before the end. */
async function liveAndDie(folder, random) {
  const gateway = await startGateway(folder);
  const life = LIFE_MS.least + random() * (LIFE_MS.most - LIFE_MS.least);
  const answered = [];
  let isOver = false;
  const sending = sendUntil(gateway, answered, () => isOver);
  await sleep(life);
  const killedAt = performance.now();
  gateway.child.kill('SIGKILL');
  isOver = true;
  await gateway.ended;
  const sent = await sending;
  return { sent, answered: answered.map(({ id, at }) => ({ id, age: killedAt - at })) };
}

async function adminOf(gateway, path) {
  const response = await fetch(gateway.adminUrl + path, { headers: { authorization: `Bearer ${TOKEN}` } });
  const text = await response.text();
  if (!response.ok) throw new StepError(`${path}: ${response.status} ${text}`);
  return response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
}

/** Every row there is, between two times. */
async function rowsOf(gateway, range) {
  const rows = [];
  let cursor = '';
  do {
    const more = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await adminOf(gateway, `/admin/v1/usage/requests?limit=${PAGE_ROWS}&${range}${more}`);
    for (const row of page.requests) rows.push(row);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return rows;
}

/** A sum of money in pico-USD; the API gives it as a decimal number in text. */
function picoUsd(text) {
  const [whole, rest = ''] = String(text ?? '0').split('.');
  return BigInt(whole + rest.padEnd(12, '0'));
}

/** What the clients had in full and the store has not, and what it has twice. */
function missing(lives, rows, windowMs) {
  const counts = new Map();
  for (const { id } of rows) counts.set(id, (counts.get(id) ?? 0) + 1);
  const problems = [];
  const twice = [...counts.values()].filter((count) => count > 1).length;
  if (twice > 0) problems.push(`${twice} requests have more than one row`);
  const lost = lives.flatMap(({ answered }) => answered).filter(({ id }) => !counts.has(id));
  const late = lost.filter(({ age }) => age > windowMs).length;
  if (late > 0) problems.push(`${late} requests are lost that were answered before the window`);
  const oldest = lost.reduce((most, { age }) => Math.max(most, age), 0);
  return { problems, lost: lost.length, oldest_lost_ms: Math.round(oldest) };
}

/** Where the reports count something else than the rows add up to. */
function differences(rows, report = {}) {
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  const expected = { requests: rows.length, ...Object.fromEntries(SUMS.map((name) => [name, sum(name)])) };
  const problems = Object.entries(expected)
    .filter(([name, value]) => (report[name] ?? 0) !== value)
    .map(([name, value]) => `${name}: the rows add up to ${value}, the reports to ${report[name]}`);
  const spent = rows.reduce((total, row) => total + picoUsd(row.cost_usd), 0n);
  if (spent !== picoUsd(report.cost_usd))
    problems.push(`cost: the rows add up to ${spent} pico-USD, the reports to ${report.cost_usd} USD`);
  return problems;
}

/** Kills it so often, and resolves to the report. */
async function killLoop(folder, { rounds, store, seed, slack }) {
  const random = randomFrom(seed);
  writeFileSync(join(folder, 'sluice.yaml'), JSON.stringify(configOf(store)));
  const from = new Date(Date.now() - 60_000).toISOString();
  const lives = [];
  for (let round = 1; round <= rounds; round += 1) {
    lives.push(await liveAndDie(folder, random));
    if (round % 20 === 0) process.stderr.write(`  ${round} rounds\n`);
  }
  const heir = await startGateway(folder);
  try {
    const range = `from=${from}&to=${new Date(Date.now() + 60_000).toISOString()}`;
    const rows = await rowsOf(heir, range);
    const { rows: sums } = await adminOf(heir, `/admin/v1/usage?${range}`);
    heir.child.kill('SIGTERM');
    const sum = (of) => lives.reduce((total, life) => total + of(life), 0);
    const { problems, ...lost } = missing(lives, rows, WINDOW_MS + slack);
    problems.push(...differences(rows, sums[0]));
    const sent = sum((life) => life.sent);
    const answered = sum((life) => life.answered.length);
    return { rounds, store, seed, sent, answered, rows: rows.length, ...lost, problems };
  } finally {
    setTimeout(() => heir.child.kill('SIGKILL'), PATIENCE_MS).unref();
    await heir.ended;
  }
}

function print(report, isJson) {
  if (isJson) {
    console.log(JSON.stringify(report));
    return;
  }
  const { rounds, store, seed, sent, answered, rows, lost, oldest_lost_ms: oldest, problems } = report;
  console.log(`${rounds} kills under load, ${store}, seed ${seed}`);
  console.log(`  ${sent} requests sent, ${answered} answered in full, ${rows} rows`);
  console.log(
    `  ${lost} answered requests without a row; the oldest was finished ${oldest} ms before the kill`,
  );
  for (const problem of problems) console.log(`  VIOLATION: ${problem}`);
  if (problems.length === 0) console.log(`  every other request has one row, and the reports add up`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '200' },
      store: { type: 'string', default: 'sqlite' },
      slack: { type: 'string', default: '0' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      json: { type: 'boolean', default: false },
    },
  });
  const [rounds, seed, slack] = [values.rounds, values.seed, values.slack].map(Number);
  if (!(rounds >= 1 && slack >= 0) || !Number.isInteger(seed))
    throw new StepError('--rounds, --seed and --slack take whole numbers');
  if (!['sqlite', 'postgres'].includes(values.store)) throw new StepError('--store is sqlite or postgres');
  if (values.store === 'postgres' && !process.env.DATABASE_URL)
    throw new StepError('--store postgres needs an empty database in DATABASE_URL');
  if (!existsSync(PROGRAM)) throw new StepError('the gateway is not built: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'sluice-kill-loop-'));
  try {
    const title = `Killing a gateway under load ${rounds} times, about ${formatDuration(rounds * 1_500)}`;
    let report;
    await step(
      title,
      async () => (report = await killLoop(folder, { rounds, store: values.store, seed, slack })),
    );
    print(report, values.json);
    if (report.problems.length > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await runMain(main);
