/** The official client through the gateway: what it accepts is the API. */

import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoProvider, type DemoProvider } from '../../src/bridge/index.js';
import { Gateway, KEY } from './support/gateway.js';
import { isBuilt } from './support/program.js';
import { chatHandler, chatRequest, sendJson, Upstream } from './support/upstream.js';

let demo: DemoProvider;
let scripted: Upstream;
let gateway: Gateway;
let client: OpenAI;

beforeAll(async () => {
  demo = startDemoProvider({ chunks: 12 });
  scripted = await Upstream.start();
  gateway = await Gateway.start({
    config: {
      providers: {
        demo: { base_url: `http://${demo.address}/v1`, auth: 'none' },
        openai: { base_url: scripted.url, key: 'sk-provider-0123456789abcdef' },
      },
      models: { demo: 'demo', 'demo-*': 'demo', 'openai/*': 'openai/*', 'gpt-4o': 'openai' },
    },
  });
  client = new OpenAI({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
});
afterAll(() => demo.stop());

const messages = [{ role: 'user' as const, content: 'Good morning' }];
const weather = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city'],
};

describe.skipIf(!isBuilt)('chat completions', () => {
  it('answer whole, under an id that leads to the record', async () => {
    const { data, response, request_id } = await client.chat.completions
      .create({ model: 'demo', messages })
      .withResponse();
    expect(data.choices[0]?.message.content).toContain('Good morning');
    expect(request_id).toMatch(/^req_/); // the provider's own
    const row = await gateway.row(response.headers.get('x-sluice-request-id'));
    expect(row).toMatchObject({
      route: 'chat_completions',
      status: 200,
      stream: false,
      estimated: false,
      key: { name: 'tests' },
      model: { name: 'demo' },
      input_tokens: data.usage?.prompt_tokens,
      output_tokens: data.usage?.completion_tokens,
    });
    expect(row.output_tokens).toBeGreaterThan(0);
  });

  it('stream without usage where none is asked for, and it is booked all the same', async () => {
    const whole = await client.chat.completions.create({ model: 'demo', messages });
    const { data: stream, response } = await client.chat.completions
      .create({ model: 'demo', messages, stream: true })
      .withResponse();
    let text = '';
    for await (const chunk of stream) {
      expect(chunk.usage ?? null).toBeNull();
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(await gateway.row(response.headers.get('x-sluice-request-id'))).toMatchObject({
      stream: true,
      estimated: false,
      input_tokens: whole.usage?.prompt_tokens,
      output_tokens: whole.usage?.completion_tokens,
    });
  });

  it('stream with usage where it is asked for', async () => {
    const whole = await client.chat.completions.create({ model: 'demo', messages });
    const final = await client.chat.completions
      .stream({ model: 'demo', messages, stream_options: { include_usage: true } })
      .finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(final.usage).toEqual(whole.usage);
  });

  it.each([false, true])('call a tool, streamed: %j', async (streamed) => {
    const request = {
      model: 'demo',
      messages,
      tools: [{ type: 'function' as const, function: { name: 'get_weather', parameters: weather } }],
      tool_choice: 'required' as const,
    };
    const completion = streamed
      ? await client.chat.completions.stream(request).finalChatCompletion()
      : await client.chat.completions.create(request);
    const call = completion.choices[0]?.message.tool_calls?.[0];
    if (call?.type !== 'function') throw new Error('it calls a function');
    expect(call.function.name).toBe('get_weather');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: 'demo', days: 1 });
    expect(completion.choices[0]?.finish_reason).toBe('tool_calls');
  });

  it('take a structured output, and parse it', async () => {
    const schema = { ...weather, required: ['city', 'days'], additionalProperties: false };
    const completion = await client.chat.completions.parse({
      model: 'demo',
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'weather', strict: true, schema } },
    });
    expect(completion.choices[0]?.message.parsed).toEqual({ city: 'demo', days: 1 });
  });

  it('reach the provider as the client wrote them, unknown members included', async () => {
    scripted.handler = chatHandler();
    let sent = '';
    const recording = new OpenAI({
      baseURL: gateway.url,
      apiKey: KEY,
      fetch: (url, init) => {
        sent = init?.body as string;
        return fetch(url, init);
      },
    });
    await recording.chat.completions.create({
      model: 'gpt-4o',
      messages: [{ role: 'user', content: 'Grüße \u2028 "quoted" \ud83d\ude00' }],
      response_format: { type: 'json_schema', json_schema: { name: 'weather', schema: weather } },
      top_logprobs: 3,
      logit_bias: { '50256': -100 },
      metadata: { unknown_to_us: 'kept' },
      prediction: { type: 'content', content: 'x' },
    });
    expect(sent).toContain('json_schema');
    expect(scripted.last.body.toString()).toBe(sent);
    expect(scripted.last.headers['authorization']).toBe('Bearer sk-provider-0123456789abcdef');
    expect(scripted.last.headers['user-agent']).toMatch(/^OpenAI\/JS/);
    expect(Object.keys(scripted.last.headers).filter((name) => name.startsWith('x-stainless'))).toEqual([]);
  });
});

describe.skipIf(!isBuilt)('embeddings', () => {
  // Without a format the client asks for base64 and decodes it.
  it.each([undefined, 'float' as const, 'base64' as const])('in the format %j', async (encoding_format) => {
    const request = { model: 'demo-embedding', input: ['a b', 'c'], dimensions: 64 };
    const { data: answer, response } = await client.embeddings
      .create({ ...request, ...(encoding_format !== undefined && { encoding_format }) })
      .withResponse();
    expect(answer.data).toHaveLength(2);
    for (const { embedding } of answer.data) {
      const vector = typeof embedding === 'string' ? floatsOf(embedding) : embedding;
      expect(vector).toHaveLength(64);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
    }
    expect(await gateway.row(response.headers.get('x-sluice-request-id'))).toMatchObject({
      route: 'embeddings',
      estimated: false,
      input_tokens: answer.usage.prompt_tokens,
      output_tokens: 0,
    });
  });
});

function floatsOf(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64');
  return [...new Float32Array(new Uint8Array(bytes).buffer)];
}

describe.skipIf(!isBuilt)('models', () => {
  it('are listed', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(['demo', 'gpt-4o']));
    for (const model of data) {
      expect(model.object).toBe('model');
      expect(model.owned_by).toMatch(/./);
    }
  });

  // The client sends the slash as %2F.
  it.each(['gpt-4o', 'openai/gpt-4o', 'demo-embedding'])('are retrieved: %s', async (name) => {
    expect(await client.models.retrieve(name)).toMatchObject({ id: name, object: 'model' });
  });

  it('that do not exist are said not to', async () => {
    await expect(client.models.retrieve('nobody/nothing')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
  });

  it('of a provider are asked for under its own name', async () => {
    scripted.handler = chatHandler();
    await client.chat.completions.create({ model: 'openai/gpt-4o', messages });
    expect(chatRequest(scripted.last).model).toBe('gpt-4o');
    expect(scripted.last.path).toBe('/v1/chat/completions');
  });
});

describe.skipIf(!isBuilt)('the other endpoints', () => {
  it('completions answer, whole and streamed', async () => {
    const whole = await client.completions.create({ model: 'demo', prompt: 'Once' });
    expect(whole.choices[0]?.text).toContain('Once');
    let text = '';
    const stream = await client.completions.create({ model: 'demo', prompt: 'Once', stream: true });
    for await (const { choices } of stream) text += choices[0]?.text ?? '';
    expect(text).toBe(whole.choices[0]?.text);
  });

  it.each([undefined, 'required' as const])(
    'responses answer, whole and streamed, tools %j',
    async (choice) => {
      const tools = [{ type: 'function' as const, name: 'get_weather', parameters: weather, strict: false }];
      const request = {
        model: 'demo',
        input: 'Good morning',
        ...(choice === undefined ? {} : { tools, tool_choice: choice }),
      };
      const whole = await client.responses.create(request);
      const final = await client.responses.stream(request).finalResponse();
      expect(whole.status).toBe('completed');
      expect(final.output).toMatchObject(whole.output.map(({ type }) => ({ type })));
      expect(final.output_text).toBe(whole.output_text);
      expect(final.usage).toEqual(whole.usage);
    },
  );

  it('that are not served say so', async () => {
    await expect(client.fineTuning.jobs.retrieve('x')).rejects.toMatchObject({
      status: 404,
      code: 'unknown_url',
    });
  });
});

describe.skipIf(!isBuilt)('a key', () => {
  const HEADERS = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'] as const;

  function keyIn(header: string, key: string): OpenAI {
    const value = header === 'authorization' ? `Bearer ${key}` : key;
    const defaultHeaders = { authorization: null, [header]: value };
    return new OpenAI({ baseURL: gateway.url, apiKey: 'unused', defaultHeaders, maxRetries: 0 });
  }

  it.each(HEADERS)('is accepted in %s, and never reaches the provider', async (header) => {
    scripted.handler = (_, response) => sendJson(response, { object: 'list', data: [], usage: null });
    await keyIn(header, KEY).embeddings.create({ model: 'gpt-4o', input: 'x' });
    expect(JSON.stringify(scripted.last.headers)).not.toContain(KEY);
  });

  it.each(HEADERS)('that is wrong is refused in %s', async (header) => {
    const refused = keyIn(header, `${KEY}x`).models.list();
    await expect(refused).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(refused).rejects.toMatchObject({ code: 'invalid_api_key', type: 'invalid_request_error' });
  });

  it('of each kind at once, with different values, is refused', async () => {
    const both = new OpenAI({
      baseURL: gateway.url,
      apiKey: KEY,
      defaultHeaders: { 'x-api-key': `${KEY}x` },
      maxRetries: 0,
    });
    await expect(both.models.list()).rejects.toMatchObject({ status: 400, code: 'ambiguous_credentials' });
  });
});
