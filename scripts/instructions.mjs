#!/usr/bin/env node
// Counts the instructions that one request costs the data plane, with valgrind's callgrind, and refuses a rise.
//
//   node scripts/instructions.mjs [--write]
//
// Seconds depend on what else a machine does; instructions of the same binary do not, so two percent more is a finding and
// not noise. A gateway without its TypeScript side serves first few, then many requests on one connection, from a client
// and an upstream in this process; the difference of the two counts leaves out start and end. Only user code counts.
//
// The figures belong to a compiler: with another one they are printed and compared with nothing. `--write` records them.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { StepError, isMain, runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const BASELINE = join(ROOT, 'bench', 'instructions.json');
const TOLERANCE = 0.02;
const FEW = 200;
const MANY = 1200;
const KEY = 'sk-slc-instructions';

const TEXT = 'y'.repeat(400);

/** The APIs of the rows: what clients ask, where, how, and what providers answer. */
const APIS = {
  openai: {
    base: '/v1',
    auth: { kind: 'bearer' },
    path: () => '/v1/chat/completions',
    body: (model, text) => ({ model, messages: [{ role: 'user', content: text }], temperature: 0.7 }),
    answer: {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1760000000,
      model: 'm',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: TEXT },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
      usage: {
        prompt_tokens: 250,
        completion_tokens: 100,
        total_tokens: 350,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
      },
    },
  },
  anthropic: {
    base: '/v1',
    auth: { kind: 'header', name: 'x-api-key' },
    path: () => '/v1/messages',
    body: (model, text) => ({
      model,
      max_tokens: 1024,
      messages: [{ role: 'user', content: text }],
      temperature: 0.7,
    }),
    answer: {
      id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [{ type: 'text', text: TEXT }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: 250,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
        output_tokens: 100,
        service_tier: 'standard',
      },
    },
  },
  gemini: {
    base: '/v1beta',
    auth: { kind: 'header', name: 'x-goog-api-key' },
    path: (model) => `/v1beta/models/${model}:generateContent`,
    body: (model, text) => ({
      contents: [{ role: 'user', parts: [{ text }] }],
      generationConfig: { temperature: 0.7 },
    }),
    answer: {
      candidates: [{ content: { parts: [{ text: TEXT }], role: 'model' }, finishReason: 'STOP', index: 0 }],
      usageMetadata: {
        promptTokenCount: 250,
        candidatesTokenCount: 100,
        totalTokenCount: 350,
        promptTokensDetails: [{ modality: 'TEXT', tokenCount: 250 }],
      },
      modelVersion: 'm',
      responseId: 'mAaKaYCxOeWtz7IPp4rE8As',
    },
  },
  bedrock: {
    base: '',
    auth: { kind: 'bearer' },
    path: (model) => `/model/${model}/converse`,
    body: (model, text) => ({
      messages: [{ role: 'user', content: [{ text }] }],
      inferenceConfig: { temperature: 0.7 },
    }),
    answer: {
      metrics: { latencyMs: 412 },
      output: { message: { content: [{ text: TEXT }], role: 'assistant' } },
      stopReason: 'end_turn',
      usage: { inputTokens: 250, outputTokens: 100, totalTokens: 350 },
    },
  },
  cohere: {
    base: '',
    auth: { kind: 'bearer' },
    path: () => '/v2/chat',
    body: (model, text) => ({ model, messages: [{ role: 'user', content: text }], temperature: 0.7 }),
    answer: {
      id: 'c14c80c3-18eb-4519-9460-6c92edd8cfb4',
      message: { role: 'assistant', content: [{ type: 'text', text: TEXT }] },
      finish_reason: 'COMPLETE',
      usage: {
        billed_units: { input_tokens: 250, output_tokens: 100 },
        tokens: { input_tokens: 260, output_tokens: 100 },
      },
    },
  },
};

/** What is counted: a request each; for some the model leads to a rewritten name, or the provider speaks another API. */
const ROWS = {
  identity_1k: { client: 'openai', provider: 'openai', model: 'm', bytes: 1024 },
  alias_1k: { client: 'openai', provider: 'openai', model: 'alias', bytes: 1024 },
  identity_20k: { client: 'openai', provider: 'openai', model: 'm', bytes: 20 * 1024 },
  anthropic_1k: { client: 'anthropic', provider: 'anthropic', model: 'm', bytes: 1024 },
  gemini_1k: { client: 'gemini', provider: 'gemini', model: 'm', bytes: 1024 },
  bedrock_1k: { client: 'bedrock', provider: 'bedrock', model: 'm', bytes: 1024 },
  cohere_1k: { client: 'cohere', provider: 'cohere', model: 'm', bytes: 1024 },
  openai_to_anthropic_1k: { client: 'openai', provider: 'anthropic', model: 'm', bytes: 1024 },
};

/** What a provider of an API answers, headers included. */
function answerOf(name) {
  const body = JSON.stringify(APIS[name].answer);
  return Buffer.from(
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nopenai-version: 2020-10-01\r\nopenai-processing-ms: 12\r\n' +
      'x-request-id: req_0123456789\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n' +
      `x-ratelimit-reset-requests: 6ms\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

function request({ client, model, bytes }) {
  const api = APIS[client];
  const shell = JSON.stringify(api.body(model, ''));
  const text = 'The quick brown fox jumps over the lazy dog. '
    .repeat(bytes / 40)
    .slice(0, bytes - shell.length);
  const body = JSON.stringify(api.body(model, text));
  return Buffer.from(
    `POST ${api.path(model)} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${KEY}\r\n` +
      'accept: application/json\r\ncontent-type: application/json\r\nuser-agent: OpenAI/JS 7.57.0\r\n' +
      'x-stainless-lang: js\r\nx-stainless-package-version: 7.57.0\r\nx-stainless-os: Linux\r\n' +
      'x-stainless-arch: x64\r\nx-stainless-runtime: node\r\nx-stainless-runtime-version: v20.20.2\r\n' +
      'x-stainless-retry-count: 0\r\nx-stainless-timeout: 600\r\naccept-encoding: gzip, deflate\r\n' +
      `connection: keep-alive\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Calls `onMessage` for every message with a content length that arrives. */
function readMessages(socket, onMessage) {
  let bytes = Buffer.alloc(0);
  socket.on('data', (piece) => {
    bytes = Buffer.concat([bytes, piece]);
    const head = bytes.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(bytes.subarray(0, head).toString('latin1'))[1]);
    if (bytes.length < head + 4 + length) return;
    const status = bytes.subarray(9, 12).toString('latin1');
    bytes = bytes.subarray(head + 4 + length);
    onMessage(status);
  });
}

async function startUpstream(answer) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    readMessages(socket, () => socket.write(answer));
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function snapshot(provider, port) {
  const { base, auth } = APIS[provider];
  const timeouts = { connect_ms: 5000, first_byte_ms: 60000, between_chunks_ms: 60000, total_ms: 600000 };
  const target = (id, more) => ({ id, provider: 1, weight: 1, tier: 0, ...more });
  return {
    version: 1,
    settings: {
      max_request_body_bytes: 33554432,
      max_response_body_bytes: 268435456,
      max_event_bytes: 16777216,
      header_timeout_ms: 60000,
      body_timeout_ms: 60000,
      idle_timeout_ms: 60000,
      write_timeout_ms: 60000,
      max_requests_per_connection: 1000000,
      max_auth_failures_per_minute: 60,
      require_key: true,
    },
    providers: [
      {
        id: 1,
        name: 'p',
        dialect: provider,
        base_url: `http://127.0.0.1:${port}${base}`,
        auth,
        keys: [{ id: 1, secret: 'sk-0123456789abcdef', weight: 1 }],
        usage_in_stream: true,
        timeouts,
        idle_timeout_ms: 60000,
        max_idle_per_worker: 64,
      },
    ],
    models: [
      { id: 1, name: 'm', targets: [target(1, {})] },
      { id: 2, name: 'alias', targets: [target(2, { upstream_model: 'real-model-name' })] },
    ],
    keys: [
      {
        id: 1,
        digests: [{ sha256: createHash('sha256').update(KEY).digest('hex') }],
        models: ['*'],
        limits: { requests_per_minute: 100000000, tokens_per_minute: 100000000000, concurrency: 1000 },
      },
    ],
  };
}

/** Sends `count` requests one after the other. */
async function send(port, bytes, count) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  await new Promise((resolve, reject) => {
    let left = count;
    readMessages(socket, (status) => {
      if (status !== '200') reject(new StepError(`the gateway answered ${status}`));
      left -= 1;
      if (left === 0) resolve();
      else socket.write(bytes);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new StepError('the gateway closed the connection')));
    socket.write(bytes);
  });
  socket.destroy();
}

/** Instructions of a whole run that serves `count` requests. */
async function measure(gateway, folder, row, upstreamPort, count) {
  const options = { listeners: [{ address: '127.0.0.1:0' }], workers: 1, max_connections: 100 };
  writeFileSync(join(folder, 'options.json'), JSON.stringify(options));
  writeFileSync(join(folder, 'snapshot.json'), JSON.stringify(snapshot(row.provider, upstreamPort)));
  const child = spawn(
    'valgrind',
    [
      '--tool=callgrind',
      `--callgrind-out-file=${join(folder, 'callgrind.out')}`,
      gateway,
      join(folder, 'options.json'),
      join(folder, 'snapshot.json'),
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let report = '';
  child.stderr.on('data', (piece) => (report += piece));
  const exited = once(child, 'exit');
  const [line] = await Promise.race([once(child.stdout, 'data'), exited.then(() => [''])]);
  const port = Number(String(line).trim().split(':').at(-1));
  if (!port) throw new StepError(`the gateway did not start under valgrind:\n${report}`);
  await send(port, request(row), count);
  child.stdin.end();
  await exited;
  const total = /Collected : (\d+)/.exec(report);
  if (total === null) throw new StepError(`valgrind gave no count:\n${report}`);
  return Number(total[1]);
}

function buildGateway() {
  const args = ['build', '--locked', '--profile', 'quick', '-p', 'sluice-server', '--example', 'gateway'];
  const built = spawnSync('cargo', args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  if (built.status !== 0) throw new StepError('the gateway of the measurement does not build');
  return join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'quick', 'examples', 'gateway');
}

function compiler() {
  const line = spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout;
  const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(line)?.[1];
  return `${field('release')} ${field('host')}`;
}

async function countRows() {
  const gateway = buildGateway();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-instructions-'));
  const counts = {};
  try {
    for (const [name, row] of Object.entries(ROWS)) {
      const upstream = await startUpstream(answerOf(row.provider));
      try {
        const { port } = upstream.address();
        const few = await measure(gateway, folder, row, port, FEW);
        const many = await measure(gateway, folder, row, port, MANY);
        counts[name] = Math.round((many - few) / (MANY - FEW));
      } finally {
        upstream.close();
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return counts;
}

function compare(counts, baseline) {
  let risen = 0;
  for (const [name, count] of Object.entries(counts)) {
    const before = baseline.rows[name];
    const change = before === undefined ? undefined : count / before - 1;
    const percent = change === undefined ? 'new' : `${(change * 100).toFixed(1)} %`;
    console.log(`${name.padEnd(22)} ${String(count).padStart(8)} instructions per request  (${percent})`);
    if (change === undefined || change > TOLERANCE) risen += 1;
  }
  return risen;
}

export async function main(argv = process.argv.slice(2)) {
  const { values } = parseArgs({ args: argv, options: { write: { type: 'boolean', default: false } } });
  const counts = await countRows();
  const current = compiler();
  const baseline = JSON.parse(readFileSync(BASELINE, 'utf8'));
  if (values.write) {
    writeFileSync(
      BASELINE,
      `${JSON.stringify({ compiler: current, profile: 'quick', rows: counts }, null, 2)}\n`,
    );
    console.log(`written to ${BASELINE}`);
    return;
  }
  if (baseline.compiler !== current) {
    console.log(`measured with ${current}; the baseline is of ${baseline.compiler}, so nothing is compared`);
    compare(counts, baseline);
    return;
  }
  const risen = compare(counts, baseline);
  if (risen > 0) {
    throw new StepError(
      `${risen} of ${Object.keys(counts).length} rows cost over ${TOLERANCE * 100} % more than bench/instructions.json says. ` +
        'Find out why, or record it with `node scripts/instructions.mjs --write` and say why in the commit.',
    );
  }
}

if (isMain(import.meta.url)) await runMain(main);
