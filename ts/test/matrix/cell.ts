/** One cell of the matrix: a client of one dialect, and a provider of another. */

import { isDeepStrictEqual } from 'node:util';
import type { Client, Conversation, ErrorKind, Setup } from './clients/client.js';
import {
  ASK,
  COUNTS,
  FORM,
  IMAGE,
  isResult,
  MAX_TOKENS,
  NEXT,
  RESULTS,
  saying,
  scripted,
  STOP,
  SYSTEM,
  TEMPERATURE,
  TOOLS,
  USAGE,
  type Answer,
  type Ask,
  type Result,
  type Scripted,
  type Seen,
  type Tool,
  type Turn,
} from './script.js';
import type { Upstream } from './server.js';

/** What a cell has to show. */
export const MARKS = ['whole', 'stream', 'tools'] as const;
export type Mark = (typeof MARKS)[number];

/** What went wrong, by mark; nothing where all is well. */
export type Verdict = Readonly<Record<Mark, readonly string[]>>;

/** Where a cell's client is pointed. */
export interface Target {
  readonly origin: string;
  readonly key: string;
  readonly model: string;
  /** A model of another generation, where the gateway is to know the difference. */
  readonly sibling?: string;
  /** A model of the same upstream that may fail without harm to the others. */
  readonly failing: (how: Failure) => string;
}

/** Tokens for an answer and the thinking before it. */
const LONG = 8192;

/** How a provider may fail. */
export const FAILURES = [429, 500, 'fault', 'torn'] as const;
export type Failure = (typeof FAILURES)[number];

/** One cell at work. */
class Cell {
  private problems: string[] = [];
  private what = '';

  constructor(
    private readonly client: Client,
    private readonly upstream: Upstream,
    private readonly target: Target,
  ) {}

  /** Runs checks one after the other, each on its own. */
  async run(checks: Readonly<Record<string, () => Promise<void>>>): Promise<readonly string[]> {
    this.problems = [];
    for (const [name, check] of Object.entries(checks)) {
      this.what = name;
      this.upstream.reset();
      try {
        await check();
      } catch (error) {
        this.complain(`failed: ${describe(error)}`);
      }
      for (const refusal of this.upstream.refusals) this.complain(`the provider refused: ${refusal}`);
    }
    return this.problems;
  }

  private complain(problem: string): void {
    this.problems.push(`${this.what}: ${problem}`);
  }

  private expect(what: string, found: unknown, wanted: unknown): void {
    if (isDeepStrictEqual(found, wanted)) return;
    this.complain(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  }

  private open(more: Partial<Setup> = {}): Conversation {
    const { origin, key, model } = this.target;
    const { needsLimit } = this.client;
    const setup = { origin, key, model, streamed: false, system: SYSTEM, tools: [] };
    return this.client.open({ ...setup, ...(needsLimit && { maxTokens: MAX_TOKENS }), ...more });
  }

  /** An answer, whole or streamed, with everything a request can say. */
  async text(streamed: boolean): Promise<void> {
    const { hasTemperature, hasStop } = this.client;
    const temperature = hasTemperature ? TEMPERATURE : undefined;
    const stop = hasStop ? STOP : undefined;
    const answer = await this.open({ streamed, maxTokens: MAX_TOKENS, temperature, stop }).say(ASK.text);
    this.compareAnswer(answer, this.says('text'));
    const seen = this.lastSeen([saying('user', ASK.text)], []);
    this.expect('max_tokens', seen.maxTokens, MAX_TOKENS);
    this.expect('temperature', seen.temperature, temperature);
    const takesStop = this.upstream.provider.dialect !== 'openai-responses';
    this.expect('stop', seen.stop, hasStop && takesStop ? [STOP] : []);
    this.expect('stream', seen.stream, streamed);
  }

  /** An answer that arrives as it is said. */
  async flowing(): Promise<void> {
    let pieces = 0;
    const onText = (): void => {
      pieces += 1;
      this.upstream.arrived();
    };
    const answer = await this.open({ streamed: true, onText }).say(ASK.stream);
    const wanted = this.says('stream');
    this.compareAnswer(answer, wanted);
    if (this.upstream.heldBack) this.complain('the first piece was held back until the last');
    if (pieces < wanted.pieces.length) {
      this.complain(`${pieces} pieces arrived, and ${wanted.pieces.length} were sent`);
    }
  }

  /** An answer that is cut off. */
  async cut(streamed: boolean): Promise<void> {
    this.compareAnswer(await this.open({ streamed }).say(ASK.cut), this.says('cut'));
  }

  /** A second question after an answer. */
  async chat(): Promise<void> {
    const conversation = this.open();
    const first = this.says('chat');
    this.compareAnswer(await conversation.say(ASK.chat), first);
    this.compareAnswer(await conversation.say(NEXT), this.says('chat', true));
    const turns = [saying('user', ASK.chat), saying('assistant', first.text), saying('user', NEXT)];
    this.lastSeen(turns, []);
  }

  /** A question about a picture. */
  async look(): Promise<void> {
    this.compareAnswer(await this.open().say(ASK.look, IMAGE), this.says('look'));
    this.lastSeen([saying('user', ASK.look, { images: [IMAGE] })], []);
  }

  /** An answer that follows a schema. */
  async form(): Promise<void> {
    this.compareAnswer(await this.open({ schema: FORM }).say(ASK.form), this.says('form'));
    const { schema = {} } = this.lastSeen([saying('user', ASK.form)], []);
    const { additionalProperties, ...rest } = FORM;
    // Gemini's own subset of JSON Schema has no word for closed objects.
    const open = this.upstream.provider.dialect === 'gemini' && schema['additionalProperties'] === undefined;
    this.expect('the schema of the answer', schema, open ? rest : { ...rest, additionalProperties });
  }

  /** An answer that is thought about first. */
  async think(streamed: boolean): Promise<void> {
    const conversation = this.open({ streamed, thinks: true, maxTokens: LONG });
    this.compareThinking(await conversation.say(ASK.think), this.says('think'));
    this.lastSeen([saying('user', ASK.think)], []);
  }

  /** A tool is called after some thought, which the model wants to be told of again. */
  async solve(streamed: boolean): Promise<void> {
    const conversation = this.open({ streamed, thinks: true, maxTokens: LONG, tools: TOOLS });
    const first = await conversation.say(ASK.solve);
    this.compareThinking(first, this.says('solve'));
    const found = first.calls.map(({ id, name }) => ({ id, text: RESULTS[name] ?? '' }));
    const last = await conversation.tell(found);
    this.expect('the text', last.text, this.says('solve', true).text);
  }

  /** A model with other rules gets what it takes; a client of its own dialect has to know them itself. */
  async sibling(streamed: boolean): Promise<void> {
    const { provider } = this.upstream;
    const { sibling: model } = this.target;
    if (model === undefined || provider.sibling === undefined || provider.dialect === this.client.dialect)
      return;
    const temperature = this.client.hasTemperature ? TEMPERATURE : undefined;
    const thinker = { model, streamed, thinks: true, maxTokens: LONG, temperature, tools: TOOLS };
    const conversation = this.open(thinker);
    const { calls } = await conversation.say(ASK.solve);
    const found = calls.map(({ id, name }) => ({ id, text: RESULTS[name] ?? '' }));
    const { text } = await conversation.tell(found);
    this.expect('the text', text, this.says('solve', true).text);
    this.expect('the model', this.upstream.seen.at(-1)?.model, provider.sibling);
  }

  private compareThinking(answer: Answer, wanted: Scripted): void {
    this.compareAnswer(answer, wanted);
    const isShown = ![this.client.dialect, this.upstream.provider.dialect].includes('openai-chat');
    if (isShown) this.expect('the thinking', answer.thinking, wanted.thinking);
  }

  /** A failure of the provider, as the SDK's own error. */
  async fails(status: 429 | 500, streamed: boolean): Promise<void> {
    const wanted: ErrorKind = status === 429 ? 'rate limit' : 'server';
    const ask = status === 429 ? ASK.limited : ASK.broken;
    const model = this.target.failing(status);
    try {
      await this.open({ model, streamed }).say(ask);
    } catch (error) {
      const kind = this.client.kindOf(error);
      if (kind !== wanted) this.complain(`${status} is raised as ${kind}: ${describe(error)}`);
      return;
    }
    this.complain(`${status} raises nothing`);
  }

  /** A stream that breaks off raises an error, and what came before it has arrived. */
  async breaks(how: 'fault' | 'torn'): Promise<void> {
    let text = '';
    const onText = (piece: string): void => {
      text += piece;
      this.upstream.arrived();
    };
    try {
      await this.open({ streamed: true, onText, model: this.target.failing(how) }).say(ASK[how]);
      this.complain('the broken stream raises nothing');
    } catch (error) {
      const [first] = this.says(how).pieces;
      if (text !== first) this.complain(`${JSON.stringify(text)} had arrived before ${describe(error)}`);
      if (this.upstream.heldBack) this.complain('the first piece was held back');
      if (how === 'fault' && !describe(error).includes('Overloaded')) {
        this.complain(`the error does not say why: ${describe(error)}`);
      }
    }
  }

  /** A tool is called, its result sent back, and the answer given. */
  async tools(ask: 'one' | 'two', streamed: boolean): Promise<void> {
    const conversation = this.open({ streamed, tools: TOOLS, forced: ask === 'one' });
    const first = this.says(ask);
    const calls = await conversation.say(ASK[ask]);
    this.compareAnswer(calls, first);
    const asked = saying('user', ASK[ask]);
    const seen = this.lastSeen([asked], TOOLS);
    this.expect('tool_choice', seen.choice, ask === 'one' ? 'any' : 'auto');
    if (calls.calls.length !== first.calls.length) return;
    const found = calls.calls.map(({ id, name }) => ({ id, text: RESULTS[name] ?? '' }));
    const answer = await conversation.tell(found);
    this.compareAnswer(answer, this.says(ask, true));
    const called = saying('assistant', first.text, { calls: [...first.calls] });
    const results: Result[] = first.calls.map(({ id, name }) => ({ id, text: RESULTS[name] ?? '' }));
    this.lastSeen([asked, called, saying('user', '', { results })], TOOLS);
  }

  /** A tool is called whose name the provider's dialect does not take, and answered under its own name. */
  async odd(streamed: boolean): Promise<void> {
    const { oddName: name } = this.client;
    if (name === undefined) return;
    const tools = TOOLS.map((tool, index) => (index === 0 ? { ...tool, name } : tool)).reverse();
    const conversation = this.open({ streamed, tools });
    const { calls } = await conversation.say(ASK.odd);
    this.expect(
      'the names of the calls',
      calls.map((call) => call.name),
      [name],
    );
    const found = calls.map(({ id }) => ({ id, text: 'done' }));
    this.expect('the text', (await conversation.tell(found)).text, this.says('odd', true).text);
  }

  private says(ask: Exclude<Ask, 'limited' | 'broken'>, after = false): Scripted {
    return scripted(ask, after, (index) => this.upstream.provider.idOf(index));
  }

  private compareAnswer(answer: Answer, wanted: Scripted): void {
    this.expect('the text', answer.text, wanted.text);
    this.expect('the reason to end', answer.finish, wanted.finish);
    this.compareCalls(answer, wanted);
    const reported = COUNTS[this.upstream.provider.dialect];
    for (const count of COUNTS[this.client.dialect]) {
      const found = answer.usage[count];
      if (reported.includes(count)) this.expect(`usage.${count}`, found, USAGE[count]);
      else this.expect(`usage.${count}`, found ?? 0, 0);
    }
  }

  private compareCalls(answer: Answer, wanted: Scripted): void {
    const bare = ({ calls }: Answer): object[] => calls.map(({ name, input }) => ({ name, input }));
    this.expect('the calls', bare(answer), bare(wanted));
    const ids = answer.calls.map(({ id }) => id);
    if (ids.includes('') || new Set(ids).size !== ids.length) this.complain(`ids of calls are ${ids.join()}`);
    const known = wanted.calls.some(({ id }) => id !== '');
    if (known && this.client.dialect !== 'gemini') {
      this.expect(
        'the ids of calls',
        ids,
        wanted.calls.map(({ id }) => id),
      );
    }
  }

  /** Compares the last request that the provider saw with what the client meant. */
  private lastSeen(turns: readonly Turn[], tools: readonly Tool[]): Seen {
    const seen = this.upstream.seen.at(-1);
    if (seen === undefined) throw new Error('the provider was not asked');
    this.expect('the model', seen.model, this.upstream.provider.model);
    this.expect('the system prompt', seen.system, SYSTEM);
    this.expect('the tools', seen.tools.map(plain), tools.map(plain));
    this.expect('the number of turns', seen.turns.length, turns.length);
    for (const [index, turn] of turns.entries()) this.compareTurn(seen.turns[index], turn, index);
    return seen;
  }

  private compareTurn(seen: Turn | undefined, wanted: Turn, index: number): void {
    if (seen === undefined) return;
    const at = `turn ${index}`;
    this.expect(`${at}: the role`, seen.role, wanted.role);
    this.expect(`${at}: the text`, seen.text, wanted.text);
    this.expect(`${at}: the images`, seen.images, wanted.images);
    const named = wanted.calls.some(({ id }) => id !== '') || wanted.results.some(({ id }) => id !== '');
    const strip = ({ id, ...rest }: { readonly id: string }): object => (named ? { id, ...rest } : rest);
    this.expect(`${at}: the calls`, seen.calls.map(strip), wanted.calls.map(strip));
    const unwrapped = seen.results.map((result, place) => {
      const text = wanted.results[place]?.text;
      return text !== undefined && isResult(result.text, text) ? { ...result, text } : result;
    });
    this.expect(`${at}: the results`, unwrapped.map(strip), wanted.results.map(strip));
  }
}

/** A tool without what may be left out: a schema that asks for nothing. */
function plain({ name, description, schema }: Tool): Tool {
  const { properties = {} } = schema as { properties?: object };
  return { name, description, schema: Object.keys(properties).length === 0 ? {} : schema };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const kind = error.name === 'Error' ? error.constructor.name : error.name;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${kind}: ${error.message}${cause}`.slice(0, 600);
}

/** Runs all that a cell has to show. */
export async function runCell(client: Client, upstream: Upstream, target: Target): Promise<Verdict> {
  const cell = new Cell(client, upstream, target);
  return {
    whole: await cell.run({
      text: () => cell.text(false),
      cut: () => cell.cut(false),
      chat: () => cell.chat(),
      look: () => cell.look(),
      form: () => cell.form(),
      think: () => cell.think(false),
      'error 429': () => cell.fails(429, false),
      'error 500': () => cell.fails(500, false),
    }),
    stream: await cell.run({
      text: () => cell.text(true),
      flow: () => cell.flowing(),
      think: () => cell.think(true),
      cut: () => cell.cut(true),
      'error 429': () => cell.fails(429, true),
      fault: () => cell.breaks('fault'),
      torn: () => cell.breaks('torn'),
    }),
    tools: await cell.run({
      one: () => cell.tools('one', false),
      two: () => cell.tools('two', false),
      'one, streamed': () => cell.tools('one', true),
      'two, streamed': () => cell.tools('two', true),
      'odd name': () => cell.odd(false),
      'odd name, streamed': () => cell.odd(true),
      solve: () => cell.solve(false),
      sibling: () => cell.sibling(false),
      'sibling, streamed': () => cell.sibling(true),
      'solve, streamed': () => cell.solve(true),
    }),
  };
}
