/** `@anthropic-ai/sdk`. */

import Anthropic from '@anthropic-ai/sdk';
import type { Answer, Finish, Image, Tool } from '../script.js';
import {
  present,
  THINKING_TOKENS,
  type Client,
  type Conversation,
  type ErrorKind,
  type Setup,
} from './client.js';

const FINISHES: Readonly<Record<string, Finish>> = {
  end_turn: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

function answerOf({ content, stop_reason, usage }: Anthropic.Message): Answer {
  const finish = FINISHES[stop_reason ?? ''];
  if (finish === undefined) throw new Error(`the answer ends with ${stop_reason}`);
  const cached = usage.cache_read_input_tokens ?? 0;
  const written = usage.cache_creation_input_tokens ?? 0;
  return {
    thinking: content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    calls: content.flatMap((block) =>
      block.type === 'tool_use'
        ? [{ id: block.id, name: block.name, input: block.input as Record<string, unknown> }]
        : [],
    ),
    finish,
    usage: present({
      input: usage.input_tokens + cached + written,
      output: usage.output_tokens,
      cached,
      written,
      reasoning: usage.output_tokens_details?.thinking_tokens,
    }),
  };
}

function toolOf({ name, description, schema }: Tool): Anthropic.Tool {
  return { name, description, input_schema: schema as Anthropic.Tool.InputSchema };
}

function imageOf({ mediaType, data }: Image): Anthropic.ImageBlockParam {
  return { type: 'image', source: { type: 'base64', media_type: mediaType as 'image/png', data } };
}

function open(setup: Setup): Conversation {
  const { origin, prefix = '', key, model, streamed, system, tools, forced, maxTokens, stop, schema } = setup;
  const client = new Anthropic({ baseURL: `${origin}${prefix}`, apiKey: key, maxRetries: 0 });
  const messages: Anthropic.MessageParam[] = [];
  const ask = async (): Promise<Answer> => {
    const request = {
      model,
      messages,
      system,
      max_tokens: maxTokens ?? 1024,
      ...(stop !== undefined && { stop_sequences: [stop] }),
      ...(setup.thinks === true && {
        thinking: { type: 'enabled' as const, budget_tokens: THINKING_TOKENS },
      }),
      ...(schema !== undefined && { output_config: { format: { type: 'json_schema' as const, schema } } }),
      ...(tools.length > 0 && {
        tools: tools.map(toolOf),
        tool_choice: { type: forced === true ? ('any' as const) : ('auto' as const) },
      }),
    };
    const options = present({ signal: setup.signal });
    const message = streamed
      ? await client.messages
          .stream(request, options)
          .on('text', (piece) => setup.onText?.(piece))
          .finalMessage()
      : await client.messages.create(request, options);
    messages.push({ role: message.role, content: message.content });
    return answerOf(message);
  };
  return {
    say: (text, image) => {
      messages.push({ role: 'user', content: image ? [imageOf(image), { type: 'text', text }] : text });
      return ask();
    },
    tell: (results) => {
      const content = results.map(({ id, text }) => ({
        type: 'tool_result' as const,
        tool_use_id: id,
        content: text,
      }));
      messages.push({ role: 'user', content });
      return ask();
    },
  };
}

function kindOf(error: unknown): ErrorKind {
  if (error instanceof Anthropic.RateLimitError) return 'rate limit';
  if (error instanceof Anthropic.AuthenticationError) return 'key';
  if (error instanceof Anthropic.NotFoundError) return 'not found';
  if (error instanceof Anthropic.BadRequestError) return 'request';
  if (error instanceof Anthropic.InternalServerError) return 'server';
  return error instanceof Anthropic.APIUserAbortError ? 'abort' : 'other';
}

export const anthropic: Client = {
  dialect: 'anthropic',
  sdk: '@anthropic-ai/sdk',
  hasTemperature: false, // the API it speaks takes none
  hasStop: true,
  needsLimit: true,
  oddName: `a_tool_with_a_long_name_${'x'.repeat(100)}`,
  open,
  kindOf,
};
