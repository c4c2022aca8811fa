/** Cohere's Chat, version 2, as its API takes and answers it. */

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
import { fragments, Turns, type Finish, type Scripted, type Seen, type Usage } from '../script.js';
import {
  anything,
  dataOf,
  filled,
  flag,
  integer,
  list,
  matching,
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
const document = record({ data: textOr(object) }, { id: text });
const toolCall = record(
  { id: filled, type: oneOf('function'), function: record({ name: TOOL_NAME, arguments: text }, {}) },
  {},
);
const userPart = tagged('type', {
  text: textPart,
  image_url: record({ type: text, image_url: record({ url: filled }, { detail: text }) }, {}),
});
const assistantPart = tagged('type', {
  text: textPart,
  thinking: record({ type: text, thinking: text }, {}),
});
const resultPart = tagged('type', { text: textPart, document: record({ type: text, document }, {}) });
const message = tagged('role', {
  system: record({ role: oneOf('system'), content: textOr(list(textPart, 1)) }, {}),
  user: record({ role: oneOf('user'), content: textOr(list(userPart, 1), filled) }, {}),
  assistant: record(
    { role: oneOf('assistant') },
    {
      content: textOr(list(assistantPart)),
      tool_calls: list(toolCall),
      tool_plan: text,
      citations: anything,
    },
  ),
  tool: record({ role: oneOf('tool'), tool_call_id: filled, content: textOr(list(resultPart, 1)) }, {}),
});
type Message = ReturnType<typeof message>;

const tool = record(
  {
    type: oneOf('function'),
    function: record({ name: TOOL_NAME, parameters: object }, { description: text }),
  },
  {},
);
const body = record(
  { model: filled, messages: list(message, 1) },
  {
    stream: flag,
    tools: list(tool, 1),
    tool_choice: oneOf('REQUIRED', 'NONE'),
    strict_tools: flag,
    documents: list(anything),
    citation_options: object,
    response_format: record({ type: oneOf('text', 'json_object') }, { json_schema: object }),
    safety_mode: oneOf('CONTEXTUAL', 'STRICT', 'OFF'),
    max_tokens: integer(1),
    stop_sequences: list(text, 0, 5),
    temperature: number(0, 1),
    seed: integer(0),
    frequency_penalty: number(0, 1),
    presence_penalty: number(0, 1),
    k: integer(0, 500),
    p: number(0.01, 0.99),
    logprobs: flag,
    thinking: record({ type: oneOf('enabled', 'disabled') }, { token_budget: integer(1) }),
    priority: integer(),
  },
);
type Body = ReturnType<typeof body>;

function read(received: Received): Seen {
  requirePath(received, '/v2/chat');
  requireKey(bearer(received));
  const request = parse(body, received.body);
  if (request.tool_choice !== undefined && request.tools === undefined) {
    refuse('tool_choice', 'is only for requests with tools');
  }
  checkPairs(request.messages);
  return {
    model: request.model,
    stream: request.stream === true,
    system: request.messages
      .filter(({ role }) => role === 'system')
      .map(({ content }) => textOf(content))
      .join('\n'),
    turns: turnsOf(request.messages),
    tools: (request.tools ?? []).map(({ function: { name, description = '', parameters } }) => ({
      name,
      description,
      schema: parameters,
    })),
    choice: choiceOf(request),
    maxTokens: request.max_tokens,
    temperature: request.temperature,
    stop: request.stop_sequences ?? [],
    schema: request.response_format?.json_schema,
    thinks: request.thinking?.type === 'enabled',
  };
}

function checkPairs(messages: readonly Message[]): void {
  let open: string[] = [];
  for (const [index, message] of messages.entries()) {
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id)) {
        refuse(`messages[${index}]`, `no tool call has the id ${message.tool_call_id}`);
      }
      open = open.filter((id) => id !== message.tool_call_id);
      continue;
    }
    if (open.length > 0) refuse(`messages[${index}]`, `tool calls without results: ${open.join(', ')}`);
    if (message.role !== 'assistant') continue;
    const calls = message.tool_calls ?? [];
    const isEmpty = textOf(message.content) === '' && calls.length === 0;
    if (isEmpty) refuse(`messages[${index}]`, 'an assistant message needs content or tool_calls');
    if (message.tool_plan !== undefined && calls.length === 0) {
      refuse(`messages[${index}].tool_plan`, 'is only for messages with tool_calls');
    }
    open = calls.map(({ id }) => id);
  }
  if (open.length > 0) refuse('messages', `tool calls without results: ${open.join(', ')}`);
}

function textOf(content: string | readonly { readonly type: string }[] | undefined): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => ('text' in part ? String(part.text) : '')).join('');
}

/** A result is a text or documents, whose data is any object or a text. */
function resultOf(content: string | readonly ReturnType<typeof resultPart>[]): string {
  if (typeof content === 'string') return content;
  return content
    .map((part) => {
      if (!('document' in part)) return part.text;
      const { data } = part.document;
      return typeof data === 'string' ? data : JSON.stringify(data);
    })
    .join('');
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
      turns.of('user').results.push({ id: message.tool_call_id, text: resultOf(message.content) });
    }
    if (message.role !== 'assistant') continue;
    const turn = turns.of('assistant');
    turn.text += (message.tool_plan ?? '') + textOf(message.content);
    for (const { id, function: called } of message.tool_calls ?? []) {
      turn.calls.push({ id, name: called.name, input: object(JSON.parse(called.arguments), 'arguments') });
    }
  }
  return turns.all;
}

function choiceOf({ tool_choice }: Body): Seen['choice'] {
  if (tool_choice === undefined) return 'auto';
  return tool_choice === 'NONE' ? 'none' : 'any';
}

const FINISH_REASONS: Readonly<Record<Finish, string>> = {
  stop: 'COMPLETE',
  length: 'MAX_TOKENS',
  tool_calls: 'TOOL_CALL',
};

/** What is billed, and besides what was counted, which includes Cohere's own preamble. */
function usageOf({ input, output, cached }: Usage): object {
  return {
    billed_units: { input_tokens: input, output_tokens: output },
    tokens: { input_tokens: input + 466, output_tokens: output + 3 },
    cached_tokens: cached,
  };
}

const ID = 'c14c80c3-18eb-4519-9460-6c92edd8cfb4';

function whole({ text, thinking, calls, finish, usage }: Scripted): Whole {
  const tool_calls = calls.map(({ id, name, input }) => ({
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(input) },
  }));
  const thoughts = thinking ? [{ type: 'thinking', thinking }] : [];
  const texts = text === '' || calls.length > 0 ? [] : [{ type: 'text', text }];
  const content = [...thoughts, ...texts];
  const planned = { ...(text !== '' && { tool_plan: text }), tool_calls };
  const message = {
    role: 'assistant',
    ...(content.length > 0 && { content }),
    ...(calls.length > 0 && planned),
  };
  return { body: { id: ID, finish_reason: FINISH_REASONS[finish], message, usage: usageOf(usage) } };
}

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

function textEvents(kind: 'text' | 'thinking', pieces: readonly string[], index: number): Event[] {
  if (pieces.length === 0) return [];
  const content = (content: object): object => ({ delta: { message: { content } } });
  return [
    { type: 'content-start', index, ...content({ type: kind, [kind]: '' }) },
    ...pieces.map((piece) => ({ type: 'content-delta', index, ...content({ [kind]: piece }) })),
    { type: 'content-end', index },
  ];
}

function callEvents({ pieces, calls }: Scripted): Event[] {
  const delta = (message: object): object => ({ delta: { message } });
  return [
    ...pieces.map((tool_plan) => ({ type: 'tool-plan-delta', ...delta({ tool_plan }) })),
    ...calls.flatMap(({ id, name, input }, index) => [
      {
        type: 'tool-call-start',
        index,
        ...delta({ tool_calls: { id, type: 'function', function: { name, arguments: '' } } }),
      },
      ...fragments(input).map((part) => ({
        type: 'tool-call-delta',
        index,
        ...delta({ tool_calls: { function: { arguments: part } } }),
      })),
      { type: 'tool-call-end', index },
    ]),
  ];
}

function stream(answer: Scripted): Streamed {
  const { pieces, thoughts, calls, finish, usage } = answer;
  const first = thoughts.length > 0 ? 1 : 0;
  const message = { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] };
  const events: Event[] = [
    { type: 'message-start', id: ID, delta: { message } },
    ...textEvents('thinking', thoughts, 0),
    ...(calls.length > 0 ? callEvents(answer) : textEvents('text', pieces, first)),
    { type: 'message-end', delta: { finish_reason: FINISH_REASONS[finish], usage: usageOf(usage) } },
  ];
  return {
    headers: EVENTS,
    frames: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
  };
}

function refusal({ message }: Refused): Whole {
  return { body: { id: ID, message } };
}

function fault(error: string): string[] {
  const event = { type: 'message-end', delta: { finish_reason: 'ERROR', error } };
  return [`event: message-end\ndata: ${JSON.stringify(event)}\n\n`];
}

export const cohere: Provider = {
  dialect: 'cohere',
  base: '',
  model: 'command-a-03-2025',
  idOf: (index) => `get_${'x8s2mvq1ak3z'.slice(index)}`,
  read,
  whole,
  stream,
  refusal,
  fault,
};
