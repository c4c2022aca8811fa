/** `@google/genai`. */

import {
  ApiError,
  FunctionCallingConfigMode,
  GoogleGenAI,
  type Content,
  type GenerateContentConfig,
  type GenerateContentResponse,
  type Part,
} from '@google/genai';
import type { Answer, Call, Finish } from '../script.js';
import {
  kindOfStatus,
  present,
  THINKING_TOKENS,
  type Client,
  type Conversation,
  type ErrorKind,
  type Setup,
} from './client.js';

/** What the answers of a stream, or the only one, come to. */
class Collected {
  readonly parts: Part[] = [];
  private last: GenerateContentResponse | undefined;
  private reason: string | undefined;

  add(response: GenerateContentResponse): void {
    const candidate = response.candidates?.[0];
    this.parts.push(...(candidate?.content?.parts ?? []));
    this.reason = candidate?.finishReason ?? this.reason;
    this.last = response;
  }

  /** The calls, under ids of our own where the model gave none: results are paired by their order then. */
  get calls(): Call[] {
    return this.parts.flatMap(({ functionCall }, index) =>
      functionCall === undefined
        ? []
        : [
            {
              id: functionCall.id ?? `unnamed-${index}`,
              name: functionCall.name ?? '',
              input: functionCall.args ?? {},
            },
          ],
    );
  }

  answer(): Answer {
    const { usageMetadata: usage } = this.last ?? {};
    const thoughts = usage?.thoughtsTokenCount ?? 0;
    const candidates = usage?.candidatesTokenCount;
    return {
      thinking: this.parts.map(({ text = '', thought }) => (thought === true ? text : '')).join(''),
      text: this.parts.map(({ text = '', thought }) => (thought === true ? '' : text)).join(''),
      calls: this.calls,
      finish: this.finish(),
      usage: present({
        input: usage?.promptTokenCount,
        output: candidates === undefined ? undefined : candidates + thoughts,
        cached: usage?.cachedContentTokenCount,
        reasoning: usage?.thoughtsTokenCount,
      }),
    };
  }

  private finish(): Finish {
    if (this.reason === 'MAX_TOKENS') return 'length';
    if (this.reason !== 'STOP') throw new Error(`the answer ends with ${this.reason}`);
    return this.calls.length > 0 ? 'tool_calls' : 'stop';
  }
}

function configOf(setup: Setup): GenerateContentConfig {
  const { system, tools, forced, maxTokens, temperature, stop, schema, signal } = setup;
  const mode = forced === true ? FunctionCallingConfigMode.ANY : FunctionCallingConfigMode.AUTO;
  const functionDeclarations = tools.map(({ name, description, schema }) => ({
    name,
    description,
    parametersJsonSchema: schema,
  }));
  return {
    systemInstruction: system,
    ...present({ maxOutputTokens: maxTokens, temperature, abortSignal: signal }),
    ...(stop !== undefined && { stopSequences: [stop] }),
    ...(setup.thinks === true && {
      thinkingConfig: { includeThoughts: true, thinkingBudget: THINKING_TOKENS },
    }),
    ...(schema !== undefined && { responseMimeType: 'application/json', responseJsonSchema: schema }),
    ...(tools.length > 0 && {
      tools: [{ functionDeclarations }],
      toolConfig: { functionCallingConfig: { mode } },
    }),
  };
}

function open(setup: Setup): Conversation {
  const { origin, prefix = '', key, model, streamed } = setup;
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: `${origin}${prefix}` } });
  const contents: Content[] = [];
  let called: readonly Call[] = [];
  const ask = async (): Promise<Answer> => {
    const request = { model, contents, config: configOf(setup) };
    const collected = new Collected();
    if (streamed) {
      for await (const chunk of await client.models.generateContentStream(request)) {
        const before = collected.parts.length;
        collected.add(chunk);
        const pieces = collected.parts.slice(before).flatMap(({ text = '' }) => (text === '' ? [] : [text]));
        for (const piece of pieces) setup.onText?.(piece);
      }
    } else {
      collected.add(await client.models.generateContent(request));
    }
    contents.push({ role: 'model', parts: collected.parts });
    called = collected.calls;
    return collected.answer();
  };
  return {
    say: (text, image) => {
      const shown = image ? [{ inlineData: { mimeType: image.mediaType, data: image.data } }] : [];
      contents.push({ role: 'user', parts: [...shown, { text }] });
      return ask();
    },
    tell: (results) => {
      const parts = results.map(({ id, text }) => {
        const name = called.find((call) => call.id === id)?.name ?? '';
        const given = id.startsWith('unnamed-') ? {} : { id };
        return { functionResponse: { ...given, name, response: { output: text } } };
      });
      contents.push({ role: 'user', parts });
      return ask();
    },
  };
}

function kindOf(error: unknown): ErrorKind {
  if (error instanceof ApiError) return kindOfStatus(error.status);
  return error instanceof Error && error.name === 'AbortError' ? 'abort' : 'other';
}

export const gemini: Client = {
  dialect: 'gemini',
  sdk: '@google/genai',
  hasTemperature: true,
  hasStop: true,
  needsLimit: false,
  oddName: 'files.read:all-of-them',
  open,
  kindOf,
};
