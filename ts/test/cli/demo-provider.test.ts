/** The demo provider as the official client sees it: what that accepts is the API. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoProvider, type DemoProvider } from '../../src/bridge/index.js';

let provider: DemoProvider;
let client: OpenAI;

beforeAll(() => {
  provider = startDemoProvider({ chunks: 12 });
  client = new OpenAI({ baseURL: `http://${provider.address}/v1`, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => provider.stop());

const messages = [{ role: 'user' as const, content: 'Good morning' }];
const weather = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city'],
};

describe('chat completions', () => {
  it('answer whole', async () => {
    const completion = await client.chat.completions.create({ model: 'demo', messages });
    expect(completion.choices[0]?.message.content).toContain('Good morning');
    expect(completion.usage?.total_tokens).toBe(
      (completion.usage?.prompt_tokens ?? 0) + (completion.usage?.completion_tokens ?? 0),
    );
  });

  it('stream the same, with usage', async () => {
    const whole = await client.chat.completions.create({ model: 'demo', messages });
    const stream = client.chat.completions.stream({
      model: 'demo',
      messages,
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
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
});

describe('responses', () => {
  it.each([undefined, 'required' as const])('stream to the same end, tools %j', async (choice) => {
    const tools = [{ type: 'function' as const, name: 'get_weather', parameters: weather, strict: false }];
    const request = {
      model: 'demo',
      input: 'Good morning',
      ...(choice === undefined ? {} : { tools, tool_choice: choice }),
    };
    const whole = await client.responses.create(request);
    const final = await client.responses.stream(request).finalResponse();
    expect(final.output).toMatchObject(whole.output.map(({ type }) => ({ type })));
    expect(final.output_text).toBe(whole.output_text);
    expect(final.usage).toEqual(whole.usage);
  });
});

it('embeddings decode to unit vectors', async () => {
  const { data } = await client.embeddings.create({
    model: 'demo-embedding',
    input: ['a b', 'c'],
    dimensions: 64,
  });
  expect(data).toHaveLength(2);
  for (const { embedding } of data) {
    expect(embedding).toHaveLength(64);
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 4);
  }
});

it('completions and models', async () => {
  const completion = await client.completions.create({ model: 'demo', prompt: 'Once' });
  expect(completion.choices[0]?.text).toContain('Once');
  const models = await client.models.list();
  expect(models.data.map(({ id }) => id)).toContain('demo');
  expect((await client.models.retrieve('demo')).id).toBe('demo');
});

it("errors are the client's own", async () => {
  await expect(client.models.retrieve('absent')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  await expect(client.chat.completions.create({ model: '', messages })).rejects.toMatchObject({
    status: 400,
    param: 'model',
    code: 'missing_required_parameter',
  });
});

it('failures come at the rate asked for', async () => {
  const failing = startDemoProvider({ error_rate: 1 });
  const other = new OpenAI({ baseURL: `http://${failing.address}/v1`, apiKey: 'any', maxRetries: 0 });
  await expect(other.models.list()).rejects.toBeInstanceOf(OpenAI.InternalServerError);
  failing.stop();
});
