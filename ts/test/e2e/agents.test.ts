/**
 * Coding agents: requests as Claude Code and the Codex CLI make them, to a provider of every dialect. These say more than
 * other clients do, and what a provider has no word for must not fail.
 */

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { providerOf } from '../matrix/gateway.js';
import { ASK, DIALECTS, PATCH, RESULTS, scripted, TOOLS, type Dialect } from '../matrix/script.js';
import { Upstream } from '../matrix/server.js';
import { PROVIDERS } from '../matrix/upstreams/index.js';
import { Gateway, KEY } from './support/gateway.js';
import { isBuilt } from './support/program.js';

const upstreams = new Map<Dialect, Upstream>();
let gateway: Gateway;

beforeAll(async () => {
  for (const name of DIALECTS) upstreams.set(name, await Upstream.start(PROVIDERS[name]));
  const all = [...upstreams];
  gateway = await Gateway.start({
    config: {
      providers: Object.fromEntries(all.map(([name, upstream]) => [name, providerOf(upstream)])),
      models: Object.fromEntries(
        all.map(([name, { provider }]) => [
          `by-${name}`,
          { targets: [{ provider: name, model: provider.model }] },
        ]),
      ),
    },
  });
});
afterAll(() => {
  for (const upstream of upstreams.values()) upstream.close();
});

/** Problems that a provider found, so that a failure tells what they were. */
function refusalsOf(name: Dialect): readonly string[] {
  return upstreams.get(name)?.refusals ?? [];
}

const others = (own: Dialect): Dialect[] => DIALECTS.filter((name) => name !== own);

describe.skipIf(!isBuilt).each(others('anthropic'))('Claude Code, with a model of %s', (name) => {
  const cached = { cache_control: { type: 'ephemeral' as const } };

  function client(): Anthropic {
    return new Anthropic({
      baseURL: gateway.origin,
      authToken: KEY,
      apiKey: null,
      maxRetries: 0,
      defaultHeaders: {
        'anthropic-version': '2023-06-01',
        'anthropic-beta':
          'claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27',
        'x-app': 'cli',
        'user-agent': 'claude-cli/2.1.330 (external, cli)',
      },
      defaultQuery: { beta: 'true' },
    });
  }

  it('works through a turn with tools', async () => {
    const messages: Anthropic.MessageParam[] = [
      { role: 'user', content: [{ type: 'text', text: ASK.two, ...cached }] },
    ];
    const ask = async (): Promise<Anthropic.Message> => {
      const request = {
        model: `by-${name}`,
        max_tokens: 32_000,
        stream: true,
        messages,
        system: [
          { type: 'text' as const, text: 'You are a coding agent.', ...cached },
          { type: 'text' as const, text: 'Working directory: /tmp', ...cached },
        ],
        tools: TOOLS.map(({ name, description, schema }) => ({
          name,
          description,
          input_schema: {
            $schema: 'http://json-schema.org/draft-07/schema#',
            type: 'object' as const,
            additionalProperties: false,
            ...schema,
          },
          ...(name === 'get_time' && cached),
        })),
        metadata: { user_id: 'user_0123_account__session_4567' },
        thinking: { type: 'adaptive' as const },
        output_config: { effort: 'medium' as const },
        context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
      };
      const message = await client().messages.stream(request).finalMessage();
      messages.push({ role: 'assistant', content: message.content });
      return message;
    };
    const first = await ask().catch((error: unknown) => Promise.reject(why(error, name)));
    expect(first.stop_reason).toBe('tool_use');
    const results = first.content.flatMap((block) =>
      block.type === 'tool_use'
        ? [
            {
              type: 'tool_result' as const,
              tool_use_id: block.id,
              content: [{ type: 'text' as const, text: RESULTS[block.name] ?? '' }],
              is_error: false,
            },
          ]
        : [],
    );
    expect(results).toHaveLength(2);
    const reminder = {
      type: 'text' as const,
      text: '<system-reminder>Be brief.</system-reminder>',
      ...cached,
    };
    messages.push({ role: 'user', content: [...results, reminder] });
    const last = await ask().catch((error: unknown) => Promise.reject(why(error, name)));
    const text = last.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
    expect(text).toBe(scripted('two', true, String).text);
  });

  it('counts tokens', async () => {
    const messages = [{ role: 'user' as const, content: 'How long is this?' }];
    const { input_tokens } = await client().messages.countTokens({ model: `by-${name}`, messages });
    expect(input_tokens).toBeGreaterThan(0);
  });
});

describe.skipIf(!isBuilt).each(others('openai-responses'))('the Codex CLI, with a model of %s', (name) => {
  it('works through a turn with a tool of free text', async () => {
    const client = new OpenAI({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
    const say = (role: 'developer' | 'user', text: string) => ({
      type: 'message' as const,
      role,
      content: [{ type: 'input_text' as const, text }],
    });
    const input: OpenAI.Responses.ResponseInputItem[] = [
      say('developer', '<permissions>The sandbox is read-only.</permissions>'),
      say('user', ASK.patch),
    ];
    const ask = async (): Promise<OpenAI.Responses.Response> => {
      const stream = await client.responses.create({
        model: `by-${name}`,
        instructions: 'You are a coding agent.',
        input,
        tools: [
          {
            type: 'function',
            name: 'shell',
            description: 'Runs a command.',
            strict: false,
            parameters: {
              type: 'object',
              properties: { command: { type: 'array', items: { type: 'string' } } },
              required: ['command'],
              additionalProperties: false,
            },
          },
          {
            type: 'custom',
            name: 'apply_patch',
            description: 'Edits files.',
            format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
          },
          { type: 'web_search' },
        ],
        tool_choice: 'auto',
        parallel_tool_calls: false,
        reasoning: { effort: 'medium', summary: 'auto' },
        store: false,
        stream: true,
        include: ['reasoning.encrypted_content'],
        prompt_cache_key: '0199a213-81c0-7800-8aa1-bbab2a035a53',
        text: { verbosity: 'medium' },
      });
      for await (const event of stream) {
        if (event.type === 'response.completed') {
          input.push(...(event.response.output as OpenAI.Responses.ResponseInputItem[]));
          return event.response;
        }
      }
      throw new Error('the stream did not complete');
    };
    const { output } = await ask().catch((error: unknown) => Promise.reject(why(error, name)));
    const call = output.find((item) => item.type === 'custom_tool_call');
    expect(call).toMatchObject({ name: 'apply_patch', input: PATCH });
    input.push({ type: 'custom_tool_call_output', call_id: call?.call_id ?? '', output: 'Done!' });
    const last = await ask().catch((error: unknown) => Promise.reject(why(error, name)));
    const texts = last.output.flatMap((item) => (item.type === 'message' ? item.content : []));
    const text = texts.map((part) => (part.type === 'output_text' ? part.text : '')).join('');
    expect(text).toBe(scripted('patch', true, String).text);
  });
});

/** An error, with what the provider had against the request. */
function why(error: unknown, name: Dialect): Error {
  return new Error(`${String(error)}\n${refusalsOf(name).join('\n')}`, { cause: error });
}
