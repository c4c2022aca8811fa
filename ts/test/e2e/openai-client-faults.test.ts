/** The official client through the gateway when things go wrong: its error classes, retries, timeouts and aborts. */

import OpenAI from 'openai';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Gateway, KEY, type RequestRow } from './support/gateway.js';
import { isBuilt } from './support/program.js';
import {
  beginStream,
  chatHandler,
  chunk,
  completion,
  event,
  isLetGo,
  sendJson,
  Upstream,
  usageOf,
  type Handler,
} from './support/upstream.js';

const PROVIDER_KEY = 'sk-provider-0123456789abcdef';
const BUSY_KEY = 'sk-test-busy-0123456789abcdef';
const FRUGAL_KEY = 'sk-test-frugal-0123456789abcd';

let upstream: Upstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await Upstream.start();
  gateway = await Gateway.start({
    config: {
      keys: [
        { name: 'tests', secret: 'env:SLUICE_TEST_KEY', models: ['*'] },
        { name: 'busy', secret: 'env:BUSY_KEY', limits: { concurrency: 1 } },
        { name: 'frugal', secret: 'env:FRUGAL_KEY', limits: { requests_per_minute: 60 } },
      ],
      providers: {
        scripted: { base_url: upstream.url, key: PROVIDER_KEY },
        slow: { base_url: upstream.url, key: PROVIDER_KEY, timeouts: { first_byte: '200ms' } },
        nobody: { base_url: 'http://127.0.0.1:9/v1', auth: 'none' },
      },
      models: { scripted: 'scripted', slow: 'slow', nobody: 'nobody' },
    },
    env: { BUSY_KEY, FRUGAL_KEY },
  });
});
beforeEach(() => {
  upstream.requests.length = 0;
  upstream.handler = chatHandler();
});

const messages = [{ role: 'user' as const, content: 'Good morning' }];

function client(options: { apiKey?: string; maxRetries?: number; timeout?: number } = {}): OpenAI {
  return new OpenAI({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0, ...options });
}

function ask(model: string, one = client()): Promise<OpenAI.ChatCompletion> {
  return one.chat.completions.create({ model, messages });
}

/** The error a request ends in. */
async function errorOf(request: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const outcome = await request.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (outcome instanceof OpenAI.APIError) return outcome;
  throw outcome;
}

function failing(status: number, error: object, headers: Record<string, string> = {}): Handler {
  return (_, response) => sendJson(response, { error }, status, headers);
}

describe.skipIf(!isBuilt)('errors of the gateway', () => {
  it.each([
    ['no such model', () => ask('absent'), OpenAI.NotFoundError, 404, 'model_not_found'],
    ['no model at all', () => ask(''), OpenAI.BadRequestError, 400, 'invalid_request_body'],
    [
      'a wrong key',
      () => ask('scripted', client({ apiKey: `${KEY}x` })),
      OpenAI.AuthenticationError,
      401,
      'invalid_api_key',
    ],
    [
      'a model that is no text',
      () => client().post('/chat/completions', { body: { model: 5, messages } }),
      OpenAI.BadRequestError,
      400,
      'invalid_request_body',
    ],
    ['no such path', () => client().get('/nothing'), OpenAI.NotFoundError, 404, 'unknown_url'],
  ] as const)('%s', async (_, request, kind, status, code) => {
    const error = await errorOf(request());
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, code, type: 'invalid_request_error' });
    expect(error.requestID).toBe(error.headers?.get('x-sluice-request-id'));
    expect(error.requestID).toMatch(/^[\w-]{20,}$/);
    expect(upstream.requests).toEqual([]);
  });

  it.each([
    ['nobody', 502, 'upstream_unreachable'],
    ['slow', 504, 'upstream_timeout'],
  ])('a provider that does not answer: %s', async (model, status, code) => {
    upstream.handler = () => {};
    const error = await errorOf(ask(model, client({ maxRetries: 2 })));
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error).toMatchObject({ status, code, type: 'server_error' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
    expect(error.message).toContain(model);
    expect(error.message).not.toMatch(/127\.0\.0\.1/);
    expect(upstream.requests.length).toBeLessThanOrEqual(1);
  });

  it('a provider that answers with a page', async () => {
    upstream.handler = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<html>captcha</html>');
    };
    const error = await errorOf(ask('scripted'));
    expect(error).toMatchObject({ status: 502, code: 'upstream_invalid_response', type: 'server_error' });
  });
});

describe.skipIf(!isBuilt)('errors of the provider', () => {
  it.each([
    [400, OpenAI.BadRequestError],
    [401, OpenAI.AuthenticationError],
    [403, OpenAI.PermissionDeniedError],
    [404, OpenAI.NotFoundError],
    [409, OpenAI.ConflictError],
    [422, OpenAI.UnprocessableEntityError],
    [429, OpenAI.RateLimitError],
    [500, OpenAI.InternalServerError],
    [503, OpenAI.InternalServerError],
  ])('%i keep their class, their words and their id', async (status, kind) => {
    const told = { message: 'so it is', type: 'its_own_type', param: 'n', code: 'its_own_code' };
    upstream.handler = failing(status, told, { 'x-request-id': 'req_of_the_provider' });
    const error = await errorOf(ask('scripted'));
    expect(error).toBeInstanceOf(kind);
    const { type, param, code } = told;
    expect(error).toMatchObject({ status, type, param, code, requestID: 'req_of_the_provider' });
    expect(error.message).toBe(`${status} so it is`);
    expect(await gateway.row(error.headers?.get('x-sluice-request-id'))).toMatchObject({
      status,
      error: 'upstream_error',
      input_tokens: 0,
      output_tokens: 0,
    });
  });

  it('never show our key', async () => {
    const message = `Incorrect API key provided: ${PROVIDER_KEY}. You can find it somewhere.`;
    upstream.handler = failing(401, { message, type: 'invalid_request_error', code: 'invalid_api_key' });
    const error = await errorOf(ask('scripted'));
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(error.message).toMatch(/Incorrect API key provided: .*You can find it somewhere/);
    expect(error.message).not.toContain(PROVIDER_KEY);
  });

  it('hidden in a stream with status 200 are errors again', async () => {
    upstream.handler = (_, response) => {
      beginStream(response);
      response.end(event({ error: { message: 'overloaded', type: 'server_error', code: null } }));
    };
    const error = await errorOf(
      client().chat.completions.create({ model: 'scripted', messages, stream: true }),
    );
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error.message).toContain('overloaded');
  });
});

describe.skipIf(!isBuilt)('retries of the client', () => {
  it('follow Retry-After of the provider', async () => {
    let failures = 2;
    upstream.handler = (request, response) => {
      if (failures === 0) return chatHandler()(request, response);
      failures -= 1;
      return sendJson(response, { error: { message: 'slow down' } }, 429, { 'retry-after-ms': '30' });
    };
    expect((await ask('scripted', client({ maxRetries: 2 }))).choices).toHaveLength(1);
    expect(upstream.requests).toHaveLength(3);
  });

  it('leave alone what the provider says is not worth trying again', async () => {
    upstream.handler = failing(500, { message: 'no' }, { 'x-should-retry': 'false' });
    expect(await errorOf(ask('scripted', client({ maxRetries: 2 })))).toMatchObject({ status: 500 });
    expect(upstream.requests).toHaveLength(1);
  });

  it('get through when the limit on concurrency lets them', async () => {
    let release = (): void => {};
    upstream.handler = async (request, response) => {
      await new Promise<void>((resolve) => (release = resolve));
      await chatHandler()(request, response);
    };
    const first = ask('scripted', client({ apiKey: BUSY_KEY }));
    await expect.poll(() => upstream.requests.length).toBe(1);
    const refused = await errorOf(ask('scripted', client({ apiKey: BUSY_KEY })));
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    expect(refused).toMatchObject({ status: 429, type: 'requests', code: 'concurrency_limit_exceeded' });
    expect(refused.headers?.get('x-should-retry')).toBe('true');
    const second = ask('scripted', client({ apiKey: BUSY_KEY, maxRetries: 5 }));
    upstream.handler = chatHandler();
    release();
    expect((await first).choices).toHaveLength(1);
    expect((await second).choices).toHaveLength(1);
  });

  it('wait as long as the limit on requests says', async () => {
    const frugal = client({ apiKey: FRUGAL_KEY });
    const asked = await Promise.allSettled(Array.from({ length: 70 }, () => ask('scripted', frugal)));
    const refused = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(refused.length).toBeGreaterThanOrEqual(7); // a bucket of 60, and what refills meanwhile
    expect(refused[0]).toBeInstanceOf(OpenAI.RateLimitError);
    expect(refused[0]).toMatchObject({ status: 429, type: 'requests', code: 'rate_limit_exceeded' });
    const { headers } = refused[0] as InstanceType<typeof OpenAI.RateLimitError>;
    expect(headers.get('retry-after')).toBe('1');
    const begun = performance.now();
    expect((await ask('scripted', client({ apiKey: FRUGAL_KEY, maxRetries: 2 }))).choices).toHaveLength(1);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});

describe.skipIf(!isBuilt)('streams', () => {
  const request = { model: 'scripted', messages, stream: true as const };

  /** Sends two words and then does what it is told. */
  function broken(how: (response: Parameters<Handler>[1]) => void): Handler {
    return (_, response) => {
      beginStream(response);
      response.write(event(chunk({ role: 'assistant', content: 'Good' })));
      response.write(event(chunk({ content: ' mor' })), () => setTimeout(() => how(response), 20));
    };
  }

  async function read(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<string> {
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    return text;
  }

  it.each<[string, (response: Parameters<Handler>[1]) => void, string]>([
    ['a closed connection', (response) => response.destroy(), 'upstream_truncated'],
    ['an early end', (response) => response.end(), 'upstream_truncated'],
    [
      'an error event',
      (response) => response.end(event({ error: { message: 'gave up', code: 'its_own_code' } })),
      'its_own_code',
    ],
  ])('that break off raise: %s', async (_, how, code) => {
    upstream.handler = broken(how);
    const { data, response } = await client().chat.completions.create(request).withResponse();
    const error = await errorOf(read(data));
    expect(error).toMatchObject({ code });
    expect(await gateway.row(response.headers.get('x-sluice-request-id'))).toMatchObject({
      status: 200,
      truncated: code === 'upstream_truncated',
      client_aborted: false,
    });
  });

  it('that the client aborts end at the provider, and are booked', async () => {
    upstream.handler = broken(() => {});
    const { data, response } = await client().chat.completions.create(request).withResponse();
    const text: string[] = [];
    for await (const { choices } of data) {
      text.push(choices[0]?.delta.content ?? '');
      if (text.length === 2) data.controller.abort();
    }
    expect(text.join('')).toBe('Good mor');
    expect(await isLetGo(upstream.last)).toBe(true);
    const row = await gateway.row(response.headers.get('x-sluice-request-id'));
    expect(row).toMatchObject({
      status: 200,
      error: 'client_closed_request',
      stream: true,
      client_aborted: true,
      truncated: false,
      estimated: true,
    });
    expect(row.input_tokens).toBeGreaterThan(0);
    expect(row.output_tokens).toBeGreaterThan(0);
  });
});

describe.skipIf(!isBuilt)('timeouts of the client', () => {
  const isGone = ({ status, client_aborted, error }: RequestRow): boolean =>
    status === 499 && client_aborted && error === 'client_closed_request';

  it.each([false, true])('end the request at the provider, streamed: %j', async (stream) => {
    upstream.handler = () => {};
    const before = (await gateway.rows()).filter(isGone).length;
    const impatient = client({ timeout: 150 });
    const error = await errorOf(impatient.chat.completions.create({ model: 'scripted', messages, stream }));
    expect(error).toBeInstanceOf(OpenAI.APIConnectionTimeoutError);
    expect(await isLetGo(upstream.last)).toBe(true);
    await expect.poll(async () => (await gateway.rows()).filter(isGone).length).toBe(before + 1);
  });

  it('are waited for by the gateway as long as the provider may think', async () => {
    upstream.handler = (_, response) => {
      setTimeout(() => sendJson(response, completion('late', usageOf(1, 1))), 400);
    };
    expect((await ask('scripted')).choices[0]?.message.content).toBe('late');
  });
});
