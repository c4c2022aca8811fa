/** Bedrock's Converse, as its API takes and answers it. */

import { requireKey, bearer, type Provider, type Received, type Streamed, type Whole } from '../server.js';
import { fragments, SIGNATURE, Turns, type Finish, type Scripted, type Seen, type Usage } from '../script.js';
import {
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
  Refused,
  refuse,
  text,
  union,
} from '../shapes.js';
import { checkThinking, isThinking, thinking, type Thoughtful } from './claude-thinking.js';
import { eventMessage, message as frame } from './event-stream.js';
import { requireSignature } from './sigv4.js';

const TOOL_NAME = matching(/^[a-zA-Z0-9_-]{1,64}$/);
const CALL_ID = matching(/^[a-zA-Z0-9_-]{1,64}$/);
const cachePoint = record({ type: oneOf('default') }, { ttl: text });
const resultBlock = union({ text: filled, json: object, image: object, document: object }, {});
const reasoningContent = union(
  { reasoningText: record({ text }, { signature: text }), redactedContent: text },
  {},
);
const block = union(
  {
    text: filled,
    image: record(
      {
        format: oneOf('png', 'jpeg', 'gif', 'webp'),
        source: union({ bytes: filled, s3Location: object }, {}),
      },
      {},
    ),
    document: object,
    toolUse: record({ toolUseId: CALL_ID, name: TOOL_NAME, input: object }, {}),
    toolResult: record(
      { toolUseId: CALL_ID, content: list(resultBlock, 1) },
      { status: oneOf('success', 'error') },
    ),
    reasoningContent,
    cachePoint,
  },
  {},
);
const message = record({ role: oneOf('user', 'assistant'), content: list(block, 1) }, {});
type Message = ReturnType<typeof message>;

const toolSpec = record(
  { name: TOOL_NAME, inputSchema: record({ json: object }, {}) },
  { description: filled, strict: flag },
);
const jsonSchema = record({ schema: text }, { name: TOOL_NAME, description: text });
const textFormat = record({ type: oneOf('json_schema'), structure: record({ jsonSchema }, {}) }, {});
const body = record(
  { messages: list(message, 1) },
  {
    system: list(union({ text: filled, cachePoint }, {})),
    inferenceConfig: record(
      {},
      {
        maxTokens: integer(1),
        temperature: number(0, 1),
        topP: number(0, 1),
        stopSequences: list(filled, 0, 2500),
      },
    ),
    toolConfig: record(
      { tools: list(union({ toolSpec, cachePoint }, {}), 1) },
      { toolChoice: union({ auto: object, any: object, tool: record({ name: TOOL_NAME }, {}) }, {}) },
    ),
    additionalModelRequestFields: record(
      {},
      { thinking, anthropic_beta: list(text), top_k: integer(), output_config: object },
    ),
    additionalModelResponseFieldPaths: list(text),
    guardrailConfig: object,
    performanceConfig: object,
    requestMetadata: object,
    serviceTier: object,
    outputConfig: record({}, { textFormat, effort: text }),
  },
);
type Body = ReturnType<typeof body>;

const PATH = /^\/model\/([^/]+)\/(converse|converse-stream)$/;

function read(received: Received): Seen {
  const [, encoded, verb] = PATH.exec(received.path) ?? [];
  if (encoded === undefined)
    throw new Refused(404, `there is no ${received.path}`, 'UnknownOperationException');
  if (encoded.includes(':')) throw new Refused(400, 'the model is not encoded in the path');
  if (bearer(received) === undefined) requireSignature(received, 'bedrock');
  else requireKey(bearer(received));
  const request = parse(body, received.body);
  checkMessages(request);
  const model = decodeURIComponent(encoded);
  checkThinking(thoughtful(request, model));
  const { inferenceConfig = {}, system = [], toolConfig } = request;
  return {
    model,
    stream: verb === 'converse-stream',
    system: system.flatMap(({ text = [] }) => text).join('\n'),
    turns: turnsOf(request.messages),
    tools: (toolConfig?.tools ?? []).flatMap(({ toolSpec }) => {
      if (toolSpec === undefined) return [];
      const { name, description = '', inputSchema } = toolSpec;
      return [{ name, description, schema: inputSchema.json }];
    }),
    choice: choiceOf(request),
    maxTokens: inferenceConfig.maxTokens,
    temperature: inferenceConfig.temperature,
    stop: inferenceConfig.stopSequences ?? [],
    schema: schemaOf(request),
    thinks: isThinking(request.additionalModelRequestFields?.thinking),
  };
}

/** Sides alternate, the user begins, and every call has its result in the message after it. */
function checkMessages({ messages, toolConfig }: Body): void {
  let open: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const path = `messages.${index}.content`;
    if ((role === 'assistant') !== (index % 2 === 1)) {
      refuse(path, 'roles must alternate between user and assistant, and the user begins');
    }
    const results = content.flatMap(({ toolResult }) => toolResult?.toolUseId ?? []);
    if (results.length > open.length)
      refuse(path, 'there are more toolResult blocks than toolUse blocks before');
    const missing = open.filter((id) => !results.includes(id));
    if (missing.length > 0) refuse(path, `expected toolResult blocks for: ${missing.join(', ')}`);
    open = content.flatMap(({ toolUse }) => toolUse?.toolUseId ?? []);
    if (open.length > 0 && role === 'user') refuse(path, 'toolUse blocks are the assistant’s');
    if (new Set(open).size !== open.length) refuse(path, 'toolUse ids must be unique');
    const usesTools = open.length > 0 || results.length > 0;
    if (usesTools && toolConfig === undefined) refuse('toolConfig', 'must be defined where tools are used');
  }
  if (open.length > 0) refuse('messages', 'the last toolUse blocks have no toolResult');
}

/** The request as far as thinking goes. */
function thoughtful(request: Body, model: string): Thoughtful {
  const { messages, inferenceConfig, toolConfig, additionalModelRequestFields } = request;
  const { maxTokens = 64_000, temperature, topP } = inferenceConfig ?? {};
  const { content = [] } = messages.findLast(({ role }) => role === 'assistant') ?? {};
  return {
    model,
    thinking: additionalModelRequestFields?.thinking,
    maxTokens,
    temperature,
    topP,
    isForced: toolConfig?.toolChoice !== undefined && toolConfig.toolChoice.auto === undefined,
    signatures: messages
      .flatMap(({ content }) => content)
      .flatMap(({ reasoningContent }) => reasoningContent?.reasoningText ?? [])
      .map(({ signature }) => signature),
    lastAnswer: content.map(({ reasoningContent, toolUse }) => {
      if (reasoningContent !== undefined) return 'thought';
      return toolUse === undefined ? 'other' : 'call';
    }),
  };
}

function turnsOf(messages: readonly Message[]): Seen['turns'] {
  const turns = new Turns();
  for (const { role, content } of messages) {
    const turn = turns.of(role);
    for (const { text, image, toolUse, toolResult } of content) {
      turn.text += text ?? '';
      if (image?.source.bytes !== undefined) {
        turn.images.push({ mediaType: `image/${image.format}`, data: image.source.bytes });
      }
      if (toolUse !== undefined) {
        turn.calls.push({ id: toolUse.toolUseId, name: toolUse.name, input: toolUse.input });
      }
      if (toolResult !== undefined) {
        const found = toolResult.content.map(({ text, json }) => text ?? JSON.stringify(json));
        turn.results.push({ id: toolResult.toolUseId, text: found.join('') });
      }
    }
  }
  return turns.all;
}

/** The schema is JSON within JSON. */
function schemaOf({ outputConfig }: Body): Seen['schema'] {
  const written = outputConfig?.textFormat?.structure.jsonSchema.schema;
  return written === undefined ? undefined : object(JSON.parse(written), 'schema');
}

function choiceOf({ toolConfig }: Body): Seen['choice'] {
  const choice = toolConfig?.toolChoice;
  return choice === undefined || choice.auto !== undefined ? 'auto' : 'any';
}

const STOP_REASONS: Readonly<Record<Finish, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
};

/** What came from the cache and went there is not in `inputTokens`. */
function usageOf({ input, cached, written, output }: Usage): object {
  return {
    inputTokens: input - cached - written,
    outputTokens: output,
    totalTokens: input + output,
    cacheReadInputTokens: cached,
    cacheWriteInputTokens: written,
  };
}

const IDS = { 'x-amzn-requestid': '5f6f2b9e-7a53-4d5e-9d3c-1f2e3d4c5b6a' };

function whole({ text, thinking, calls, finish, usage }: Scripted): Whole {
  const thought = { reasoningText: { text: thinking, signature: SIGNATURE } };
  const content = [
    ...(thinking ? [{ reasoningContent: thought }] : []),
    ...(text === '' ? [] : [{ text }]),
    ...calls.map(({ id, name, input }) => ({ toolUse: { toolUseId: id, name, input } })),
  ];
  return {
    headers: IDS,
    body: {
      metrics: { latencyMs: 321 },
      output: { message: { content, role: 'assistant' } },
      stopReason: STOP_REASONS[finish],
      usage: usageOf(usage),
    },
  };
}

/** Events are padded, against guesses by their length. */
function padded(type: string, payload: object): Buffer {
  return eventMessage(type, { ...payload, p: 'abcdefghijklmn' });
}

function deltas(contentBlockIndex: number, parts: readonly object[]): Buffer[] {
  return [
    ...parts.map((delta) => padded('contentBlockDelta', { contentBlockIndex, delta })),
    padded('contentBlockStop', { contentBlockIndex }),
  ];
}

function stream({ pieces, thoughts, calls, finish, usage }: Scripted): Streamed {
  const first = thoughts.length > 0 ? 1 : 0;
  const before = first + (pieces.length > 0 ? 1 : 0);
  const thinking = [...thoughts.map((text) => ({ text })), { signature: SIGNATURE }];
  const texts = pieces.map((text) => ({ text }));
  return {
    headers: { ...IDS, 'content-type': 'application/vnd.amazon.eventstream' },
    frames: [
      padded('messageStart', { role: 'assistant' }),
      // Only the blocks of tools have a start.
      ...(first === 0
        ? []
        : deltas(
            0,
            thinking.map((delta) => ({ reasoningContent: delta })),
          )),
      ...(texts.length === 0 ? [] : deltas(first, texts)),
      ...calls.flatMap(({ id, name, input }, call) => {
        const contentBlockIndex = before + call;
        const start = { toolUse: { toolUseId: id, name } };
        return [
          padded('contentBlockStart', { contentBlockIndex, start }),
          ...deltas(
            contentBlockIndex,
            fragments(input).map((part) => ({ toolUse: { input: part } })),
          ),
        ];
      }),
      padded('messageStop', { stopReason: STOP_REASONS[finish] }),
      padded('metadata', { usage: usageOf(usage), metrics: { latencyMs: 321 } }),
    ],
  };
}

function refusal({ status, message, type }: Refused): Whole {
  const types: Record<number, string> = {
    401: 'UnrecognizedClientException',
    403: 'AccessDeniedException',
    404: 'ResourceNotFoundException',
    429: 'ThrottlingException',
    500: 'InternalServerException',
  };
  const name = type ?? types[status] ?? 'ValidationException';
  return { headers: { ...IDS, 'x-amzn-errortype': name }, body: { message } };
}

function fault(text: string): Buffer[] {
  const headers = {
    ':exception-type': 'serviceUnavailableException',
    ':content-type': 'application/json',
    ':message-type': 'exception',
  };
  return [frame(headers, { message: text })];
}

export const bedrock: Provider = {
  dialect: 'bedrock',
  base: '',
  model: 'anthropic.claude-sonnet-4-20250514-v1:0',
  sibling: 'anthropic.claude-opus-4-8',
  idOf: (index) => `tooluse_${'hT5vYk2PQd6mZ8sLrXc1Bw'.slice(index)}`,
  read,
  whole,
  stream,
  refusal,
  fault,
};
