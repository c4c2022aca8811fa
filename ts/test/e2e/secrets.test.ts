/**
 * Checks 44 and 51, canary secrets: after a run in which much goes wrong, none of the secrets that the gateway was given is in anything it
 * has said or stored, and virtual keys are there as digests only.
 */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CERTIFICATES } from '../config/certificates.js';
import { ADMIN_TOKEN, Gateway, KEY } from './support/gateway.js';
import { ask, type Sending } from './support/http.js';
import { isBuilt, PROGRAM, runToEnd } from './support/program.js';
import { beginStream, chatHandler, event, sendJson, Upstream, type Handler } from './support/upstream.js';
import { eventually } from './support/wait.js';

/** What must be nowhere. The parts between the dashes are what is looked for, so that a cut-off secret is found too. */
const SECRETS = {
  providerKey: 'sk-canaryprovider-Q7wXz93LmNpRt5Vb',
  providerKeyOfAnotherShape: 'canarycustom.K3yWithDots.Zq81',
  providerHeader: 'canaryheaderJh62GfDs90Vw',
  storedProviderKey: 'sk-canarystored-Xc7Yb21MwEr64Pq',
  virtualKey: KEY,
  secondVirtualKey: 'sk-canaryvirtual-Bn4mKl8Tr2Wq',
  adminToken: ADMIN_TOKEN,
  tlsKey: CERTIFICATES.key.split('\n')[1] ?? '',
} as const;

const CANARIES = [
  ...Object.values(SECRETS),
  'canaryprovider',
  'K3yWithDots',
  'canaryheader',
  'canaryvirtual',
  'canarystored',
];

const CHAT = JSON.stringify({ model: 'good', messages: [{ role: 'user', content: 'x' }] });

let upstream: Upstream;
let gateway: Gateway;
/** Secrets that were made on the way; answered once, and nowhere else. */
const made: string[] = [];
/** Everything the gateway has said, with where. */
const said: [string, string][] = [];

/** Errors of a provider that repeat what they were sent, in the ways providers do. */
const ECHOES: readonly Handler[] = [
  (request, response) => {
    const message = `Incorrect API key provided: ${keyOf(request.headers)}. See your dashboard.`;
    sendJson(response, { error: { message, type: 'invalid_request_error', code: 'invalid_api_key' } }, 401);
  },
  (request, response) => {
    // Keys are masked; headers of the configuration are not taken for secrets.
    const headers = Object.entries(request.headers).filter(([name]) => name !== 'x-canary');
    sendJson(response, { error: { message: 'echo', headers } }, 403);
  },
  (request, response) => {
    response.writeHead(500, { 'content-type': 'text/html' }).end(`<p>${keyOf(request.headers)}</p>`);
  },
  (request, response) => {
    beginStream(response);
    response.end(event({ error: { message: `bad key ${keyOf(request.headers)}`, code: 'invalid_api_key' } }));
  },
];

function keyOf(headers: Record<string, unknown>): string {
  return String(headers['authorization'] ?? headers['x-canary-key']).replace('Bearer ', '');
}

beforeAll(async () => {
  upstream = await Upstream.start(chatHandler());
  gateway = await Gateway.start({
    config: config(),
    env: { PROVIDER_KEY: SECRETS.providerKey, SECOND_KEY: SECRETS.secondVirtualKey },
    options: ['--log-format', 'json'],
  });
});

function config(): Record<string, unknown> {
  return {
    settings: { log_level: 'debug' },
    keys: [
      { name: 'tests', secret: 'env:SLUICE_TEST_KEY' },
      { name: 'second', secret: 'env:SECOND_KEY', limits: { requests_per_minute: 1 } },
    ],
    providers: {
      good: {
        base_url: upstream.url,
        key: 'env:PROVIDER_KEY',
        headers: { 'x-canary': SECRETS.providerHeader },
      },
      custom: { base_url: upstream.url, key: SECRETS.providerKeyOfAnotherShape, auth: 'header:x-canary-key' },
      stored: { base_url: upstream.url, key: 'env:PROVIDER_KEY' },
      gone: { base_url: 'http://127.0.0.1:9/v1', key: 'env:PROVIDER_KEY' },
      strict: { base_url: `https://localhost:${new URL(upstream.url).port}/v1`, key: 'env:PROVIDER_KEY' },
    },
    models: { good: 'good', custom: 'custom', stored: 'stored', gone: 'gone', strict: 'strict' },
  };
}

/** What is in the files of a directory and below. */
function filesOf(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'));
}

function hear(where: string, text: string): void {
  said.push([where, text]);
}

async function request(where: string, path: string, sending: Sending = {}): Promise<number> {
  const { status, lines, body } = await ask(`${gateway.origin}${path}`, sending);
  hear(where, `${JSON.stringify(lines)}\n${body.toString()}`);
  return status;
}

function chat(model: string, more: object = {}): string {
  return JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }], ...more });
}

describe.skipIf(!isBuilt)('a run with canary secrets', () => {
  it('serves, refuses and fails in many ways', async () => {
    const path = '/v1/chat/completions';
    expect(await request('good', path, { body: CHAT })).toBe(200);
    expect(upstream.last.headers).toMatchObject({
      authorization: `Bearer ${SECRETS.providerKey}`,
      'x-canary': SECRETS.providerHeader,
    });
    expect(await request('custom', path, { body: chat('custom') })).toBe(200);
    expect(upstream.last.headers['x-canary-key']).toBe(SECRETS.providerKeyOfAnotherShape);
    expect(JSON.stringify(upstream.requests.map(({ headers }) => headers))).not.toContain(KEY);

    for (const model of ['good', 'custom']) {
      for (const [at, echo] of ECHOES.entries()) {
        upstream.handler = echo;
        const body = chat(model, { stream: at === 3 });
        expect(await request(`echo ${at} of ${model}`, path, { body })).toBeGreaterThanOrEqual(400);
      }
    }
    expect(await request('gone', path, { body: chat('gone') })).toBe(502);
    expect(await request('strict', path, { body: chat('strict') })).toBe(502);
    expect(await request('wrong key', path, { body: CHAT, key: `${KEY}x` })).toBe(401);
    expect(await request('a provider key', path, { body: CHAT, key: SECRETS.providerKey })).toBe(401);
    const both = { 'x-api-key': SECRETS.secondVirtualKey };
    expect(await request('two keys', path, { body: CHAT, headers: both })).toBe(400);
    expect(await request('no JSON', path, { body: `{"model": ${KEY}` })).toBe(400);
    expect(await request('a key in the URL', `/v1/models?key=${KEY}`)).toBe(200);
    expect(await request('a key as a path', `/v1/${KEY}`)).toBe(404);
    // Clients of Gemini send it in the query, and pages that lead here would tell of it.
    const gemini = {
      body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'x' }] }] }),
      headers: { referer: `http://127.0.0.1/?key=${KEY}` },
      key: null,
    };
    const generate = '/v1beta/models/good:generateContent';
    upstream.handler = chatHandler();
    expect(await request('a key of Gemini’s', `${generate}?key=${KEY}`, gemini)).toBe(200);
    expect(JSON.stringify([upstream.last.path, upstream.last.headers])).not.toContain(KEY);
    expect(await request('no model', `/v1beta/models/no:generateContent?key=${KEY}`, gemini)).toBe(404);
    expect(await request('another key', `${generate}?key=${SECRETS.providerKey}`, gemini)).toBe(401);
    expect(await request('no such path', `/v1beta/nothing?key=${KEY}`, gemini)).toBe(404);
    upstream.handler = chatHandler();
    const frugal = { body: CHAT, key: SECRETS.secondVirtualKey };
    expect([await request('once', path, frugal), await request('twice', path, frugal)]).toEqual([200, 429]);
  });

  it('makes and rotates keys', async () => {
    const post = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const body = JSON.stringify({ name: 'made' });
    const first = await gateway.admin<{ key: { id: number }; secret: string }>('/admin/v1/keys', {
      ...post,
      body,
    });
    const rotated = await gateway.admin<{ secret: string }>(`/admin/v1/keys/${first.key.id}/rotate`, {
      ...post,
      body: JSON.stringify({ overlap_seconds: 3_600 }),
    });
    made.push(first.secret, rotated.secret);
    for (const key of made) expect(await request('a key that was made', '/v1/models', { key })).toBe(200);
  });

  it('makes a token, and stores a key of a provider', async () => {
    const post = (body: object) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const { secret } = await gateway.admin<{ secret: string }>(
      '/admin/v1/tokens',
      post({ name: 'made', role: 'viewer' }),
    );
    made.push(secret);
    const headers = { authorization: `Bearer ${secret}` };
    expect((await gateway.adminResponse('/admin/v1/keys', { headers })).status).toBe(200);
    const stored = { provider: 'stored', name: 'second', secret: SECRETS.storedProviderKey };
    for (const status of [201, 409]) {
      const answer = await gateway.adminResponse('/admin/v1/provider-keys', post(stored));
      hear('a stored key', await answer.text());
      expect(answer.status).toBe(status);
    }
    const used = new Set<unknown>();
    await eventually('the stored key is used', async () => {
      upstream.handler = chatHandler();
      expect(await request('stored', '/v1/chat/completions', { body: chat('stored') })).toBe(200);
      used.add(upstream.last.headers.authorization);
      return used.has(`Bearer ${SECRETS.storedProviderKey}`);
    });
    for (const echo of [...ECHOES.slice(0, 3), ...ECHOES.slice(0, 3)]) {
      upstream.handler = echo;
      const status = await request('echo of stored', '/v1/chat/completions', { body: chat('stored') });
      expect(status).toBeGreaterThanOrEqual(400);
    }
  });

  it('refuses and applies configurations with secrets in them', async () => {
    const file = join(gateway.directory, 'sluice.yaml');
    const wrong = [
      `providers:\n  good: { base_url: "${SECRETS.providerKey}", key: "${SECRETS.providerKey}" }\n`,
      `providers: { good: { key: [ ${SECRETS.providerKey}\n`,
      `providers: { good: { base_url: "http://x/v1", key: "${SECRETS.providerKey}", ${SECRETS.providerHeader}: 1 } }\n`,
      `keys: [ { name: a, secret: "${SECRETS.secondVirtualKey}", limits: "${SECRETS.virtualKey}" } ]\n`,
      `listeners: { data: { tls: { certificate_file: "${SECRETS.tlsKey}", private_key_file: "x" } } }\n`,
      `providers: { good: { key: "file:/canary-is-not-here" }, models: "${SECRETS.adminToken}" }\n`,
    ];
    for (const [at, text] of wrong.entries()) {
      writeFileSync(file, text);
      const refusal = await gateway.adminResponse('/admin/v1/config/reload', { method: 'POST' });
      expect(refusal.status, text).toBe(422);
      hear(`refusal ${at}`, await refusal.text());
      hear(`status ${at}`, await (await gateway.adminResponse('/admin/v1/config/status')).text());
      const validated = await gateway.adminResponse('/admin/v1/config/validate', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ document: text }),
      });
      hear(`validation ${at}`, await validated.text());
      const checked = await runToEnd([PROGRAM, 'check', '--json'], { directory: gateway.directory });
      expect(checked.code).toBe(1);
      hear(`check ${at}`, checked.out + checked.err);
    }
    gateway.writeConfig(config());
    expect((await gateway.adminResponse('/admin/v1/config/reload', { method: 'POST' })).status).toBe(200);
    const { code, out, err } = await runToEnd([PROGRAM, 'check'], {
      directory: gateway.directory,
      env: {
        PROVIDER_KEY: SECRETS.providerKey,
        SECOND_KEY: SECRETS.secondVirtualKey,
        SLUICE_TEST_KEY: KEY,
        SLUICE_TEST_TOKEN: ADMIN_TOKEN,
      },
    });
    expect(code, err).toBe(0);
    hear('check', out + err);
  });

  it('is asked for everything that can be read', async () => {
    await eventually('the records', async () => (await gateway.rows()).length >= 15);
    const { paths } = await gateway.admin<{ paths: Record<string, Record<string, unknown>> }>(
      '/admin/v1/openapi.json',
    );
    const readable = Object.entries(paths).flatMap(([path, methods]) => ('get' in methods ? [path] : []));
    expect(readable.length).toBeGreaterThanOrEqual(12);
    for (const path of readable) {
      const answer = await gateway.adminResponse(path.replace('{id}', '1').replace('{name}', 'owner'));
      hear(`GET ${path}`, JSON.stringify([...answer.headers]) + (await answer.text()));
      expect([200, 404], path).toContain(answer.status);
    }
    for (const path of [
      '/usage?format=csv&group_by=key,model',
      '/usage/requests?format=csv',
      '/audit/export',
    ]) {
      const answer = await gateway.adminResponse(`/admin/v1${path}`);
      expect(answer.status, path).toBe(200);
      const text = await answer.text();
      expect(text.split('\n').length, path).toBeGreaterThan(3);
      hear(path, text);
    }
    for (const [token, status] of [
      [SECRETS.providerKey, 401],
      [`${ADMIN_TOKEN}x`, 401],
    ] as const) {
      const refused = await gateway.adminResponse('/admin/v1/keys', {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(refused.status).toBe(status);
      hear('a wrong token', await refused.text());
    }
    const strange = await gateway.adminResponse(`/admin/v1/keys?after=${KEY}`);
    expect(strange.status).toBe(400);
    const unknown = await gateway.adminResponse(`/admin/v1/nothing/${ADMIN_TOKEN}`);
    expect(unknown.status).toBe(404);
  });

  it('leaves none of them anywhere', async () => {
    // What the journal holds is taken over within a second, and deleted at the end.
    expect(await request('good', '/v1/chat/completions', { body: CHAT })).toBeGreaterThanOrEqual(200);
    const journal = filesOf(join(gateway.directory, 'sluice-data', 'journal'));
    expect(journal.length).toBeGreaterThan(0);
    for (const [at, text] of journal.entries()) hear(`file ${at} of the journal`, text);
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    hear('standard output', gateway.process.out());
    hear('standard error', gateway.process.err());
    const stored = filesOf(join(gateway.directory, 'sluice-data'));
    for (const [at, text] of stored.entries()) hear(`file ${at} of the data`, text);

    const leaks = said.flatMap(([where, text]) =>
      [...CANARIES, ...made]
        .filter((canary) => text.includes(canary))
        .map((canary) => `${canary} in ${where}`),
    );
    expect(leaks).toEqual([]);
    // The search finds what is there: the digests of the keys, and what is said of them.
    const digests = [KEY, SECRETS.secondVirtualKey, ...made].map((key) =>
      createHash('sha256').update(key).digest('hex'),
    );
    for (const digest of digests) expect(stored.join('').includes(digest)).toBe(true);
    expect(said.length).toBeGreaterThan(60);
    expect(said.some(([, text]) => text.includes('"second"'))).toBe(true);
  });
});
