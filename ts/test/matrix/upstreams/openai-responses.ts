/** OpenAI's Responses, as its API takes and answers them. */

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
import {
  fragments,
  SIGNATURE,
  Turns,
  type Call,
  type Finish,
  type Scripted,
  type Seen,
  type Usage,
} from '../script.js';
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
  text,
  textOr,
  type Refused,
  type Shape,
} from '../shapes.js';
import { openaiChat } from './openai-chat.js';

const TOOL_NAME = matching(/^[a-zA-Z0-9_-]{1,64}$/);

const inputPart = record(
  { type: oneOf('input_text', 'input_image', 'input_file') },
  { text, image_url: text, detail: text, file_data: text, file_id: text, filename: text },
);
const outputPart = record(
  { type: oneOf('output_text', 'refusal') },
  { text, refusal: text, annotations: anything, logprobs: anything },
);
const said = record(
  { role: oneOf('user', 'system', 'developer'), content: textOr(list(inputPart, 1)) },
  { type: oneOf('message'), status: text },
);
const answered = record(
  { role: oneOf('assistant'), content: textOr(list(outputPart, 1)) },
  { type: oneOf('message'), id: matching(/^msg_/), status: text, phase: anything },
);
const called = record(
  { type: oneOf('function_call'), call_id: filled, name: TOOL_NAME, arguments: text },
  { id: matching(/^fc/), status: text, namespace: anything, caller: anything },
);
const found = record(
  { type: oneOf('function_call_output'), call_id: filled, output: textOr(list(inputPart, 1)) },
  { id: matching(/^fc/), status: text },
);

const thought = record(
  { type: oneOf('reasoning'), summary: list(record({ type: oneOf('summary_text'), text }, {})) },
  { id: matching(/^rs_/), encrypted_content: nullable(text), content: anything, status: nullable(text) },
);

type Item =
  | { kind: 'thought'; thought: ReturnType<typeof thought> }
  | { kind: 'said'; said: ReturnType<typeof said> }
  | { kind: 'answered'; answered: ReturnType<typeof answered> }
  | { kind: 'called'; called: ReturnType<typeof called> }
  | { kind: 'found'; found: ReturnType<typeof found> };

const item: Shape<Item> = (value, path) => {
  const { type, role } = object(value, path);
  if (type === 'reasoning') return { kind: 'thought', thought: thought(value, path) };
  if (type === 'function_call') return { kind: 'called', called: called(value, path) };
  if (type === 'function_call_output') return { kind: 'found', found: found(value, path) };
  if (role === 'assistant') return { kind: 'answered', answered: answered(value, path) };
  return { kind: 'said', said: said(value, path) };
};

const tool = record(
  { type: oneOf('function'), name: TOOL_NAME },
  { description: nullable(text), parameters: nullable(object), strict: nullable(flag) },
);
const format = record(
  { type: oneOf('text', 'json_object', 'json_schema') },
  { name: matching(/^[a-zA-Z0-9_-]{1,64}$/), schema: object, description: text, strict: nullable(flag) },
);
const body = record(
  { model: filled, input: textOr(list(item, 1), filled) },
  {
    instructions: nullable(text),
    stream: nullable(flag),
    stream_options: nullable(record({}, { include_obfuscation: flag })),
    max_output_tokens: nullable(integer(16)),
    temperature: nullable(number(0, 2)),
    top_p: nullable(number(0, 1)),
    tools: list(tool),
    tool_choice: textOr(object, oneOf('auto', 'required', 'none')),
    parallel_tool_calls: nullable(flag),
    store: nullable(flag),
    metadata: nullable(object),
    reasoning: nullable(
      record(
        {},
        {
          effort: nullable(oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')),
          summary: nullable(oneOf('auto', 'concise', 'detailed')),
        },
      ),
    ),
    include: nullable(list(text)),
    text: record({}, { format, verbosity: nullable(text) }),
    user: text,
    truncation: nullable(text),
  },
);
type Body = ReturnType<typeof body>;

function read(received: Received): Seen {
  requirePath(received, '/v1/responses');
  requireKey(bearer(received));
  const request = parse(body, received.body);
  if (request.stream_options !== undefined && request.stream !== true) {
    refuse('stream_options', 'is only for streams');
  }
  const items = itemsOf(request);
  checkPairs(items);
  for (const one of items) {
    const proof = one.kind === 'thought' ? one.thought.encrypted_content : undefined;
    if (proof !== undefined && proof !== SIGNATURE)
      refuse('input', 'the encrypted content could not be verified');
  }
  const { tools = [] } = request;
  return {
    model: request.model,
    stream: request.stream === true,
    system: systemOf(request, items),
    turns: turnsOf(items),
    tools: tools.map(({ name, description, parameters }) => ({
      name,
      description: description ?? '',
      schema: parameters ?? {},
    })),
    choice: choiceOf(request),
    maxTokens: request.max_output_tokens,
    temperature: request.temperature,
    stop: [],
    schema: request.text?.format?.schema,
    thinks: request.reasoning?.summary !== undefined,
  };
}

function itemsOf({ input }: Body): readonly Item[] {
  if (typeof input !== 'string') return input;
  return [{ kind: 'said', said: { role: 'user', content: input } }];
}

function systemOf({ instructions }: Body, items: readonly Item[]): string {
  const later = items.flatMap((item) =>
    item.kind === 'said' && item.said.role !== 'user' ? [textOf(item.said.content)] : [],
  );
  return [...(instructions === undefined ? [] : [instructions]), ...later].join('\n');
}

function checkPairs(items: readonly Item[]): void {
  const calls = items.flatMap((item) => (item.kind === 'called' ? [item.called.call_id] : []));
  const outputs = items.flatMap((item) => (item.kind === 'found' ? [item.found.call_id] : []));
  for (const id of calls) if (!outputs.includes(id)) refuse('input', `no tool output found for ${id}`);
  for (const id of outputs)
    if (!calls.includes(id)) refuse('input', `no tool call found for the output ${id}`);
  if (new Set(outputs).size !== outputs.length) refuse('input', 'a call has two outputs');
}

function textOf(content: string | readonly { readonly text?: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text = '' }) => text).join('');
}

function turnsOf(items: readonly Item[]): Seen['turns'] {
  const turns = new Turns();
  for (const item of items) {
    if (item.kind === 'said' && item.said.role === 'user') {
      const { content } = item.said;
      const turn = turns.of('user');
      turn.text += textOf(content);
      const parts = typeof content === 'string' ? [] : content;
      turn.images.push(
        ...parts.flatMap(({ image_url }) => (image_url === undefined ? [] : [dataOf(image_url)])),
      );
    }
    if (item.kind === 'answered') turns.of('assistant').text += textOf(item.answered.content);
    if (item.kind === 'called') {
      const { call_id: id, name } = item.called;
      const input = object(JSON.parse(item.called.arguments), 'arguments');
      turns.of('assistant').calls.push({ id, name, input });
    }
    if (item.kind === 'found') {
      const { call_id: id, output } = item.found;
      turns.of('user').results.push({ id, text: textOf(output) });
    }
  }
  return turns.all;
}

function choiceOf({ tool_choice }: Body): Seen['choice'] {
  if (tool_choice === 'none') return 'none';
  return tool_choice === undefined || tool_choice === 'auto' ? 'auto' : 'any';
}

function usageOf({ input, output, cached, written, reasoning }: Usage): object {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}

const MESSAGE_ID = 'msg_scripted';

function messageItem(text: string, status: string): object {
  const content = status === 'in_progress' ? [] : [textPart(text)];
  return { id: MESSAGE_ID, type: 'message', status, role: 'assistant', content };
}

function textPart(text: string): object {
  return { type: 'output_text', annotations: [], logprobs: [], text };
}

function callItem({ id, name, input }: Call, status: string): object {
  const json = status === 'in_progress' ? '' : JSON.stringify(input);
  return { id: `fc_${id}`, type: 'function_call', status, arguments: json, call_id: id, name };
}

function thoughtItem({ thinking }: Scripted, status: string): object {
  const summary = status === 'in_progress' ? [] : [{ type: 'summary_text', text: thinking }];
  return { id: 'rs_scripted', type: 'reasoning', summary, encrypted_content: SIGNATURE };
}

function outputOf(answer: Scripted): object[] {
  const { text, calls, finish, thoughts } = answer;
  const status = finish === 'length' ? 'incomplete' : 'completed';
  return [
    ...(thoughts.length === 0 ? [] : [thoughtItem(answer, 'completed')]),
    ...(text === '' ? [] : [messageItem(text, status)]),
    ...calls.map((call) => callItem(call, 'completed')),
  ];
}

function statusOf(finish: Finish): object {
  return finish === 'length'
    ? { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }
    : { status: 'completed', incomplete_details: null };
}

/** A response without its outcome. */
function responseOf({ model, maxTokens, temperature }: Seen): object {
  return {
    id: 'resp_scripted',
    object: 'response',
    created_at: 1_780_000_000,
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: maxTokens ?? null,
    model,
    output: [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: true,
    temperature: temperature ?? 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: null,
    user: null,
    metadata: {},
  };
}

function ended(answer: Scripted, seen: Seen): object {
  return {
    ...responseOf(seen),
    ...statusOf(answer.finish),
    output: outputOf(answer),
    usage: usageOf(answer.usage),
  };
}

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

function thoughtEvents(answer: Scripted): Event[] {
  const { thoughts, thinking: text } = answer;
  if (thoughts.length === 0) return [];
  const at = { item_id: 'rs_scripted', output_index: 0, summary_index: 0 };
  return [
    { type: 'response.output_item.added', output_index: 0, item: thoughtItem(answer, 'in_progress') },
    { type: 'response.reasoning_summary_part.added', ...at, part: { type: 'summary_text', text: '' } },
    ...thoughts.map((delta) => ({ type: 'response.reasoning_summary_text.delta', ...at, delta })),
    { type: 'response.reasoning_summary_text.done', ...at, text },
    { type: 'response.reasoning_summary_part.done', ...at, part: { type: 'summary_text', text } },
    { type: 'response.output_item.done', output_index: 0, item: thoughtItem(answer, 'completed') },
  ];
}

function messageEvents({ text, pieces, finish }: Scripted, output_index: number): Event[] {
  if (text === '') return [];
  const at = { item_id: MESSAGE_ID, output_index, content_index: 0 };
  const status = finish === 'length' ? 'incomplete' : 'completed';
  return [
    { type: 'response.output_item.added', output_index, item: messageItem('', 'in_progress') },
    { type: 'response.content_part.added', ...at, part: textPart('') },
    ...pieces.map((delta) => ({
      type: 'response.output_text.delta',
      ...at,
      delta,
      logprobs: [],
      obfuscation: 'a8',
    })),
    { type: 'response.output_text.done', ...at, text, logprobs: [] },
    { type: 'response.content_part.done', ...at, part: textPart(text) },
    { type: 'response.output_item.done', output_index, item: messageItem(text, status) },
  ];
}

function callEvents(call: Call, output_index: number): Event[] {
  const at = { item_id: `fc_${call.id}`, output_index };
  const deltas = fragments(call.input).map((delta) => ({
    type: 'response.function_call_arguments.delta',
    ...at,
    delta,
  }));
  const json = JSON.stringify(call.input);
  return [
    { type: 'response.output_item.added', output_index, item: callItem(call, 'in_progress') },
    ...deltas,
    { type: 'response.function_call_arguments.done', ...at, arguments: json, name: call.name },
    { type: 'response.output_item.done', output_index, item: callItem(call, 'completed') },
  ];
}

function stream(answer: Scripted, seen: Seen): Streamed {
  const first = answer.thoughts.length === 0 ? 0 : 1;
  const before = first + (answer.text === '' ? 0 : 1);
  const response = responseOf(seen);
  const last = answer.finish === 'length' ? 'response.incomplete' : 'response.completed';
  const events: Event[] = [
    { type: 'response.created', response },
    { type: 'response.in_progress', response },
    ...thoughtEvents(answer),
    ...messageEvents(answer, first),
    ...answer.calls.flatMap((call, index) => callEvents(call, before + index)),
    { type: last, response: ended(answer, seen) },
  ];
  return {
    headers: EVENTS,
    frames: events.map(({ type, ...rest }, sequence_number) => {
      const data = JSON.stringify({ type, sequence_number, ...rest });
      return `event: ${type}\ndata: ${data}\n\n`;
    }),
  };
}

function refusal(refused: Refused): Whole {
  return openaiChat.refusal(refused);
}

function fault(message: string): string[] {
  const error = { type: 'error', code: 'server_is_overloaded', message, param: null, sequence_number: 99 };
  return [`event: error\ndata: ${JSON.stringify(error)}\n\n`];
}

export const openaiResponses: Provider = {
  dialect: 'openai-responses',
  base: '/v1',
  model: 'gpt-5-mini',
  idOf: (index) => `call_${'Rs7dM1cX5gHjT3wY8vBqLzNp'.slice(index)}`,
  read,
  whole: (answer, seen) => ({ headers: { 'x-request-id': 'req_scripted' }, body: ended(answer, seen) }),
  stream,
  refusal,
  fault,
};
