/** Odd answers of providers, through a running gateway: each has its outcome in a table, and the process is unharmed. */

import { beforeAll, describe, expect, it } from 'vitest';
import { fixture, fixtureFiles, FIXTURES } from './support/fixtures.js';
import { Gateway, type RequestRow } from './support/gateway.js';
import { ask, type Answer } from './support/http.js';
import { isBuilt } from './support/program.js';
import { Upstream } from './support/upstream.js';

const FOLDERS = ['oddities/openai', 'oddities/protocol-conversion'] as const;

/** What becomes of an answer: passed on as it is, without its usage event, or broken off with an error event. */
type Outcome = 'passes' | 'loses its usage event' | 'is broken off';

/** Outcome, and the tokens booked: input and output as reported, or `estimated`. */
type Expected = readonly [Outcome, number, number] | readonly [Outcome, 'estimated'];

const TABLE: Readonly<Record<string, Expected>> = {
  'chat-basic.json': ['passes', 23, 8],
  'chat-error.json': ['passes', 'estimated'],
  'chat-injection.json': ['passes', 23, 8],
  'chat-model-echo.json': ['passes', 8, 5],
  'chat-multi-chunk.sse': ['passes', 10, 2],
  'chat-streaming-injection.sse': ['passes', 10, 8],
  'chat-streaming-lakera-error.sse': ['passes', 10, 8],
  'chat-streaming-many-chunks-no-usage.sse': ['is broken off', 'estimated'],
  'chat-streaming-no-usage.sse': ['passes', 'estimated'],
  'chat-streaming-with-cache.sse': ['passes', 30, 15],
  'chat-streaming-with-tool-calls.sse': ['passes', 15, 10],
  'chat-streaming.sse': ['passes', 10, 8],
  'chat-tools.json': ['passes', 20, 10],
  'chat-with-multiple-tool-calls.json': ['passes', 60, 30],
  'chat-with-reasoning.json': ['passes', 30, 15],
  'chat-with-tool-calls.json': ['passes', 50, 20],
  'embeddings-capital-city.json': ['passes', 8, 0],
  'embeddings-capital.json': ['passes', 7, 0],
  'embeddings-largest-city.json': ['passes', 8, 0],
  'embeddings-list.json': ['passes', 8, 0],
  'embeddings-tire.json': ['passes', 9, 0],
  'images-generation.json': ['passes', 'estimated'],
  'null-content.json': ['passes', 'estimated'],
  'null-details.json': ['passes', 10, 5],
  'null-function.json': ['passes', 5, 3],
  'null-message.json': ['passes', 5, 3],
  'null-usage.json': ['passes', 'estimated'],
  'responses-basic.json': ['passes', 10, 5],
  'responses-streaming-with-cache.sse': ['passes', 20, 5],
  'responses-streaming-with-tool-call.sse': ['passes', 20, 5],
  'responses-streaming.sse': ['passes', 10, 5],
  'responses-with-cache.json': ['passes', 40, 20],
  'anthropic-mismatch.sse': ['is broken off', 0, 5],
  'deepseek-usage-null.sse': ['passes', 5, 2],
  'empty-sse-frames.sse': ['passes', 3, 1],
  'null-finish-reason.sse': ['passes', 5, 3],
  'openai-to-anthropic-stream.sse': ['passes', 5, 5],
  'openrouter-double-finish.sse': ['passes', 8, 2],
  'openrouter-first-chunk.sse': ['passes', 8, 2],
  'system-prompt-ok.json': ['passes', 10, 5],
  'usage-only-final-chunk.sse': ['loses its usage event', 10, 5],
};

const files = FOLDERS.flatMap((folder) =>
  fixtureFiles(folder, '.json', '.sse').map((name) => ({ folder, name })),
);

let upstream: Upstream;
let gateway: Gateway;
/** Ids of the requests, by file. */
const ids = new Map<string, string>();

beforeAll(async () => {
  upstream = await Upstream.start();
  gateway = await Gateway.start({
    config: { providers: { odd: { base_url: upstream.url, auth: 'none' } } },
  });
});

function pathOf(name: string): string {
  if (name.startsWith('responses')) return '/responses';
  return name.startsWith('embeddings') ? '/embeddings' : '/chat/completions';
}

/** Has a file sent as the answer to a request, whole or in pieces of a few bytes. */
async function serve(name: string, body: Buffer, asked: boolean, pieces: number): Promise<Answer> {
  const isStream = name.endsWith('.sse');
  upstream.handler = async (_, response) => {
    response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
    for (let at = 0; at < body.length; at += pieces) {
      await new Promise((written) => response.write(body.subarray(at, at + pieces), written));
    }
    response.end();
  };
  const options = asked ? { stream_options: { include_usage: true } } : {};
  const stream = isStream ? { stream: true, ...options } : {};
  const request = JSON.stringify({ model: 'odd', input: 'x', messages: [], ...stream });
  return ask(`${gateway.url}${pathOf(name)}`, { body: request });
}

/** The text a client must get. */
function expectedText(outcome: Outcome, text: string, asked: boolean): string {
  const events = text.split(/(?<=\n\n)/);
  if (outcome === 'loses its usage event' && !asked)
    return events.filter((event) => !event.includes('"choices":[]')).join('');
  if (outcome !== 'is broken off') return text;
  const message = "The provider's stream ended before its answer was complete.";
  const error = { message, type: 'server_error', param: null, code: 'upstream_truncated' };
  return `${text}data: ${JSON.stringify({ error })}\n\n`;
}

describe.skipIf(!isBuilt || FIXTURES === null)('odd answers', () => {
  it('are all in the table', () => {
    expect(files.map(({ name }) => name).sort()).toEqual(Object.keys(TABLE).sort());
    expect(files).toHaveLength(41);
  });

  it.each(files)('$name', async ({ folder, name }) => {
    const body = fixture(folder, name);
    const [outcome] = TABLE[name] ?? ['passes'];
    for (const [asked, pieces] of [
      [false, body.length],
      [true, body.length],
      [false, 11],
    ] as const) {
      const answer = await serve(name, body, asked, pieces);
      expect(answer.status).toBe(200);
      expect(answer.body.toString()).toBe(expectedText(outcome, body.toString(), asked));
      expect(answer.isWhole).toBe(outcome !== 'is broken off');
      ids.set(name, String(answer.headers['x-sluice-request-id']).replaceAll('-', ''));
    }
  });

  it('are booked as they say, or as an estimate', async () => {
    const rowsById = async (): Promise<Map<string, RequestRow>> =>
      new Map((await gateway.rows()).map((row) => [row.id, row]));
    await expect.poll(async () => (await rowsById()).size).toBe(3 * files.length);
    const rows = await rowsById();
    for (const [name, id] of ids) {
      const [outcome, input, output] = TABLE[name] ?? ['passes', 'estimated'];
      const row = rows.get(id);
      expect(row, name).toMatchObject({ truncated: outcome === 'is broken off', client_aborted: false });
      if (input === 'estimated') expect(row, name).toMatchObject({ estimated: true });
      else expect(row, name).toMatchObject({ estimated: false, input_tokens: input, output_tokens: output });
    }
  });

  it('leave the process as it was', async () => {
    expect(await gateway.admin('/admin/v1/health')).toMatchObject({ status: 'ok' });
    expect((await gateway.metrics()).sum('sluice_active_requests')).toBe(0);
    expect(gateway.process.err()).not.toMatch(/"level":"(warn|error|fatal)"/);
  });
});
