/** Gemini's generateContent, as its API takes and answers it. */

import { EVENTS, requireKey, type Provider, type Received, type Streamed, type Whole } from '../server.js';
import { SIGNATURE, Turns, type Finish, type Scripted, type Seen, type Usage } from '../script.js';
import {
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
  type Shape,
} from '../shapes.js';

const TOOL_NAME = matching(/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/);

const call = record({ name: TOOL_NAME }, { args: object, id: text });
const response = record({ name: TOOL_NAME, response: object }, { id: text });
const part = union(
  {
    text,
    functionCall: call,
    functionResponse: response,
    inlineData: record({ mimeType: text, data: text }, {}),
    fileData: record({ fileUri: text }, { mimeType: text }),
  },
  { thought: flag, thoughtSignature: text },
);
const turn = record({ parts: list(part, 1) }, { role: oneOf('user', 'model', 'function') });
type Content = ReturnType<typeof turn>;
type Part = Content['parts'][number];

/** The subset of OpenAPI's schema that `parameters` takes; anything else is an unknown name. */
const schema: Shape<Readonly<Record<string, unknown>>> = (value, path) => {
  const read = schemaMembers(value, path);
  for (const [name, property] of Object.entries(read.properties ?? {})) {
    schema(property, `${path}.properties.${name}`);
  }
  if (read.items !== undefined) schema(read.items, `${path}.items`);
  for (const [index, one] of (read.anyOf ?? []).entries()) schema(one, `${path}.anyOf[${index}]`);
  if (read.type?.toLowerCase() === 'array' && read.items === undefined)
    refuse(`${path}.items`, 'missing field');
  return read;
};
const schemaMembers = record(
  {},
  {
    type: matching(/^(string|number|integer|boolean|array|object|null)$/i),
    format: text,
    title: text,
    description: text,
    nullable: flag,
    enum: list(text),
    items: object,
    properties: object,
    propertyOrdering: list(text),
    required: list(text),
    anyOf: list(object),
    pattern: text,
    example: (value) => value,
    default: (value) => value,
    minimum: number(-1e300, 1e300),
    maximum: number(-1e300, 1e300),
    minItems: (value) => value,
    maxItems: (value) => value,
    minLength: (value) => value,
    maxLength: (value) => value,
    minProperties: (value) => value,
    maxProperties: (value) => value,
  },
);

const declaration = record(
  { name: TOOL_NAME },
  { description: text, parameters: schema, parametersJsonSchema: object, behavior: text },
);
const calling = record(
  {},
  { mode: oneOf('AUTO', 'ANY', 'NONE', 'VALIDATED'), allowedFunctionNames: list(TOOL_NAME) },
);
const body = record(
  { contents: list(turn, 1) },
  {
    systemInstruction: turn,
    generationConfig: record(
      {},
      {
        maxOutputTokens: integer(1, 65_536),
        temperature: number(0, 2),
        topP: number(0, 1),
        topK: integer(1),
        stopSequences: list(text, 0, 5),
        candidateCount: integer(1, 1),
        seed: integer(-(2 ** 31), 2 ** 31 - 1),
        presencePenalty: number(-2, 2),
        frequencyPenalty: number(-2, 2),
        responseMimeType: text,
        responseSchema: schema,
        responseJsonSchema: object,
        thinkingConfig: record(
          {},
          {
            includeThoughts: flag,
            thinkingBudget: integer(-1, 32_768),
            thinkingLevel: oneOf('MINIMAL', 'LOW', 'MEDIUM', 'HIGH'),
          },
        ),
      },
    ),
    tools: list(record({ functionDeclarations: list(declaration, 1) }, {})),
    toolConfig: record({ functionCallingConfig: calling }, {}),
    safetySettings: list(object),
    cachedContent: text,
  },
);
type Body = ReturnType<typeof body>;

const PATH = /^\/v1beta\/models\/([^/:]+):(generateContent|streamGenerateContent)$/;

function read(received: Received): Seen {
  const { model, stream } = routeOf(received);
  const request = parse(body, received.body);
  checkTools(request);
  checkContents(request.contents);
  if (model.startsWith('gemini-3')) checkProofs(request.contents);
  const { thinkingLevel, thinkingBudget } = request.generationConfig?.thinkingConfig ?? {};
  if (thinkingLevel !== undefined && (thinkingBudget !== undefined || !model.startsWith('gemini-3'))) {
    refuse('thinkingLevel', 'is not supported for this model, or not beside a budget');
  }
  const { generationConfig = {}, systemInstruction } = request;
  return {
    model,
    stream,
    system: (systemInstruction?.parts ?? []).map(({ text = '' }) => text).join('\n'),
    turns: turnsOf(request.contents),
    tools: toolsOf(request),
    choice: choiceOf(request),
    maxTokens: generationConfig.maxOutputTokens,
    temperature: generationConfig.temperature,
    stop: generationConfig.stopSequences ?? [],
    schema: schemaOf(request),
    thinks: generationConfig.thinkingConfig?.includeThoughts === true,
  };
}

/** The path names the model and whether it streams. */
function routeOf({ path, query, headers }: Received): { readonly model: string; readonly stream: boolean } {
  const [, model, verb] = PATH.exec(path) ?? [];
  if (model === undefined) throw new Refused(404, `there is no ${path}`);
  if (query.has('key')) throw new Refused(400, 'the key must not be in the URL, which proxies log');
  const key = headers['x-goog-api-key'];
  requireKey(typeof key === 'string' ? key : undefined);
  const stream = verb === 'streamGenerateContent';
  if (stream && query.get('alt') !== 'sse') throw new Refused(400, 'this script only streams events');
  if (!stream && query.has('alt')) throw new Refused(400, 'alt=sse is for streams');
  return { model, stream };
}

function toolsOf({ tools = [] }: Body): Seen['tools'] {
  return tools.flatMap(({ functionDeclarations }) =>
    functionDeclarations.map(({ name, description = '', parameters, parametersJsonSchema }) => ({
      name,
      description,
      schema: lowered(parametersJsonSchema ?? parameters ?? {}),
    })),
  );
}

/** A schema with its types in small letters, as JSON Schema has them; Gemini takes either. */
function lowered(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(value);
  const types = text.replace(/"type":"([A-Z]+)"/g, (_, type: string) => `"type":"${type.toLowerCase()}"`);
  return JSON.parse(types) as Record<string, unknown>;
}

function checkTools({ tools = [], toolConfig }: Body): void {
  const { mode, allowedFunctionNames } = toolConfig?.functionCallingConfig ?? {};
  if (allowedFunctionNames !== undefined && mode !== 'ANY' && mode !== 'VALIDATED') {
    refuse('toolConfig', 'allowedFunctionNames only goes with mode ANY');
  }
  if (mode !== undefined && tools.length === 0)
    refuse('toolConfig', 'is set without any function declaration');
  for (const { parameters, parametersJsonSchema, name } of tools.flatMap((one) => one.functionDeclarations)) {
    if (parameters !== undefined && parametersJsonSchema !== undefined) {
      refuse(`tools.${name}`, 'takes only one of parameters and parametersJsonSchema');
    }
  }
}

/** What Google says to send for calls that another model has made. */
const NO_SIGNATURES = ['skip_thought_signature_validator', 'context_engineering_is_the_way_to_go'];

function isModel({ role }: Content): boolean {
  return role === 'model';
}

/** Sides alternate, the user begins and ends, and every call has its response in the turn after it. */
function checkContents(contents: readonly Content[]): void {
  let calls: readonly string[] = [];
  for (const [index, content] of contents.entries()) {
    const path = `contents[${index}]`;
    if (!mayFollow(contents[index - 1], content)) refuse(path, 'turns must alternate between user and model');
    checkParts(path, content);
    checkResponses(path, calls, content);
    calls = content.parts.flatMap((part) => part.functionCall?.name ?? []);
    if (calls.length > 0 && !isModel(content)) refuse(path, 'only the model calls functions');
  }
  if (isModel(contents.at(-1) ?? { parts: [] })) refuse('contents', 'the last turn is the user’s');
}

/** Gemini 3 wants the proof of the first call of every step since the user's last question. */
function checkProofs(contents: readonly Content[]): void {
  const isQuestion = (content: Content): boolean =>
    !isModel(content) && content.parts.every(({ functionResponse }) => functionResponse === undefined);
  const turn = contents.slice(contents.findLastIndex(isQuestion) + 1);
  for (const { parts } of turn) {
    const first = parts.find(({ functionCall }) => functionCall !== undefined);
    if (first !== undefined && first.thoughtSignature === undefined) {
      refuse('contents', `function call ${first.functionCall?.name} is missing a thought_signature`);
    }
  }
}

/** What the user says besides responses has to be a content of its own; otherwise sides alternate. */
function mayFollow(before: Content | undefined, content: Content): boolean {
  if (before === undefined) return !isModel(content);
  const responds = before.parts.some(({ functionResponse }) => functionResponse !== undefined);
  return isModel(content) !== isModel(before) || (responds && !isModel(content));
}

function checkParts(path: string, { parts }: Content): void {
  for (const { text, thoughtSignature = SIGNATURE } of parts) {
    if (text === '') refuse(path, 'parts must not be empty');
    if (![SIGNATURE, ...NO_SIGNATURES].includes(thoughtSignature))
      refuse(path, 'corrupted thought signature');
  }
}

/** Calls and responses belong together by their order. */
function checkResponses(path: string, calls: readonly string[], { parts }: Content): void {
  const responses = parts.flatMap((part) => part.functionResponse?.name ?? []);
  if (responses.length !== calls.length) {
    refuse(path, `${responses.length} function response parts for ${calls.length} function call parts`);
  }
  if (responses.join() !== calls.join()) refuse(path, `responses of ${responses.join()} to ${calls.join()}`);
  if (responses.length > 0 && responses.length !== parts.length) {
    refuse(path, 'function responses do not go with other parts');
  }
}

function turnsOf(contents: readonly Content[]): Seen['turns'] {
  const turns = new Turns();
  for (const content of contents) {
    const turn = turns.of(isModel(content) ? 'assistant' : 'user');
    for (const part of content.parts) readPart(turn, part);
  }
  return turns.all;
}

function readPart(turn: Seen['turns'][number], part: Part): void {
  const { text, functionCall, functionResponse, inlineData, thought } = part;
  if (inlineData !== undefined) {
    turn.images.push({ mediaType: inlineData.mimeType, data: inlineData.data });
  }
  if (thought !== true) turn.text += text ?? '';
  if (functionCall !== undefined) {
    const { id = '', name, args = {} } = functionCall;
    turn.calls.push({ id, name, input: args });
  }
  if (functionResponse !== undefined) {
    const { id = '', response } = functionResponse;
    turn.results.push({ id, text: JSON.stringify(response) });
  }
}

/** The answer's schema, which needs the media type besides. */
function schemaOf({ generationConfig = {} }: Body): Seen['schema'] {
  const { responseMimeType, responseSchema, responseJsonSchema } = generationConfig;
  const given = responseJsonSchema ?? responseSchema;
  if (given === undefined) return undefined;
  if (responseMimeType !== 'application/json') refuse('responseMimeType', 'must be application/json');
  return lowered(given);
}

function choiceOf({ toolConfig }: Body): Seen['choice'] {
  const mode = toolConfig?.functionCallingConfig.mode ?? 'AUTO';
  if (mode === 'NONE') return 'none';
  return mode === 'AUTO' || mode === 'VALIDATED' ? 'auto' : 'any';
}

/** Thoughts are not among the candidates' tokens. */
function usageOf({ input, cached, output, reasoning }: Usage): object {
  return {
    promptTokenCount: input,
    cachedContentTokenCount: cached,
    candidatesTokenCount: output - reasoning,
    thoughtsTokenCount: reasoning,
    totalTokenCount: input + output,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: input }],
  };
}

// A tool call is no reason of its own to end.
const FINISH_REASONS: Readonly<Record<Finish, string>> = {
  stop: 'STOP',
  length: 'MAX_TOKENS',
  tool_calls: 'STOP',
};

function answered(
  parts: readonly object[],
  finishReason: string | undefined,
  { model }: Seen,
  usage: object,
): object {
  const content = { parts, role: 'model' };
  return {
    candidates: [{ content, ...(finishReason !== undefined && { finishReason }), index: 0 }],
    usageMetadata: usage,
    modelVersion: model,
    responseId: 'scripted',
  };
}

function callParts({ calls }: Scripted): object[] {
  return calls.map(({ name, input }, index) => ({
    functionCall: { name, args: input },
    ...(index === 0 && { thoughtSignature: SIGNATURE }),
  }));
}

function whole(answer: Scripted, seen: Seen): Whole {
  const thoughts = answer.thinking ? [{ text: answer.thinking, thought: true }] : [];
  const parts = [...thoughts, ...(answer.text === '' ? [] : [{ text: answer.text }]), ...callParts(answer)];
  return { body: answered(parts, FINISH_REASONS[answer.finish], seen, usageOf(answer.usage)) };
}

function stream(answer: Scripted, seen: Seen): Streamed {
  const steps = [
    ...answer.thoughts.map((text) => [{ text, thought: true }]),
    ...answer.pieces.map((text) => [{ text }]),
    ...(answer.calls.length > 0 ? [callParts(answer)] : []),
  ];
  const { usage } = answer;
  return {
    headers: EVENTS,
    frames: steps.map((parts, index) => {
      const isLast = index === steps.length - 1;
      // Running totals with every chunk: the last one counts.
      const counts = usageOf({ ...usage, output: usage.reasoning + index });
      const finish = isLast ? FINISH_REASONS[answer.finish] : undefined;
      return `data: ${JSON.stringify(answered(parts, finish, seen, isLast ? usageOf(usage) : counts))}\r\n\r\n`;
    }),
  };
}

function refusal({ status, message }: Refused): Whole {
  const names: Record<number, string> = {
    401: 'UNAUTHENTICATED',
    404: 'NOT_FOUND',
    429: 'RESOURCE_EXHAUSTED',
    500: 'INTERNAL',
  };
  return { body: { error: { code: status, message, status: names[status] ?? 'INVALID_ARGUMENT' } } };
}

function fault(message: string): string[] {
  return [`data: ${JSON.stringify({ error: { code: 503, message, status: 'UNAVAILABLE' } })}\r\n\r\n`];
}

export const gemini: Provider = {
  dialect: 'gemini',
  base: '/v1beta',
  model: 'gemini-3-flash-preview',
  sibling: 'gemini-2.5-flash',
  idOf: () => '',
  read,
  whole,
  stream,
  refusal,
  fault,
};
