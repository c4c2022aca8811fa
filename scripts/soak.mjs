#!/usr/bin/env node
// Mixed load on the built gateway for a long time, to see that it grows by nothing: memory, descriptors, threads.
//
//   node scripts/soak.mjs [--minutes 30] [--rps 200] [--cycles 1000] [--json]
//
// A gateway as shipped serves whole answers, streams, embeddings, refusals, failures of the provider, answers that break
// off and clients that leave in the middle, while its configuration is reloaded, its usage reported and its metrics
// scraped. What it holds is measured when it is warm and from then on every minute, and compared in the end, when all
// is quiet. Then a data plane is started and stopped many times in one process. Exit code 1 where something has grown,
// was lost, or failed without being meant to. Linux only: it reads /proc.

import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { BASE_CONFIG, PROGRAM, adminOf, startBuilt } from './lib/gateway.mjs';
import { StepError, formatDuration, run, runMain, step } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const BRIDGE = join(ROOT, 'dist', 'bridge', 'index.js');
const KEY = 'sk-soak-virtual-0123456789abcdef';

/** Part of the run that is not measured: pools, buffers and the JIT grow to their size in it. */
const WARM_UP_SHARE = 0.2;
/** What may be added to memory after the warm-up, over the whole run. */
const MAX_GROWTH_BYTES = 32 * 1024 * 1024;
/** Descriptors that may come and go with timing: connections to the provider, and readers of reports. */
const MAX_MORE_DESCRIPTORS = 16;
/** Longest wait for everything to fall quiet in the end: idle connections are closed after 30 seconds. */
const QUIET_MS = 45_000;
/** Heap of Node.js: small, so that a leak of the control plane ends the run. */
const HEAP_MIB = 96;
const GATEWAY = { nodeOptions: [`--max-old-space-size=${HEAP_MIB}`], env: { SOAK_KEY: KEY } };
const RELOAD_EVERY_MS = 20_000;
const REPORT_EVERY_MS = 5_000;
const MEASURE_EVERY_MS = 60_000;
/** Reloads go round between so many configurations; names that were served once stay in the metrics. */
const GENERATIONS = 4;

const chat = (more) => JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'soak' }], ...more });

/** Kinds of requests: how many of a hundred, the path, the body, the status that is meant, and whether the client leaves. */
const KINDS = {
  whole: { share: 40, body: chat(), status: 200 },
  streamed: { share: 20, body: chat({ stream: true }), status: 200 },
  'streamed with usage': {
    share: 8,
    body: chat({ stream: true, stream_options: { include_usage: true } }),
    status: 200,
  },
  long: { share: 4, body: chat({ user: 'x'.repeat(200_000) }), status: 200 },
  embeddings: { share: 8, path: '/embeddings', body: '{"model":"m","input":"soak"}', status: 200 },
  'failed by the provider': { share: 4, body: chat({ user: 'fail' }), status: 500 },
  'broken off by the provider': { share: 4, body: chat({ user: 'break', stream: true }), status: 200 },
  'left by the client': {
    share: 6,
    body: chat({ user: 'endless', stream: true }),
    status: 200,
    leaves: true,
  },
  'of an unknown model': { share: 3, body: '{"model":"absent","messages":[]}', status: 404 },
  'no JSON': { share: 2, body: '{"model":', status: 400 },
  'with a wrong key': { share: 1, body: chat(), status: 401, key: 'sk-wrong' },
};

/** The kinds, each as often as its share of a hundred. */
const MIX = Object.keys(KINDS).flatMap((name) => Array.from({ length: KINDS[name].share }, () => name));

const USAGE = { prompt_tokens: 12, completion_tokens: 34, total_tokens: 46 };
const event = (data) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
const delta = (content, finish_reason = null) => {
  const choices = [{ index: 0, delta: { content }, finish_reason }];
  return { id: 'chatcmpl-soak', object: 'chat.completion.chunk', created: 1, model: 'm', choices };
};

/** Answers a stream, as the `user` of the request asks. */
async function stream(response, { user, stream_options }) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(event(delta('one ')));
  if (user === 'endless') {
    while (!response.destroyed) {
      response.write(event(delta('more ')));
      await sleep(50);
    }
    return;
  }
  await sleep(10);
  response.write(event(delta('two ')));
  if (user === 'break') {
    setTimeout(() => response.destroy(), 5);
    return;
  }
  response.write(event(delta('', 'stop')));
  if (stream_options?.include_usage) response.write(event({ ...delta(''), choices: [], usage: USAGE }));
  response.end(event('[DONE]'));
}

function answerWhole(response, path, { user }) {
  const status = user === 'fail' ? 500 : 200;
  const choices = [{ index: 0, message: { role: 'assistant', content: 'soaked' }, finish_reason: 'stop' }];
  const completion = {
    id: 'chatcmpl-soak',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices,
    usage: USAGE,
  };
  const embeddings = { object: 'list', data: [], model: 'm', usage: USAGE };
  const good = path.endsWith('/embeddings') ? embeddings : completion;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(status === 200 ? good : { error: { message: 'meant to fail' } }));
}

async function answer(incoming, response) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString());
  if (body.stream) await stream(response, body);
  else answerWhole(response, incoming.url, body);
}

/** A provider that does what it is asked to. */
async function startProvider() {
  const server = createServer((incoming, response) => void answer(incoming, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The configuration of a generation. */
function configOf(provider, generation) {
  return {
    ...BASE_CONFIG,
    providers: { soak: { base_url: `http://127.0.0.1:${provider.address().port}/v1`, auth: 'none' } },
    models: { m: 'soak', [`generation-${generation}`]: 'soak' },
    keys: [{ name: 'soak', secret: 'env:SOAK_KEY' }],
    limits: { auth_failures_per_minute: 0 },
    timeouts: { provider: { idle: '5s' } },
  };
}

/** Sends one request of a kind; resolves to what was wrong with the outcome, or null. */
function send(url, { path = '/chat/completions', body, status, leaves = false, key = KEY }, agent) {
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(`${url}${path}`, { method: 'POST', headers, agent }, (response) => {
      response.on('data', () => leaves && response.destroy());
      response.on('error', () => {});
      response.on('close', () => {
        resolve(response.statusCode === status ? null : `status ${response.statusCode} instead of ${status}`);
      });
    });
    sent.on('error', (error) => resolve(error.message));
    sent.end(body);
  });
}

/** Sends the mix at a steady rate until the end; resolves to the counts by kind and the failures that were not meant. */
async function sendMix(url, rps, untilMs) {
  const agent = new Agent({ keepAlive: true, maxSockets: 200 });
  const counts = Object.fromEntries(Object.keys(KINDS).map((name) => [name, 0]));
  const failures = [];
  const running = new Set();
  const begun = performance.now();
  for (let due = 0; performance.now() < untilMs; due += 1) {
    await sleep(begun + (due * 1_000) / rps - performance.now());
    const name = MIX[(due * 37) % MIX.length]; // 37 shares no factor with 100: every kind in its turn
    const one = (async () => {
      const failure = await send(url, KINDS[name], agent);
      counts[name] += 1;
      if (failure !== null) failures.push(`${name}: ${failure}`);
      running.delete(one);
    })();
    running.add(one);
  }
  await Promise.all(running);
  agent.destroy();
  return { counts, failures };
}

/** Reloads, reports and scrapes as an installation does. */
async function operate(gateway, folder, provider, untilMs) {
  for (let at = 1; performance.now() < untilMs; at += 1) {
    await sleep(REPORT_EVERY_MS);
    await adminOf(gateway, '/admin/v1/usage?group_by=model,status&interval=minute');
    await adminOf(gateway, '/admin/v1/usage/requests?limit=100');
    await adminOf(gateway, '/metrics');
    if ((at * REPORT_EVERY_MS) % RELOAD_EVERY_MS !== 0) continue;
    writeFileSync(join(folder, 'sluice.yaml'), JSON.stringify(configOf(provider, at % GENERATIONS)));
    await adminOf(gateway, '/admin/v1/config/reload', { method: 'POST' });
  }
}

/** What the heap of the control plane holds, as the gateway tells. */
async function heapOf(gateway) {
  const bytes = /^nodejs_heap_size_used_bytes (\d+)/m.exec(await adminOf(gateway, '/metrics'));
  return { heap_mib: Math.round(Number(bytes?.[1]) / 1024 / 1024) };
}

/** What a process holds at this moment. */
function heldBy(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    rss_mib: Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) / 1_024),
    threads: readdirSync(`/proc/${pid}/task`).length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

async function measure(gateway, begun, untilMs, samples) {
  while (performance.now() < untilMs) {
    await sleep(Math.max(0, Math.min(MEASURE_EVERY_MS, untilMs - performance.now())));
    const minute = Math.round((performance.now() - begun) / 6_000) / 10;
    const sample = { minute, ...heldBy(gateway.child.pid), ...(await heapOf(gateway)) };
    samples.push(sample);
    process.stderr.write(`  ${JSON.stringify(sample)}\n`);
  }
}

/** The least of several looks, spread over a while: what is held in spite of quiet. */
async function heldWhenQuiet(gateway) {
  const looks = [];
  for (let at = 0; at < 10; at += 1) {
    looks.push(heldBy(gateway.child.pid));
    await sleep(QUIET_MS / 10);
  }
  const least = (name) => Math.min(...looks.map((look) => look[name]));
  return { rss_mib: least('rss_mib'), threads: least('threads'), descriptors: least('descriptors') };
}

/** Everything that was recorded must be what was sent, less the requests whose key was not known. */
async function lostRecords(gateway, counts) {
  const sent = Object.values(counts).reduce((sum, count) => sum + count, 0) - counts['with a wrong key'];
  const { recording, active_requests } = await adminOf(gateway, '/admin/v1/health');
  const problems = [];
  if (recording.records !== sent) problems.push(`${sent} requests were sent, ${recording.records} recorded`);
  if (recording.records_lost > 0) problems.push(`${recording.records_lost} records were lost`);
  if (active_requests > 0) problems.push(`${active_requests} requests are still active`);
  return problems;
}

function growth(warm, quiet) {
  const problems = [];
  const grown = (quiet.rss_mib - warm.rss_mib) * 1024 * 1024;
  if (grown > MAX_GROWTH_BYTES) problems.push(`memory grew from ${warm.rss_mib} to ${quiet.rss_mib} MiB`);
  if (quiet.threads > warm.threads) problems.push(`threads grew from ${warm.threads} to ${quiet.threads}`);
  if (quiet.descriptors > warm.descriptors + MAX_MORE_DESCRIPTORS)
    problems.push(`descriptors grew from ${warm.descriptors} to ${quiet.descriptors}`);
  return problems;
}

/** The long run; resolves to its report. */
async function soak(folder, minutes, rps) {
  const provider = await startProvider();
  writeFileSync(join(folder, 'sluice.yaml'), JSON.stringify(configOf(provider, 0)));
  const gateway = await startBuilt(folder, GATEWAY);
  try {
    const atStart = heldBy(gateway.child.pid);
    const warm = await sendMix(gateway.url, rps, performance.now() + minutes * 60_000 * WARM_UP_SHARE);
    const before = heldBy(gateway.child.pid);
    const begun = performance.now();
    const untilMs = begun + minutes * 60_000 * (1 - WARM_UP_SHARE);
    const samples = [];
    const [mix] = await Promise.all([
      sendMix(gateway.url, rps, untilMs),
      operate(gateway, folder, provider, untilMs),
      measure(gateway, begun, untilMs, samples),
    ]);
    const quiet = await heldWhenQuiet(gateway);
    const counts = Object.fromEntries(
      Object.keys(KINDS).map((name) => [name, warm.counts[name] + mix.counts[name]]),
    );
    const failures = [...warm.failures, ...mix.failures];
    const problems = [...growth(before, quiet), ...(await lostRecords(gateway, counts))];
    if (failures.length > 0)
      problems.push(`${failures.length} requests failed: ${failures.slice(0, 3).join('; ')}`);
    gateway.child.kill('SIGTERM');
    const [code] = await gateway.ended;
    if (code !== 0) problems.push(`the gateway ended with ${code}: ${gateway.errors()}`);
    return { minutes, rps, counts, at_start: atStart, warm: before, quiet, samples, problems };
  } finally {
    gateway.child.kill('SIGKILL');
    provider.close();
    provider.closeAllConnections();
  }
}

/** Starts and stops a data plane again and again in a process of its own; resolves to what was left behind. */
async function startAndStop(cycles) {
  const script = join(ROOT, 'ts', 'test', 'e2e', 'scripts', 'start-stop.mjs');
  const args = ['--expose-gc', script, pathToFileURL(BRIDGE).href, String(cycles)];
  const { code, output } = await run(process.execPath, args, { capture: true });
  if (code !== 0) return { cycles, problems: [`starting and stopping ended with ${code}: ${output}`] };
  const { before, after } = JSON.parse(output);
  const problems = ['fds', 'threads']
    .filter((name) => after[name] > before[name])
    .map((name) => `${cycles} starts: ${name} grew from ${before[name]} to ${after[name]}`);
  return { cycles, before, after, problems };
}

async function main() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      rps: { type: 'string', default: '200' },
      cycles: { type: 'string', default: '1000' },
      json: { type: 'boolean', default: false },
    },
  });
  const [minutes, rps, cycles] = [values.minutes, values.rps, values.cycles].map(Number);
  if (!(minutes > 0 && rps > 0 && cycles >= 0))
    throw new StepError('--minutes, --rps and --cycles take numbers');
  if (!existsSync('/proc/self/task')) throw new StepError('this needs /proc, and so Linux');
  if (!existsSync(PROGRAM)) throw new StepError('the gateway is not built: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'sluice-soak-'));
  try {
    const title = `Mixed load, ${formatDuration(minutes * 60_000)} at ${rps} requests per second`;
    const long = await step(title, () => soak(folder, minutes, rps));
    const starts = await step(`${cycles} starts and stops`, () => startAndStop(cycles));
    const { problems: longProblems, ...measured } = long;
    const problems = [...longProblems, ...starts.problems];
    if (values.json) console.log(JSON.stringify({ ...measured, starts, problems }, null, 2));
    else console.log(`warm ${JSON.stringify(long.warm)}\nend  ${JSON.stringify(long.quiet)}`);
    if (problems.length > 0) throw new StepError(problems.join('\n'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await runMain(main);
