/** The scripted providers are what the official SDKs expect, and refuse what the real ones refuse. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MARKS, runCell } from './cell.js';
import { CLIENTS } from './clients/index.js';
import { DIALECTS, type Dialect } from './script.js';
import { PROVIDER_KEY, Upstream } from './server.js';
import { PROVIDERS } from './upstreams/index.js';

const upstreams = new Map<Dialect, Upstream>();

beforeAll(async () => {
  for (const name of DIALECTS) upstreams.set(name, await Upstream.start(PROVIDERS[name]));
});
afterAll(() => {
  for (const upstream of upstreams.values()) upstream.close();
});

function upstreamOf(name: Dialect): Upstream {
  const upstream = upstreams.get(name);
  if (upstream === undefined) throw new Error(`${name} has not started`);
  return upstream;
}

// AWS takes a signature or, with its newer keys, a bearer token.
it.each([...DIALECTS.map((name) => [name, PROVIDER_KEY] as const), ['bedrock', ''] as const])(
  'the SDK of %s is content with its provider (key %j)',
  async (name, key) => {
    const upstream = upstreamOf(name);
    const { model } = upstream.provider;
    const target = { origin: upstream.origin, key, model, failing: () => model };
    const verdict = await runCell(CLIENTS[name], upstream, target);
    for (const mark of MARKS) expect(verdict[mark]).toEqual([]);
  },
);

const user = { role: 'user', content: 'Hi' };
const turn = { role: 'user', parts: [{ text: 'Hi' }] };
const said = { role: 'user', content: [{ text: 'Hi' }] };
const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
const called = { role: 'assistant', content: null, tool_calls: [call] };
const use = { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} };
const result = { type: 'tool_result', tool_use_id: 'toolu_1', content: 'x' };
const functions = [{ functionDeclarations: [{ name: 'f' }] }];
const functionCall = { functionCall: { name: 'f', args: {} } };
const toolUse = { toolUse: { toolUseId: 'tooluse_1', name: 'f', input: {} } };
const toolResult = { toolResult: { toolUseId: 'tooluse_1', content: [{ text: 'x' }] } };
const toolConfig = { tools: [{ toolSpec: { name: 'f', inputSchema: { json: { type: 'object' } } } }] };
const anthropicTools = [{ name: 'f', input_schema: { type: 'object' } }];

/** Bodies with a mistake, and what is said about it. */
const MISTAKES: Readonly<Record<Dialect, readonly (readonly [object, RegExp])[]>> = {
  'openai-chat': [
    [{ messages: [] }, /messages: needs at least 1/],
    [{ messages: [user], top_k: 3 }, /top_k: extra inputs/],
    [{ messages: [{ role: 'tool', content: 'x', tool_call_id: 'a' }] }, /must be a response to a preceding/],
    [{ messages: [user, called, user] }, /tool calls have no response: call_1/],
    [{ messages: [user], tools: [] }, /tools: needs at least 1/],
    [{ messages: [user], tool_choice: 'auto' }, /tool_choice: is only/],
    [{ messages: [user], stream_options: { include_usage: true } }, /stream_options: is only/],
    [{ messages: [user], max_tokens: 1, max_completion_tokens: 1 }, /not taken together/],
    [{ messages: [{ role: 'assistant', content: null }] }, /content: is needed/],
  ],
  'openai-responses': [
    [{ input: [] }, /input: needs at least 1/],
    [{ input: 'Hi', max_output_tokens: 15 }, /15 is not within 16/],
    [{ input: 'Hi', stop: ['x'] }, /stop: extra inputs/],
    [
      { input: [{ role: 'assistant', content: [{ type: 'input_text', text: 'x' }] }] },
      /input_text.* is none/,
    ],
    [{ input: [{ type: 'function_call_output', call_id: 'a', output: 'x' }] }, /no tool call found/],
    [
      { input: [{ type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }] },
      /no tool output found/,
    ],
    [
      { input: 'Hi', tools: [{ type: 'function', function: { name: 'f' } }] },
      /name: field required|function: extra inputs/,
    ],
  ],
  anthropic: [
    [{ messages: [user] }, /max_tokens: field required/],
    [{ max_tokens: 9, messages: [{ role: 'user', content: '' }] }, /must not be blank/],
    [{ max_tokens: 9, messages: [{ role: 'assistant', content: 'x' }] }, /first message must use/],
    [{ max_tokens: 9, messages: [{ role: 'system', content: 'x' }, user] }, /system.* is none/],
    [{ max_tokens: 9, messages: [user], temperature: 0.5 }, /not taken since/],
    [{ max_tokens: 9, messages: [user], temperature: 1.5 }, /not within 0 and 1/],
    [
      { max_tokens: 9, tools: anthropicTools, messages: [user, { role: 'assistant', content: [use] }, user] },
      /no `tool_result` blocks right after/,
    ],
    [
      {
        max_tokens: 9,
        tools: anthropicTools,
        messages: [
          user,
          { role: 'assistant', content: [use] },
          { role: 'user', content: [{ type: 'text', text: 'x' }, result] },
        ],
      },
      /must come first/,
    ],
    [{ max_tokens: 9, messages: [{ role: 'user', content: [result] }] }, /tools: must be defined/],
    [{ max_tokens: 9, messages: [user, { role: 'assistant', content: 'x ' }] }, /end with whitespace/],
    [{ max_tokens: 9, messages: [user], tools: [{ name: 'f' }] }, /input_schema: field required/],
  ],
  gemini: [
    [{ contents: [] }, /contents: needs at least 1/],
    [{ contents: [turn, turn] }, /must alternate/],
    [{ contents: [{ role: 'user', parts: [{ text: '' }] }] }, /must not be empty/],
    [{ contents: [turn, { role: 'model', parts: [functionCall] }, turn] }, /0 function response parts for 1/],
    [
      {
        contents: [turn],
        tools: [
          {
            functionDeclarations: [
              { name: 'f', parameters: { type: 'object', additionalProperties: false } },
            ],
          },
        ],
      },
      /additionalProperties: extra inputs/,
    ],
    [
      {
        contents: [turn],
        tools: functions,
        toolConfig: { functionCallingConfig: { mode: 'AUTO', allowedFunctionNames: ['f'] } },
      },
      /only goes with mode ANY/,
    ],
    [{ contents: [turn], model: 'm' }, /model: extra inputs/],
  ],
  bedrock: [
    [{ messages: [said, said] }, /must alternate/],
    [{ messages: [{ role: 'user', content: [{ text: ' ' }] }] }, /must not be blank/],
    [{ messages: [said], modelId: 'm' }, /modelId: extra inputs/],
    [
      { messages: [said, { role: 'assistant', content: [toolUse] }, said], toolConfig },
      /expected toolResult/,
    ],
    [
      {
        messages: [said, { role: 'assistant', content: [toolUse] }, { role: 'user', content: [toolResult] }],
      },
      /toolConfig: must be defined/,
    ],
    [{ messages: [said], toolConfig: { ...toolConfig, toolChoice: { none: {} } } }, /none: extra inputs/],
    [{ messages: [said], inferenceConfig: { temperature: 1.5 } }, /not within 0 and 1/],
  ],
  cohere: [
    [{ messages: [] }, /messages: needs at least 1/],
    [{ messages: [user], top_p: 0.5 }, /top_p: extra inputs/],
    [{ messages: [user], tool_choice: 'auto' }, /auto.* is none of REQUIRED, NONE/],
    [{ messages: [user, called] }, /content: expected an array, got null/],
    [{ messages: [user, { role: 'assistant', tool_calls: [call] }] }, /without results: call_1/],
    [{ messages: [{ role: 'tool', tool_call_id: 'a', content: 'x' }] }, /no tool call has the id a/],
    [{ messages: [user], stop_sequences: ['1', '2', '3', '4', '5', '6'] }, /at most 5/],
  ],
};

const PATHS: Readonly<Record<Dialect, string>> = {
  'openai-chat': '/v1/chat/completions',
  'openai-responses': '/v1/responses',
  anthropic: '/v1/messages',
  gemini: '/v1beta/models/gemini-3-flash-preview:generateContent',
  bedrock: '/model/m/converse',
  cohere: '/v2/chat',
};
const inPath: readonly Dialect[] = ['gemini', 'bedrock'];

function post(name: Dialect, body: object, key = PROVIDER_KEY): Promise<Response> {
  const keys = { authorization: `Bearer ${key}`, 'x-api-key': key, 'x-goog-api-key': key };
  const headers = { ...keys, 'content-type': 'application/json', 'anthropic-version': '2026-10-21' };
  const named = inPath.includes(name) ? body : { model: 'm', ...body };
  return fetch(`${upstreamOf(name).origin}${PATHS[name]}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(named),
  });
}

describe.each(DIALECTS)('the provider of %s refuses', (name) => {
  it.each(MISTAKES[name].map(([body, message]) => [JSON.stringify(body), body, message] as const))(
    '%s',
    async (_, body, message) => {
      const response = await post(name, body);
      expect(await response.text()).toMatch(message);
      expect(response.status).toBe(400);
    },
  );

  it('a wrong key', async () => {
    expect((await post(name, {}, 'wrong')).status).toBe(401);
  });
});
