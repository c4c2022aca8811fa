/** Frameworks above the SDKs, with providers of another dialect than the one they speak. */

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, jsonSchema, stepCountIs, streamText, tool, type LanguageModel } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { providerOf } from '../matrix/gateway.js';
import { ASK, RESULTS, scripted, SYSTEM, TOOLS, USAGE } from '../matrix/script.js';
import { Upstream } from '../matrix/server.js';
import { PROVIDERS } from '../matrix/upstreams/index.js';
import { Gateway, KEY } from './support/gateway.js';
import { isBuilt } from './support/program.js';

let upstream: Upstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await Upstream.start(PROVIDERS.gemini);
  const { model } = upstream.provider;
  gateway = await Gateway.start({
    config: {
      providers: { gemini: providerOf(upstream) },
      models: { flash: { targets: [{ provider: 'gemini', model }] } },
    },
  });
});
afterAll(() => upstream.close());

const text = scripted('text', false, String).text;
const found = scripted('two', true, String).text;

describe.skipIf(!isBuilt)('the AI SDK', () => {
  const openai = () => createOpenAI({ baseURL: `${gateway.origin}/openai/v1`, apiKey: KEY });
  const anthropic = () => createAnthropic({ baseURL: `${gateway.origin}/anthropic/v1`, apiKey: KEY });
  const MODELS: readonly (readonly [string, () => LanguageModel])[] = [
    ['OpenAI’s chat', () => openai().chat('flash')],
    ['OpenAI’s responses', () => openai()('flash')],
    ['Anthropic', () => anthropic()('flash')],
  ];
  const tools = Object.fromEntries(
    TOOLS.map(({ name, description, schema }) => [
      name,
      tool({ description, inputSchema: jsonSchema(schema), execute: () => RESULTS[name] }),
    ]),
  );

  describe.each(MODELS)('as a client of %s', (_, model) => {
    it('generates a text', async () => {
      const generated = await generateText({ model: model(), system: SYSTEM, prompt: ASK.text });
      expect(generated.text).toBe(text);
      expect(generated.finishReason).toBe('stop');
      expect(generated.usage).toMatchObject({ inputTokens: USAGE.input, outputTokens: USAGE.output });
    });

    it('streams a text', async () => {
      const stream = streamText({ model: model(), system: SYSTEM, prompt: ASK.text });
      const pieces: string[] = [];
      for await (const piece of stream.textStream) pieces.push(piece);
      expect(pieces.join('')).toBe(text);
      expect(pieces.length).toBeGreaterThan(1);
      expect(await stream.usage).toMatchObject({ inputTokens: USAGE.input, outputTokens: USAGE.output });
    });

    it('runs tools until there is an answer', async () => {
      // As a client of Responses it would refer to items that only OpenAI keeps.
      const providerOptions = { openai: { store: false } };
      const asked = { model: model(), system: SYSTEM, prompt: ASK.two, tools };
      const request = { ...asked, stopWhen: stepCountIs(3), providerOptions };
      const generated = await generateText(request);
      expect(generated.text).toBe(found);
      expect(generated.steps).toHaveLength(2);
      expect(await streamText(request).text).toBe(found);
    });
  });
});

describe.skipIf(!isBuilt)('LangChain', () => {
  const chat = (): ChatOpenAI =>
    new ChatOpenAI({
      model: 'flash',
      apiKey: KEY,
      configuration: { baseURL: `${gateway.origin}/v1` },
      maxRetries: 0,
    });

  it('invokes and streams', async () => {
    const answer = await chat().invoke(ASK.text);
    expect(answer.content).toBe(text);
    expect(answer.usage_metadata).toMatchObject({
      input_tokens: USAGE.input,
      output_tokens: USAGE.output,
    });
    let streamed = '';
    for await (const piece of await chat().stream(ASK.text)) streamed += piece.text;
    expect(streamed).toBe(text);
  });

  it('calls tools', async () => {
    const tools = TOOLS.map(({ name, description, schema }) =>
      langchainTool(() => RESULTS[name] ?? '', { name, description, schema: schema as { type: 'object' } }),
    );
    const answer = await chat().bindTools(tools).invoke(ASK.two);
    expect(answer.tool_calls?.map(({ name }) => name)).toEqual(['get_weather', 'get_time']);
    const results: unknown[] = [];
    for (const call of answer.tool_calls ?? []) {
      const tool = tools.find(({ name }) => name === call.name);
      results.push(await tool?.invoke(call));
    }
    const messages = [{ role: 'user', content: ASK.two }, answer, ...results];
    const last = await chat()
      .bindTools(tools)
      .invoke(messages as never);
    expect(last.content).toBe(found);
  });
});
