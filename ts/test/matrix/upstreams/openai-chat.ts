/** OpenAI's Chat Completions, as its API takes and answers them. */

import {
  bearer,
  EVENTS,
  requireKey,
  requirePath,
  type Provider,
  type Received,
  type Streamed,
  type Whole,
} from '../server.js';
import { fragments, Turns, type Call, type Scripted, type Seen, type Tool, type Usage } from '../script.js';
import {
  anything,
  dataOf,
  filled,
  flag,
  integer,
  list,
  matching,
  nullable,
  number,
  object,
  oneOf,
  parse,
  record,
  refuse,
  tagged,
  text,
  textOr,
  type Refused,
} from '../shapes.js';

const TOOL_NAME = matching(/^[a-zA-Z0-9_-]{1,64}$/);
const textPart = record({ type: oneOf('text'), text }, {});
const userPart = tagged('type', {
  text: textPart,
  image_url: record({ type: text, image_url: record({ url: filled }, { detail: text }) }, {}),
  file: record({ type: text, file: object }, {}),
});
const called = record({ name: TOOL_NAME, arguments: text }, { parsed_arguments: anything });
const toolCall = tagged('type', {
  function: record({ id: filled, type: oneOf('function'), function: called }, {}),
  custom: record(
    { id: filled, type: oneOf('custom'), custom: record({ name: TOOL_NAME, input: text }, {}) },
    {},
  ),
});
const textContent = textOr(list(textPart, 1));
const message = tagged('role', {
  system: record({ role: oneOf('system'), content: textContent }, { name: text }),
  developer: record({ role: oneOf('developer'), content: textContent }, { name: text }),
  user: record({ role: oneOf('user'), content: textOr(list(userPart, 1)) }, { name: text }),
  assistant: record(
    { role: oneOf('assistant') },
    {
      content: nullable(textContent),
      refusal: nullable(text),
      name: text,
      annotations: anything,
      parsed: anything, // the SDK adds it to what it was sent, and sends it back so
      tool_calls: list(toolCall, 1),
    },
  ),
  tool: record({ role: oneOf('tool'), content: textContent, tool_call_id: filled }, {}),
});
type Message = ReturnType<typeof message>;

const declared = record(
  { name: TOOL_NAME },
  { description: text, parameters: object, strict: nullable(flag) },
);
const free = record({ name: TOOL_NAME }, { description: text, format: object });
const tool = tagged('type', {
  function: record({ type: oneOf('function'), function: declared }, {}),
  custom: record({ type: oneOf('custom'), custom: free }, {}),
});
const format = record(
  { name: matching(/^[a-zA-Z0-9_-]{1,64}$/), schema: object },
  { description: text, strict: nullable(flag) },
);
const body = record(
  { model: filled, messages: list(message, 1) },
  {
    stream: nullable(flag),
    stream_options: nullable(record({}, { include_usage: flag, include_obfuscation: flag })),
    max_tokens: nullable(integer(1)),
    max_completion_tokens: nullable(integer(1)),
    temperature: nullable(number(0, 2)),
    top_p: nullable(number(0, 1)),
    n: nullable(integer(1, 1)),
    stop: nullable(textOr(list(text, 1, 4))),
    tools: list(tool, 1),
    tool_choice: textOr(object, oneOf('auto', 'required', 'none')),
    parallel_tool_calls: flag,
    user: text,
    verbosity: nullable(oneOf('low', 'medium', 'high')),
    prompt_cache_key: text,
    safety_identifier: text,
    service_tier: nullable(text),
    store: nullable(flag),
    metadata: nullable(object),
    response_format: tagged('type', {
      text: record({ type: text }, {}),
      json_object: record({ type: text }, {}),
      json_schema: record({ type: oneOf('json_schema'), json_schema: format }, {}),
    }),
    reasoning_effort: nullable(oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')),
  },
);
type Body = ReturnType<typeof body>;

function read(received: Received): Seen {
  requirePath(received, '/v1/chat/completions');
  requireKey(bearer(received));
  const request = parse(body, received.body);
  checkParameters(request);
  checkPairs(request.messages);
  const { messages, stop, tools = [] } = request;
  const instructions = messages.filter(({ role }) => role === 'system' || role === 'developer');
  return {
    model: request.model,
    stream: request.stream === true,
    system: instructions.map((message) => textOf(message.content)).join('\n'),
    turns: turnsOf(messages),
    tools: tools.map(toolOf),
    choice: choiceOf(request),
    maxTokens: request.max_completion_tokens ?? request.max_tokens,
    temperature: request.temperature,
    stop: typeof stop === 'string' ? [stop] : (stop ?? []),
    schema: schemaOf(request),
    thinks: request.reasoning_effort !== undefined,
    uncounted: request.stream_options?.include_usage !== true,
  };
}

function toolOf(one: ReturnType<typeof tool>): Tool {
  if ('custom' in one) {
    const { name, description = '' } = one.custom;
    return { name, description, schema: {}, isFree: true };
  }
  const { name, description = '', parameters = {} } = one.function;
  return { name, description, schema: parameters };
}

function checkParameters(request: Body): void {
  const { max_tokens, max_completion_tokens, stream, stream_options, tools, tool_choice } = request;
  if (max_tokens !== undefined && max_completion_tokens !== undefined) {
    refuse('max_tokens', 'is not taken together with max_completion_tokens');
  }
  if (stream_options !== undefined && stream !== true) refuse('stream_options', 'is only for streams');
  if (tool_choice !== undefined && tools === undefined)
    refuse('tool_choice', 'is only for requests with tools');
  if (request.parallel_tool_calls !== undefined && tools === undefined) {
    refuse('parallel_tool_calls', 'is only for requests with tools');
  }
}

/** Every call has to be answered right after the message it is in, and nothing else may be. */
function checkPairs(messages: readonly Message[]): void {
  let open: string[] = [];
  for (const [index, message] of messages.entries()) {
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id)) {
        refuse(
          `messages[${index}]`,
          "role 'tool' must be a response to a preceding message with 'tool_calls'",
        );
      }
      open = open.filter((id) => id !== message.tool_call_id);
      continue;
    }
    if (open.length > 0)
      refuse(`messages[${index}]`, `these tool calls have no response: ${open.join(', ')}`);
    if (message.role !== 'assistant') continue;
    if (message.content === undefined && message.tool_calls === undefined) {
      refuse(`messages[${index}].content`, 'is needed where there are no tool_calls');
    }
    open = (message.tool_calls ?? []).map(({ id }) => id);
  }
  if (open.length > 0) refuse('messages', `these tool calls have no response: ${open.join(', ')}`);
}

function textOf(content: string | readonly { readonly type: string }[] | undefined): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => ('text' in part ? String(part.text) : '')).join('');
}

function turnsOf(messages: readonly Message[]): Seen['turns'] {
  const turns = new Turns();
  for (const message of messages) {
    if (message.role === 'user') {
      const turn = turns.of('user');
      turn.text += textOf(message.content);
      const parts = typeof message.content === 'string' ? [] : message.content;
      turn.images.push(...parts.flatMap((part) => ('image_url' in part ? [dataOf(part.image_url.url)] : [])));
    }
    if (message.role === 'tool') {
      turns.of('user').results.push({ id: message.tool_call_id, text: textOf(message.content) });
    }
    if (message.role !== 'assistant') continue;
    const turn = turns.of('assistant');
    turn.text += textOf(message.content);
    turn.calls.push(...(message.tool_calls ?? []).map(callOf));
  }
  return turns.all;
}

function callOf(one: ReturnType<typeof toolCall>): Call {
  if ('custom' in one) return { id: one.id, name: one.custom.name, input: { input: one.custom.input } };
  const { name, arguments: json } = one.function;
  return { id: one.id, name, input: object(JSON.parse(json), 'arguments') };
}

function schemaOf({ response_format }: Body): Seen['schema'] {
  return response_format && 'json_schema' in response_format ? response_format.json_schema.schema : undefined;
}

function choiceOf({ tool_choice }: Body): Seen['choice'] {
  if (tool_choice === 'none') return 'none';
  return tool_choice === undefined || tool_choice === 'auto' ? 'auto' : 'any';
}

/** Token counts as both of OpenAI's dialects split them, under the names of this one. */
function usageOf({ input, output, cached, written, reasoning }: Usage): object {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

const CREATED = 1_780_000_000;

function isFree({ tools }: Seen, name: string): boolean {
  return tools.some((tool) => tool.name === name && tool.isFree === true);
}

function whole({ text, calls, finish, usage }: Scripted, seen: Seen): Whole {
  const { model } = seen;
  const tool_calls = calls.map(({ id, name, input }) =>
    isFree(seen, name)
      ? { id, type: 'custom', custom: { name, input: input['input'] } }
      : { id, type: 'function', function: { name, arguments: JSON.stringify(input) } },
  );
  const message = {
    role: 'assistant',
    content: text === '' ? null : text,
    refusal: null,
    annotations: [],
    ...(tool_calls.length > 0 && { tool_calls }),
  };
  return {
    headers: { 'x-request-id': 'req_scripted', 'openai-version': '2020-10-01' },
    body: {
      id: 'chatcmpl-scripted',
      object: 'chat.completion',
      created: CREATED,
      model,
      choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
      usage: usageOf(usage),
      service_tier: 'default',
      system_fingerprint: 'fp_scripted',
    },
  };
}

function stream({ pieces, calls, finish, usage }: Scripted, seen: Seen): Streamed {
  const { model, uncounted } = seen;
  const chunk = (choices: object[], counts: object | null): string => {
    const head = { id: 'chatcmpl-scripted', object: 'chat.completion.chunk', created: CREATED, model };
    const rest = { service_tier: 'default', system_fingerprint: 'fp_scripted', choices };
    return `data: ${JSON.stringify({ ...head, ...rest, usage: counts, obfuscation: 'x7Kq' })}\n\n`;
  };
  const delta = (delta: object, finish_reason: string | null = null): string =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason }], null);
  const first = { role: 'assistant', content: pieces.length > 0 ? '' : null, refusal: null };
  const tools = calls.flatMap(({ id, name, input }, index) => {
    if (isFree(seen, name)) {
      const text = String(input['input']);
      return [
        delta({ tool_calls: [{ index, id, type: 'custom', custom: { name, input: '' } }] }),
        ...[text.slice(0, 5), text.slice(5)].map((part) =>
          delta({ tool_calls: [{ index, custom: { input: part } }] }),
        ),
      ];
    }
    return [
      delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }),
      ...fragments(input).map((part) => delta({ tool_calls: [{ index, function: { arguments: part } }] })),
    ];
  });
  return {
    headers: EVENTS,
    frames: [
      delta(first),
      ...pieces.map((content) => delta({ content })),
      ...tools,
      delta({}, finish),
      ...(uncounted === true ? [] : [chunk([], usageOf(usage))]),
      'data: [DONE]\n\n',
    ],
  };
}

function refusal({ status, message }: Refused): Whole {
  const types: Record<number, [string, string | null]> = {
    401: ['invalid_request_error', 'invalid_api_key'],
    404: ['invalid_request_error', 'model_not_found'],
    429: ['requests', 'rate_limit_exceeded'],
    500: ['server_error', null],
  };
  const [type, code] = types[status] ?? ['invalid_request_error', null];
  return { body: { error: { message, type, param: null, code } } };
}

function fault(message: string): string[] {
  const error = { message, type: 'server_error', param: null, code: 'server_is_overloaded' };
  return [`data: ${JSON.stringify({ error })}\n\n`];
}

export const openaiChat: Provider = {
  dialect: 'openai-chat',
  base: '/v1',
  model: 'gpt-4o',
  idOf: (index) => `call_${'Kx9sQ2vB7nLpR4tW6yZaCdEf'.slice(index)}`,
  read,
  whole,
  stream,
  refusal,
  fault,
};
