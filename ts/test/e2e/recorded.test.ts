/**
 * Recorded traffic of a real provider, replayed through a running gateway: what the provider is sent and what the client
 * gets are the recorded bytes, but for the two things that are documented to be changed.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { cassettes, FIXTURES, type Cassette, type RecordedHeaders } from './support/fixtures.js';
import { Gateway, type RequestRow } from './support/gateway.js';
import { ask, type Answer } from './support/http.js';
import { isBuilt } from './support/program.js';
import { Upstream, type Handler } from './support/upstream.js';

/** Endpoints of the gateway, by how a recorded path ends. */
const ROUTES: readonly (readonly [string, string])[] = [
  ['/chat/completions', 'chat_completions'],
  ['/completions', 'completions'],
  ['/embeddings', 'embeddings'],
];

/** Recordings that are not replayed. */
const SKIPPED: Readonly<Record<string, string>> = {
  'audio-transcription-basic': 'the gateway does not serve /v1/audio',
  'audio-translation-basic': 'the gateway does not serve /v1/audio',
  'image-generation-basic': 'the gateway does not serve /v1/images',
};

/** What a stream is asked for in the provider's place, where the client did not ask; docs/request-life.md. */
const USAGE_OPTION = '"stream_options":{"include_usage":true},';

/** Headers that are not passed on: of the connection, and of the provider's site. */
const DROPPED = new Set(['alt-svc', 'connection', 'set-cookie', 'strict-transport-security']);
/** Headers that the gateway adds, or sets for its own connection. */
const OWN = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'server-timing',
  'transfer-encoding',
  'x-sluice-request-id',
]);

const all = FIXTURES === null ? [] : cassettes('openai-recorded');
const replayed = all.filter(({ name }) => !(name in SKIPPED));
const withUsage = replayed.filter((cassette) => requestOf(cassette).stream_options?.include_usage === true);

let upstream: Upstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await Upstream.start();
  const key = 'sk-provider-0123456789abcdef';
  gateway = await Gateway.start({
    config: {
      providers: {
        openai: { base_url: upstream.url, key },
        azure: { base_url: `${upstream.origin}/openai/deployments/gpt-5-nano`, key, auth: 'header:api-key' },
      },
      models: { '*': 'openai', 'azure/*': 'azure/*', 'gpt-5-nano-azure': 'azure' },
    },
  });
});

function routeOf({ name, path }: Cassette): string {
  const route = ROUTES.find(([end]) => path.endsWith(end))?.[1];
  if (route === undefined) throw new Error(`${name}: no endpoint for ${path}`);
  return route;
}

/** How the provider frames its answer. What the client gets must not depend on it. */
type Framing = 'by length' | 'in chunks' | 'in slow pieces';

function answering({ response }: Cassette, framing: Framing): Handler {
  return async (_, out) => {
    const lines = linesOf(response.headers);
    const length = framing === 'by length' ? [['Content-Length', String(response.body.length)]] : [];
    out.writeHead(response.status, [...lines, ...length].flat());
    // 997 bytes: cuts fall at other places of the events each time.
    const piece = framing === 'in slow pieces' ? 997 : response.body.length;
    for (let at = 0; at < response.body.length; at += piece) {
      await new Promise((written) => out.write(response.body.subarray(at, at + piece), written));
    }
    out.end();
  };
}

/** All header lines but the length, which depends on the framing. */
function linesOf(headers: RecordedHeaders): [string, string][] {
  const kept = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length');
  return kept.flatMap(([name, values]) => values.map((value): [string, string] => [name, value]));
}

async function replay(cassette: Cassette, framing: Framing, body = cassette.request.body): Promise<Answer> {
  upstream.handler = answering(cassette, framing);
  const end = ROUTES.find(([one]) => cassette.path.endsWith(one))?.[0] ?? '';
  return ask(`${gateway.url}${end}`, { body });
}

interface RecordedRequest {
  readonly model: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

function requestOf({ request }: Cassette): RecordedRequest {
  return JSON.parse(request.body.toString()) as RecordedRequest;
}

/** Whether the usage option is spliced into the request. */
function isOptionSpliced(cassette: Cassette): boolean {
  const { stream, stream_options } = requestOf(cassette);
  return stream === true && stream_options?.include_usage !== true;
}

function expectHeaders(answer: Answer, recorded: RecordedHeaders): void {
  const expected = linesOf(recorded)
    .filter(([name]) => !DROPPED.has(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}`);
  const passed = answer.lines.filter(([name]) => !OWN.has(name.toLowerCase()));
  expect(passed.map(([name, value]) => `${name}: ${value}`).sort()).toEqual(expected.sort());
  expect(answer.headers['x-sluice-request-id']).toMatch(/^[\da-f-]{32,36}$/);
  expect(answer.headers['server-timing']).toMatch(/^gateway;dur=[\d.]+, upstream;dur=[\d.]+$/);
}

describe.skipIf(!isBuilt || FIXTURES === null)('recorded exchanges', () => {
  it('are all replayed, but for those with a reason', () => {
    const skipped = all.filter(({ name }) => name in SKIPPED).map(({ name }) => name);
    expect(skipped).toEqual(Object.keys(SKIPPED));
    expect([all.length, replayed.length]).toEqual([43, 40]);
    const routes = replayed.map(routeOf);
    const counts = ROUTES.map(([, route]) => [route, routes.filter((one) => one === route).length]);
    expect(counts).toEqual([
      ['chat_completions', 21],
      ['completions', 9],
      ['embeddings', 10],
    ]);
    expect(withUsage).toHaveLength(2);
    for (const [name, reason] of Object.entries(SKIPPED)) console.log(`not replayed: ${name}: ${reason}`);
  });

  const cases = replayed.flatMap((cassette) =>
    (['by length', 'in chunks', 'in slow pieces'] as const).map((framing) => ({
      name: cassette.name,
      framing,
      cassette,
    })),
  );
  it.each(cases)('$name, answered $framing', async ({ cassette, framing }) => {
    const answer = await replay(cassette, framing);
    const { request, response } = cassette;
    const sent = upstream.last.body.toString();
    if (isOptionSpliced(cassette)) {
      expect(sent).toContain(USAGE_OPTION);
      expect(sent.replace(USAGE_OPTION, '')).toBe(request.body.toString());
    } else expect(sent).toBe(request.body.toString());
    expect(answer.status).toBe(response.status);
    expect(answer.isWhole).toBe(true);
    expect(answer.body.toString()).toBe(response.body.toString());
    expect(answer.body.equals(response.body)).toBe(true);
    expectHeaders(answer, response.headers);
  });

  it.each(withUsage)('$name, to a client that did not ask for usage', async (cassette) => {
    const { stream_options, ...rest } = JSON.parse(cassette.request.body.toString()) as RecordedRequest;
    expect(stream_options).toBeDefined();
    const answer = await replay(cassette, 'in slow pieces', Buffer.from(JSON.stringify(rest)));
    const events = cassette.response.body.toString().split(/(?<=\n\n)/);
    const kept = events.filter((event) => !event.includes('"choices":[]'));
    expect(kept).toHaveLength(events.length - 1);
    expect(answer.body.toString()).toBe(kept.join(''));
  });

  it('go to the path and with the key of their provider', async () => {
    const azure = all.find(({ name }) => name === 'azure-chat-basic');
    if (azure === undefined) throw new Error('the recording is there');
    const body = azure.request.body.toString().replace('"gpt-5-nano"', '"azure/gpt-5-nano"');
    expect(body).not.toBe(azure.request.body.toString());
    const answer = await replay(azure, 'by length', Buffer.from(body));
    expect(answer.body.equals(azure.response.body)).toBe(true);
    expect(upstream.last.path).toBe(azure.path);
    expect(upstream.last.headers).toMatchObject({ 'api-key': 'sk-provider-0123456789abcdef' });
    expect(upstream.last.headers['authorization']).toBeUndefined();
    expect(upstream.last.body.toString()).toBe(azure.request.body.toString()); // the name put back, nothing else
  });

  it('are booked as the provider reported them', async () => {
    const expected = new Map<string, object>();
    for (const cassette of replayed) {
      const answer = await replay(cassette, 'in chunks');
      expected.set(String(answer.headers['x-sluice-request-id']), bookedOf(cassette));
    }
    const ids = new Set([...expected.keys()].map((id) => id.replaceAll('-', '')));
    await expect
      .poll(async () => (await gateway.rows()).filter(({ id }) => ids.has(id)).length)
      .toBe(ids.size);
    const rows = new Map((await gateway.rows()).map((row) => [row.id, row]));
    for (const [id, booked] of expected) expect(rows.get(id.replaceAll('-', ''))).toMatchObject(booked);
  });
});

interface RecordedUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens?: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number };
}

/** What the record of a recorded exchange must say. */
function bookedOf(cassette: Cassette): Partial<RequestRow> {
  const { status } = cassette.response;
  const row = { route: routeOf(cassette), status, stream: requestOf(cassette).stream === true };
  if (status >= 400) return { ...row, stream: false, estimated: false, input_tokens: 0, output_tokens: 0 };
  const usage = recordedUsage(cassette);
  if (usage === undefined) return { ...row, estimated: true };
  return {
    ...row,
    estimated: false,
    input_tokens: usage.prompt_tokens,
    output_tokens: usage.completion_tokens ?? 0,
    cached_input_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

function recordedUsage({ response }: Cassette): RecordedUsage | undefined {
  const text = response.body.toString();
  const documents = text.startsWith('data:')
    ? text.split('\n\n').flatMap((event) => (event.startsWith('data: {') ? [event.slice(6)] : []))
    : [text];
  const usages = documents.map((one) => (JSON.parse(one) as { usage?: RecordedUsage | null }).usage ?? null);
  return usages.findLast((usage) => usage !== null) ?? undefined;
}
