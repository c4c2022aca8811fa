/** Anthropic's Messages, as its API takes and answers them. */

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
import { fragments, SIGNATURE, Turns, type Finish, type Scripted, type Seen, type Usage } from '../script.js';
import {
  anything,
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
  Refused,
  refuse,
  tagged,
  text,
  textOr,
} from '../shapes.js';

import { checkThinking, isThinking, thinking, type Thoughtful } from './claude-thinking.js';

const OLD_VERSION = '2023-06-01';
/** Since this one the API takes no sampling parameters. */
const NEW_VERSION = '2026-10-21';

const TOOL_NAME = matching(/^[a-zA-Z0-9_-]{1,128}$/);
const CALL_ID = matching(/^[a-zA-Z0-9_-]+$/);
const cached = { cache_control: nullable(object) };
const textBlock = record({ type: oneOf('text'), text: filled }, { ...cached, citations: nullable(anything) });
const imageSource = tagged('type', {
  base64: record(
    {
      type: oneOf('base64'),
      media_type: oneOf('image/jpeg', 'image/png', 'image/gif', 'image/webp'),
      data: filled,
    },
    {},
  ),
  url: record({ type: oneOf('url'), url: filled }, {}),
});
const image = record({ type: oneOf('image'), source: imageSource }, cached);
const document = record(
  { type: oneOf('document'), source: object },
  { ...cached, title: nullable(text), context: nullable(text), citations: nullable(object) },
);
const block = tagged('type', {
  text: textBlock,
  image,
  document,
  thinking: record({ type: oneOf('thinking'), thinking: text, signature: text }, {}),
  redacted_thinking: record({ type: oneOf('redacted_thinking'), data: text }, {}),
  tool_use: record(
    { type: oneOf('tool_use'), id: CALL_ID, name: TOOL_NAME, input: object },
    { ...cached, caller: anything },
  ),
  tool_result: record(
    { type: oneOf('tool_result'), tool_use_id: CALL_ID },
    {
      ...cached,
      content: textOr(list(tagged('type', { text: textBlock, image, document }))),
      is_error: flag,
    },
  ),
});
const message = record({ role: oneOf('user', 'assistant'), content: textOr(list(block, 1), filled) }, {});
type Message = ReturnType<typeof message>;
type Block = ReturnType<typeof block>;

const schema = record({ type: oneOf('object') }, {});
const tool = record(
  { name: TOOL_NAME, input_schema: object },
  {
    ...cached,
    type: nullable(oneOf('custom')),
    description: text,
    strict: flag,
    eager_input_streaming: flag,
  },
);
const body = record(
  { model: filled, max_tokens: integer(1, 64_000), messages: list(message, 1) },
  {
    system: textOr(list(textBlock, 1), filled),
    stop_sequences: list(filled),
    stream: flag,
    temperature: number(0, 1),
    top_p: number(0, 1),
    top_k: integer(0),
    tools: list(tool),
    tool_choice: record(
      { type: oneOf('auto', 'any', 'tool', 'none') },
      { name: TOOL_NAME, disable_parallel_tool_use: flag },
    ),
    metadata: record({}, { user_id: nullable(text) }),
    thinking,
    output_config: record(
      {},
      {
        effort: nullable(text),
        format: nullable(record({ type: oneOf('json_schema'), schema: object }, {})),
      },
    ),
    service_tier: oneOf('auto', 'standard_only'),
  },
);
type Body = ReturnType<typeof body>;

function read(received: Received): Seen {
  requirePath(received, '/v1/messages');
  // The API goes by `x-api-key` where both are present.
  const key = received.headers['x-api-key'];
  requireKey(typeof key === 'string' ? key : bearer(received));
  const request = parse(body, received.body);
  checkVersion(request, received.headers['anthropic-version']);
  checkTools(request);
  checkMessages(request.messages);
  checkThinking(thoughtful(request));
  return {
    model: request.model,
    stream: request.stream === true,
    system: textOf(request.system),
    turns: turnsOf(request.messages),
    tools: (request.tools ?? []).map(({ name, description = '', input_schema }) => ({
      name,
      description,
      schema: input_schema,
    })),
    choice: choiceOf(request),
    maxTokens: request.max_tokens,
    temperature: request.temperature,
    stop: request.stop_sequences ?? [],
    schema: request.output_config?.format?.schema,
    thinks: isThinking(request.thinking),
  };
}

function checkVersion(request: Body, version: string | string[] | undefined): void {
  if (version !== OLD_VERSION && version !== NEW_VERSION) {
    throw new Refused(400, `anthropic-version: ${JSON.stringify(version)} is not a valid version`);
  }
  const { temperature, top_p, top_k } = request;
  const steered = temperature !== undefined || top_p !== undefined || top_k !== undefined;
  if (steered && version === NEW_VERSION) refuse('temperature', `is not taken since ${NEW_VERSION}`);
}

function checkTools({ tools = [], tool_choice, messages }: Body): void {
  for (const [index, { input_schema }] of tools.entries()) {
    schema({ type: input_schema['type'] }, `tools.${index}.input_schema`);
  }
  if (tool_choice !== undefined && tools.length === 0) {
    refuse('tool_choice', 'may only be specified while providing tools');
  }
  const uses = messages.some(({ content }) =>
    blocksOf(content).some(({ type }) => type === 'tool_use' || type === 'tool_result'),
  );
  if (uses && tools.length === 0) refuse('tools', 'must be defined where messages have tool blocks');
}

function blocksOf(content: Message['content']): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

function checkMessages(messages: readonly Message[]): void {
  if (messages[0]?.role !== 'user') refuse('messages', 'first message must use the "user" role');
  let open: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const path = `messages.${index}`;
    const blocks = blocksOf(content);
    checkResults(path, open, blocks);
    if (role === 'user' && blocks.some(({ type }) => type === 'tool_use')) {
      refuse(path, '`tool_use` blocks can only be in `assistant` messages');
    }
    open = blocks.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
    if (new Set(open).size !== open.length) refuse(path, '`tool_use` ids must be unique');
  }
  if (open.length > 0) refuse('messages', '`tool_use` ids were found without `tool_result` blocks after');
  checkPrefill(messages.at(-1));
}

/** Every call is answered in the next message, and there before anything else. */
function checkResults(path: string, open: readonly string[], blocks: readonly Block[]): void {
  const answered = blocks.flatMap((block) => (block.type === 'tool_result' ? [block.tool_use_id] : []));
  const surplus = answered.filter((id) => !open.includes(id));
  if (surplus.length > 0)
    refuse(path, `unexpected \`tool_use_id\` in \`tool_result\` blocks: ${surplus.join()}`);
  const missing = open.filter((id) => !answered.includes(id));
  if (missing.length > 0) refuse(path, `no \`tool_result\` blocks right after: ${missing.join(', ')}`);
  if (new Set(answered).size !== answered.length) refuse(path, 'a `tool_use` has two `tool_result` blocks');
  const leading = blocks.slice(0, answered.length);
  if (leading.some(({ type }) => type !== 'tool_result'))
    refuse(path, '`tool_result` blocks must come first');
}

/** The request as far as thinking goes. */
function thoughtful({
  model,
  messages,
  temperature,
  top_p,
  tool_choice,
  thinking,
  max_tokens,
}: Body): Thoughtful {
  const blocks = messages.flatMap(({ content }) => blocksOf(content));
  const last = blocksOf(messages.findLast(({ role }) => role === 'assistant')?.content ?? []);
  const kinds: Readonly<Record<string, 'thought' | 'call'>> = {
    thinking: 'thought',
    redacted_thinking: 'thought',
    tool_use: 'call',
  };
  return {
    model,
    thinking,
    maxTokens: max_tokens,
    temperature,
    topP: top_p,
    isForced: tool_choice?.type === 'any' || tool_choice?.type === 'tool',
    signatures: blocks.flatMap((block) => (block.type === 'thinking' ? [block.signature] : [])),
    lastAnswer: last.map(({ type }) => kinds[type] ?? 'other'),
  };
}

function checkPrefill(last: Message | undefined): void {
  if (last?.role !== 'assistant') return;
  const text = textOf(last.content);
  if (text !== text.trimEnd()) refuse('messages', 'final assistant content cannot end with whitespace');
}

function textOf(content: string | readonly { readonly type: string }[] | undefined): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((block) => ('text' in block ? String(block.text) : '')).join('');
}

function turnsOf(messages: readonly Message[]): Seen['turns'] {
  const turns = new Turns();
  for (const { role, content } of messages) {
    const turn = turns.of(role);
    for (const block of blocksOf(content)) {
      if (block.type === 'text') turn.text += block.text;
      if (block.type === 'image' && block.source.type === 'base64') {
        turn.images.push({ mediaType: block.source.media_type, data: block.source.data });
      }
      if (block.type === 'tool_use') turn.calls.push({ id: block.id, name: block.name, input: block.input });
      if (block.type === 'tool_result') {
        turn.results.push({ id: block.tool_use_id, text: textOf(block.content) });
      }
    }
  }
  return turns.all;
}

function choiceOf({ tool_choice }: Body): Seen['choice'] {
  if (tool_choice === undefined || tool_choice.type === 'auto') return 'auto';
  return tool_choice.type === 'none' ? 'none' : 'any';
}

const STOP_REASONS: Readonly<Record<Finish, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
};

/** What came from the cache and went there is not in `input_tokens`. */
function inputUsage({ input, cached, written }: Usage): object {
  return {
    input_tokens: input - cached - written,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    cache_creation: { ephemeral_5m_input_tokens: written, ephemeral_1h_input_tokens: 0 },
  };
}

function outputUsage({ output, reasoning }: Usage): object {
  return { output_tokens: output, output_tokens_details: { thinking_tokens: reasoning } };
}

const HEAD = { id: 'msg_scripted', type: 'message', role: 'assistant' };

function whole({ text, thinking, calls, finish, usage }: Scripted, { model }: Seen): Whole {
  const content = [
    ...(thinking ? [{ type: 'thinking', thinking, signature: SIGNATURE }] : []),
    ...(text === '' ? [] : [{ type: 'text', text }]),
    ...calls.map(({ id, name, input }) => ({ type: 'tool_use', id, name, input })),
  ];
  return {
    headers: { 'request-id': 'req_scripted' },
    body: {
      ...HEAD,
      model,
      content,
      stop_reason: STOP_REASONS[finish],
      stop_sequence: null,
      usage: { ...inputUsage(usage), ...outputUsage(usage), service_tier: 'standard' },
    },
  };
}

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

function blockEvents(index: number, content_block: object, deltas: readonly object[]): Event[] {
  return [
    { type: 'content_block_start', index, content_block },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

function thoughtEvents(thoughts: readonly string[]): Event[] {
  if (thoughts.length === 0) return [];
  const deltas = thoughts.map((thinking) => ({ type: 'thinking_delta', thinking }));
  const signed = { type: 'signature_delta', signature: SIGNATURE };
  return blockEvents(0, { type: 'thinking', thinking: '', signature: '' }, [...deltas, signed]);
}

function stream({ pieces, thoughts, calls, finish, usage }: Scripted, { model }: Seen): Streamed {
  const first = thoughts.length > 0 ? 1 : 0;
  const before = first + (pieces.length > 0 ? 1 : 0);
  const texts = pieces.map((text) => ({ type: 'text_delta', text }));
  const started = { ...inputUsage(usage), output_tokens: 1, service_tier: 'standard' };
  const message = { ...HEAD, model, content: [], stop_reason: null, stop_sequence: null, usage: started };
  const events: Event[] = [
    { type: 'message_start', message },
    ...thoughtEvents(thoughts),
    ...(texts.length === 0 ? [] : blockEvents(first, { type: 'text', text: '' }, texts)),
    { type: 'ping' },
    ...calls.flatMap(({ id, name, input }, index) =>
      blockEvents(
        before + index,
        { type: 'tool_use', id, name, input: {} },
        ['', ...fragments(input)].map((partial_json) => ({ type: 'input_json_delta', partial_json })),
      ),
    ),
    {
      type: 'message_delta',
      delta: { stop_reason: STOP_REASONS[finish], stop_sequence: null },
      usage: outputUsage(usage),
    },
    { type: 'message_stop' },
  ];
  return {
    headers: { ...EVENTS, 'request-id': 'req_scripted' },
    frames: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
  };
}

function refusal({ status, message }: Refused): Whole {
  const types: Record<number, string> = {
    401: 'authentication_error',
    404: 'not_found_error',
    429: 'rate_limit_error',
    500: 'api_error',
  };
  const type = types[status] ?? 'invalid_request_error';
  return {
    headers: { 'request-id': 'req_scripted' },
    body: { type: 'error', error: { type, message }, request_id: 'req_scripted' },
  };
}

function fault(message: string): string[] {
  const error = { type: 'error', error: { type: 'overloaded_error', message }, request_id: 'req_scripted' };
  return [`event: error\ndata: ${JSON.stringify(error)}\n\n`];
}

export const anthropic: Provider = {
  dialect: 'anthropic',
  base: '/v1',
  model: 'claude-haiku-4-5',
  sibling: 'claude-opus-4-8',
  idOf: (index) => `toolu_${'01D7FLrfh4GYq7yT1ULFeyMV'.slice(index)}`,
  read,
  whole,
  stream,
  refusal,
  fault,
};
