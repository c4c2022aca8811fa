/** `openai`, with Responses. */

import OpenAI from 'openai';
import type { Answer, Call, Finish } from '../script.js';
import { dataUrl, inputOf, present, type Client, type Conversation, type Setup } from './client.js';
import { kindOf } from './openai-chat.js';

type Response = OpenAI.Responses.Response;

function finishOf({ status, incomplete_details }: Response, calls: readonly Call[]): Finish {
  if (status === 'incomplete' && incomplete_details?.reason === 'max_output_tokens') return 'length';
  if (status !== 'completed') throw new Error(`the response is ${status}`);
  return calls.length > 0 ? 'tool_calls' : 'stop';
}

function answerOf(response: Response): Answer {
  const { output, usage } = response;
  const texts = output.flatMap((item) => (item.type === 'message' ? item.content : []));
  const calls = output.flatMap((item) =>
    item.type === 'function_call'
      ? [{ id: item.call_id, name: item.name, input: inputOf(item.arguments) }]
      : [],
  );
  const thoughts = output.flatMap((item) => (item.type === 'reasoning' ? item.summary : []));
  return {
    thinking: thoughts.map((part) => part.text).join(''),
    text: texts.map((part) => (part.type === 'output_text' ? part.text : '')).join(''),
    calls,
    finish: finishOf(response, calls),
    usage: present({
      input: usage?.input_tokens,
      output: usage?.output_tokens,
      cached: usage?.input_tokens_details.cached_tokens,
      written: usage?.input_tokens_details.cache_write_tokens,
      reasoning: usage?.output_tokens_details.reasoning_tokens,
    }),
  };
}

/** An item without what the SDK has added to it, which the API takes for unknown. */
function sendable(item: OpenAI.Responses.ResponseOutputItem): OpenAI.Responses.ResponseInputItem {
  const added = ['parsed', 'parsed_arguments'];
  const text = JSON.stringify(item, (name, value: unknown) => (added.includes(name) ? undefined : value));
  return JSON.parse(text) as OpenAI.Responses.ResponseInputItem;
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
    schema,
  } = setup;
  const client = new OpenAI({ baseURL: `${origin}${prefix}/v1`, apiKey: key, maxRetries: 0 });
  const input: OpenAI.Responses.ResponseInputItem[] = [];
  const ask = async (): Promise<Answer> => {
    const request = {
      model,
      input,
      instructions: system,
      store: false,
      ...present({ max_output_tokens: maxTokens, temperature }),
      ...(setup.thinks === true && {
        reasoning: { effort: 'medium' as const, summary: 'auto' as const },
        include: ['reasoning.encrypted_content' as const],
      }),
      ...(schema !== undefined && {
        text: { format: { type: 'json_schema' as const, name: 'place', schema, strict: true } },
      }),
      ...(tools.length > 0 && {
        tools: tools.map(({ name, description, schema }) => ({
          type: 'function' as const,
          name,
          description,
          parameters: schema,
          strict: false,
        })),
        tool_choice: forced === true ? ('required' as const) : ('auto' as const),
      }),
    };
    const options = present({ signal: setup.signal });
    const response = streamed
      ? await client.responses
          .stream(request, options)
          .on('response.output_text.delta', ({ delta }) => setup.onText?.(delta))
          .finalResponse()
      : await client.responses.create(request, options);
    input.push(...response.output.map(sendable));
    return answerOf(response);
  };
  return {
    say: (text, image) => {
      const shown = image
        ? [{ type: 'input_image' as const, detail: 'auto' as const, image_url: dataUrl(image) }]
        : [];
      input.push({ role: 'user', content: [{ type: 'input_text', text }, ...shown] });
      return ask();
    },
    tell: (results) => {
      input.push(
        ...results.map(({ id, text }) => ({
          type: 'function_call_output' as const,
          call_id: id,
          output: text,
        })),
      );
      return ask();
    },
  };
}

export const openaiResponses: Client = {
  dialect: 'openai-responses',
  sdk: 'openai',
  hasTemperature: true,
  hasStop: false,
  needsLimit: false,
  open,
  kindOf,
};
