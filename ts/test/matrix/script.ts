/**
 * What is said in every cell of the matrix, in no dialect: the questions, the tools, and the model's answers.
 *
 * The clients say the questions in theirs, the upstreams read them in theirs into `Seen` and answer by this script, and
 * the checks compare both ends with it.
 */

import { isDeepStrictEqual } from 'node:util';
import { Refused } from './shapes.js';

/** A wire format, at either side of the gateway. */
export const DIALECTS = [
  'openai-chat',
  'openai-responses',
  'anthropic',
  'gemini',
  'bedrock',
  'cohere',
] as const;
export type Dialect = (typeof DIALECTS)[number];

/** A tool as the client declares it. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** Whether it is called with free text, for which the schema stands as that of an object with this text. */
  readonly isFree?: boolean;
}

/** A call the model makes. */
export interface Call {
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What the client found out for the model. */
export interface Result {
  readonly id: string;
  readonly text: string;
}

/** Token counts: `input` includes what came from the cache or went there, `output` includes reasoning. */
export interface Usage {
  readonly input: number;
  readonly cached: number;
  readonly written: number;
  readonly output: number;
  readonly reasoning: number;
}

/** The counts that each dialect tells apart. */
export const COUNTS: Readonly<Record<Dialect, readonly (keyof Usage)[]>> = {
  'openai-chat': ['input', 'output', 'cached', 'written', 'reasoning'],
  'openai-responses': ['input', 'output', 'cached', 'written', 'reasoning'],
  anthropic: ['input', 'output', 'cached', 'written', 'reasoning'],
  gemini: ['input', 'output', 'cached', 'reasoning'],
  bedrock: ['input', 'output', 'cached', 'written'],
  cohere: ['input', 'output', 'cached'],
};

export type Finish = 'stop' | 'length' | 'tool_calls';

/** A whole answer, as the script says it and as a client reads it. */
export interface Answer {
  readonly text: string;
  /** What the model thought, as far as it is shown. */
  readonly thinking?: string | undefined;
  readonly calls: readonly Call[];
  readonly finish: Finish;
  readonly usage: Partial<Usage>;
}

/** A picture as its bytes. */
export interface Image {
  readonly mediaType: string;
  /** Base64. */
  readonly data: string;
}

/** One side's say; neighbours of one role are one turn, as some dialects would have it. */
export interface Turn {
  readonly role: 'user' | 'assistant';
  text: string;
  readonly calls: Call[];
  readonly results: Result[];
  readonly images: Image[];
}

/** A turn that only says something. */
export function saying(role: Turn['role'], text: string, more: Partial<Turn> = {}): Turn {
  return { role, text, calls: [], results: [], images: [], ...more };
}

/** A request as an upstream read it. */
export interface Seen {
  readonly model: string;
  readonly stream: boolean;
  readonly system: string;
  readonly turns: readonly Turn[];
  readonly tools: readonly Tool[];
  readonly choice: 'auto' | 'any' | 'none';
  readonly maxTokens: number | undefined;
  readonly temperature: number | undefined;
  readonly stop: readonly string[];
  /** The JSON Schema that the answer has to follow. */
  readonly schema?: Readonly<Record<string, unknown>> | undefined;
  /** Whether the model is to think before it answers. */
  readonly thinks?: boolean;
  /** Whether a stream may leave the token counts out, as OpenAI's does unless it is asked for them. */
  readonly uncounted?: boolean;
}

/** Collects turns, joining neighbours. */
export class Turns {
  readonly all: Turn[] = [];

  of(role: Turn['role']): Turn {
    const last = this.all.at(-1);
    if (last?.role === role) return last;
    const turn = saying(role, '');
    this.all.push(turn);
    return turn;
  }
}

export const SYSTEM = 'You are a careful assistant. Answer “briefly”, in one line.';
export const MAX_TOKENS = 256;
export const TEMPERATURE = 0.25;
export const STOP = 'THE END';

/** What the user asks. */
export const ASK = {
  text: 'Say good morning: "quoted", back\\slash, new\nline, \u2028 and 😀.',
  stream: 'Count in French, one word at a time.',
  cut: 'Tell me everything.',
  chat: 'Remember the number 7.',
  look: 'What is in this picture?',
  form: 'Where is the Eiffel Tower?',
  think: 'How many legs have two spiders?',
  solve: 'Shall I take an umbrella to Paris?',
  one: 'What is the weather in Paris?',
  two: 'What is the weather in Paris, and what time is it?',
  odd: 'Use the tool with the odd name.',
  patch: 'Add a line to the notes.',
  limited: 'Be over your limit.',
  broken: 'Break down.',
  fault: 'Begin, and then fail.',
  torn: 'Begin, and then hang up.',
} as const;
export type Ask = keyof typeof ASK;

export const TOOLS: readonly Tool[] = [
  {
    name: 'get_weather',
    description: 'The weather of the coming days.',
    schema: {
      type: 'object',
      properties: {
        city: { type: 'string', description: 'Its name, "as spoken".' },
        days: { type: 'integer', minimum: 1 },
        unit: { type: 'string', enum: ['celsius', 'kelvin'] },
      },
      required: ['city'],
    },
  },
  { name: 'get_time', description: 'The time of day.', schema: { type: 'object', properties: {} } },
];

/** A picture of one pixel. */
export const IMAGE: Image = {
  mediaType: 'image/png',
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
};

/** A schema for an answer. */
export const FORM: Readonly<Record<string, unknown>> = {
  type: 'object',
  properties: { city: { type: 'string' }, country: { type: 'string' } },
  required: ['city', 'country'],
  additionalProperties: false,
};

/** What the user says after the first answer. */
export const NEXT = 'Which number was it?';

/** What the tools find out. */
export const RESULTS: Readonly<Record<string, string>> = {
  get_weather: '21 °C and a "clear" sky',
  get_time: 'half past nine',
};

/** What every answer is said to have cost. */
export const USAGE: Usage = { input: 40, cached: 16, written: 8, output: 25, reasoning: 10 };

const WEATHER = { name: 'get_weather', input: { city: 'Paris “Île”', days: 2 } };
/** What a tool of free text is called with. */
export const PATCH = '*** Begin Patch\n*** Update File: notes.md\n+a "line"\n*** End Patch\n';

/** Stands for the name of the last tool, whatever it is on its way called. */
export const WHATEVER = '*';
const TIME = { name: 'get_time', input: {} };

/** What the model thinks, and its proof that it was the model that thought so. */
const THOUGHTS = ['First I', ' count: "one",', ' two.'];
export const SIGNATURE = 'EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds=';

/** What the model says to a question, and to what the tools found. Pieces are how it is streamed. */
interface Line {
  readonly pieces: readonly string[];
  readonly calls?: readonly Omit<Call, 'id'>[];
  readonly finish?: Finish;
  readonly breaks?: Break;
  readonly thoughts?: readonly string[];
}
const LINES: Readonly<Record<Exclude<Ask, 'limited' | 'broken'>, { first: Line; after?: Line }>> = {
  text: { first: { pieces: ['Good morning: "quoted", back\\slash,', ' new\nline, \u2028', ' and 😀.'] } },
  stream: { first: { pieces: ['Bonjour', ', un', ', deux', ', "trois"', ',\n', 'quatre 😀', '.'] } },
  cut: { first: { pieces: ['Everything began', ' when'], finish: 'length' } },
  chat: { first: { pieces: ['I will remember', ' it.'] }, after: { pieces: ['It was', ' 7.'] } },
  look: { first: { pieces: ['One', ' pixel.'] } },
  form: { first: { pieces: ['{"city":"Paris",', '"country":"France"}'] } },
  fault: { first: { pieces: ['Bonjour', ' et', ' puis'], breaks: 'fault' } },
  torn: { first: { pieces: ['Bonjour', ' et', ' puis'], breaks: 'torn' } },
  think: { first: { pieces: ['Sixteen', ' legs.'], thoughts: THOUGHTS } },
  solve: {
    first: { pieces: [], calls: [WEATHER], thoughts: THOUGHTS },
    after: { pieces: ['No umbrella', ' for Paris.'] },
  },
  odd: {
    first: { pieces: [], calls: [{ name: WHATEVER, input: { city: 'Paris' } }] },
    after: { pieces: ['It', ' worked.'] },
  },
  patch: {
    first: { pieces: ['I will add it.'], calls: [{ name: 'apply_patch', input: { input: PATCH } }] },
    after: { pieces: ['It is', ' there now.'] },
  },
  one: { first: { pieces: [], calls: [WEATHER] }, after: { pieces: ['Paris has 21 °C', ' and clear sky.'] } },
  two: {
    first: { pieces: ['Let me', ' look that up.'], calls: [WEATHER, TIME] },
    after: { pieces: ['Clear sky,', ' half past nine.'] },
  },
};

/** How a stream breaks off after its first piece: with an error of the provider's, or without a word. */
export type Break = 'fault' | 'torn';

/** An answer together with how it is streamed. */
export interface Scripted extends Answer {
  readonly pieces: readonly string[];
  readonly thoughts: readonly string[];
  readonly breaks?: Break | undefined;
  readonly usage: Usage;
}

/** The model's answer to a question, before or after the tools were asked; ids are of the upstream's own making. */
export function scripted(ask: keyof typeof LINES, after: boolean, idOf: (index: number) => string): Scripted {
  const line = after ? LINES[ask].after : LINES[ask].first;
  if (line === undefined) throw new Error(`nothing is said after the tools of ${ask}`);
  const { pieces, calls = [], finish, breaks, thoughts = [] } = line;
  return {
    text: pieces.join(''),
    pieces,
    thinking: thoughts.join(''),
    thoughts,
    calls: calls.map((call, index) => ({ ...call, id: idOf(index) })),
    finish: finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
    usage: USAGE,
    breaks,
  };
}

/** What an upstream does about a request. */
export function reply(seen: Seen, idOf: (index: number) => string): Scripted {
  const question = seen.turns[0]?.text;
  const ask = (Object.keys(ASK) as Ask[]).find((name) => ASK[name] === question);
  if (ask === undefined) throw new Refused(400, `the script has no question ${JSON.stringify(question)}`);
  if (ask === 'limited') throw new Refused(429, 'Rate limit reached, try again later.');
  if (ask === 'broken') throw new Refused(500, 'Something went wrong here.');
  const said = scripted(ask, seen.turns.length > 1, idOf);
  const name = seen.tools.at(-1)?.name ?? '';
  const calls = said.calls.map((call) => (call.name === WHATEVER ? { ...call, name } : call));
  return { ...said, calls, ...(seen.thinks !== true && { thinking: '', thoughts: [] }) };
}

/** The parts that arguments are streamed in. */
export function fragments(input: Readonly<Record<string, unknown>>): string[] {
  const json = JSON.stringify(input);
  if (json.length < 8) return [json];
  return [json.slice(0, 3), json.slice(3, 11), json.slice(11)];
}

/** Whether a tool's result arrived: as it is, or as the one member of an object, since Gemini takes nothing else. */
export function isResult(seen: string, wanted: string): boolean {
  if (seen === wanted) return true;
  try {
    const value = JSON.parse(seen) as unknown;
    if (value === wanted) return true;
    if (typeof value !== 'object' || value === null) return false;
    const members: unknown[] = Object.values(value);
    return members.length === 1 && isDeepStrictEqual(members[0], wanted);
  } catch {
    return false;
  }
}
