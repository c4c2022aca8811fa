/** `openai`, with Chat Completions. */

import OpenAI from 'openai';
import type { Answer, Finish } from '../script.js';
import {
  dataUrl,
  inputOf,
  present,
  type Client,
  type Conversation,
  type ErrorKind,
  type Setup,
} from './client.js';

const FINISHES: Readonly<Record<string, Finish>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
};

function usageOf(usage: OpenAI.CompletionUsage | undefined): Answer['usage'] {
  return present({
    input: usage?.prompt_tokens,
    output: usage?.completion_tokens,
    cached: usage?.prompt_tokens_details?.cached_tokens,
    written: usage?.prompt_tokens_details?.cache_write_tokens,
    reasoning: usage?.completion_tokens_details?.reasoning_tokens,
  });
}

/** What others than OpenAI added for thoughts. */
interface Thoughtful {
  readonly reasoning_content?: string | null;
}

function answerOf({ choices, usage }: OpenAI.ChatCompletion): Answer {
  const choice = choices[0];
  if (choice === undefined || choices.length !== 1) throw new Error(`there are ${choices.length} choices`);
  const { message, finish_reason } = choice;
  const finish = FINISHES[finish_reason];
  if (finish === undefined) throw new Error(`the answer ends with ${finish_reason}`);
  return {
    text: message.content ?? '',
    thinking: (message as Thoughtful).reasoning_content ?? undefined,
    calls: (message.tool_calls ?? []).map((call) => {
      if (call.type !== 'function') throw new Error(`a call of the type ${call.type}`);
      return { id: call.id, name: call.function.name, input: inputOf(call.function.arguments) };
    }),
    finish,
    usage: usageOf(usage),
  };
}

function open(setup: Setup): Conversation {
  const {
    origin,
    prefix = '',
    key,
    model,
    streamed,
    system,
    tools,
    forced,
    maxTokens,
    temperature,
    stop,
    schema,
  } = setup;
  const client = new OpenAI({ baseURL: `${origin}${prefix}/v1`, apiKey: key, maxRetries: 0 });
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'system', content: system }];
  const ask = async (): Promise<Answer> => {
    const request = {
      model,
      messages,
      ...present({ max_completion_tokens: maxTokens, temperature, stop }),
      ...(setup.thinks === true && { reasoning_effort: 'medium' as const }),
      ...(schema !== undefined && {
        response_format: {
          type: 'json_schema' as const,
          json_schema: { name: 'place', schema, strict: true },
        },
      }),
      ...(tools.length > 0 && {
        tools: tools.map(({ name, description, schema }) => ({
          type: 'function' as const,
          function: { name, description, parameters: schema },
        })),
        tool_choice: forced === true ? ('required' as const) : ('auto' as const),
      }),
    };
    const options = present({ signal: setup.signal });
    const completion = streamed
      ? await client.chat.completions
          .stream({ ...request, stream_options: { include_usage: true } }, options)
          .on('content', (piece) => setup.onText?.(piece))
          .finalChatCompletion()
      : await client.chat.completions.create(request, options);
    const answer = answerOf(completion);
    messages.push(completion.choices[0]!.message);
    return answer;
  };
  return {
    say: (text, image) => {
      const shown =
        image && ({ type: 'image_url', image_url: { url: dataUrl(image), detail: 'low' } } as const);
      messages.push({ role: 'user', content: shown ? [{ type: 'text', text }, shown] : text });
      return ask();
    },
    tell: (results) => {
      messages.push(
        ...results.map(({ id, text }) => ({ role: 'tool' as const, tool_call_id: id, content: text })),
      );
      return ask();
    },
  };
}

/** By the classes that both of OpenAI's dialects raise. */
export function kindOf(error: unknown): ErrorKind {
  if (error instanceof OpenAI.RateLimitError) return 'rate limit';
  if (error instanceof OpenAI.AuthenticationError) return 'key';
  if (error instanceof OpenAI.NotFoundError) return 'not found';
  if (error instanceof OpenAI.BadRequestError) return 'request';
  if (error instanceof OpenAI.InternalServerError) return 'server';
  return error instanceof OpenAI.APIUserAbortError ? 'abort' : 'other';
}

export const openaiChat: Client = {
  dialect: 'openai-chat',
  sdk: 'openai',
  hasTemperature: true,
  hasStop: true,
  needsLimit: false,
  open,
  kindOf,
};
