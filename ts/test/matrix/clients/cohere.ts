/** `cohere-ai`. */

import { Cohere, CohereClientV2, CohereError } from 'cohere-ai';
import type { Answer, Finish } from '../script.js';
import {
  dataUrl,
  inputOf,
  kindOfStatus,
  present,
  THINKING_TOKENS,
  type Client,
  type Conversation,
  type ErrorKind,
  type Setup,
} from './client.js';

const FINISHES: Readonly<Record<string, Finish>> = {
  COMPLETE: 'stop',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
};

/** An answer, whole or as its events tell it. */
class Collected {
  text = '';
  thinking = '';
  plan = '';
  readonly calls: { id: string; name: string; json: string }[] = [];
  reason: string | undefined;
  usage: Cohere.Usage | undefined;
  private error: string | undefined;

  constructor(private readonly onText?: (piece: string) => void) {}

  addWhole({ message, finishReason, usage }: Cohere.V2ChatResponse): void {
    for (const part of message.content ?? []) {
      if (part.type === 'text') this.text += part.text;
      if (part.type === 'thinking') this.thinking += part.thinking;
    }
    this.plan = message.toolPlan ?? '';
    for (const call of message.toolCalls ?? []) this.begin(call);
    this.reason = finishReason;
    this.usage = usage;
  }

  addEvent(event: Cohere.V2ChatStreamResponse): void {
    if (event.type === 'content-delta') this.addContent(event.delta?.message?.content ?? {});
    if (event.type === 'tool-plan-delta') this.plan += this.told(event.delta?.message?.toolPlan);
    if (event.type === 'message-end') {
      this.reason = event.delta?.finishReason;
      this.usage = event.delta?.usage;
      this.error = event.delta?.error;
    }
    this.addCall(event);
  }

  private addContent({ text, thinking = '' }: Cohere.ChatContentDeltaEventDeltaMessageContent): void {
    this.text += this.told(text);
    this.thinking += thinking;
  }

  private addCall(event: Cohere.V2ChatStreamResponse): void {
    if (event.type === 'tool-call-start') this.begin(event.delta?.message?.toolCalls);
    if (event.type === 'tool-call-delta') this.goOn(event.delta?.message?.toolCalls);
  }

  private told(piece = ''): string {
    if (piece !== '') this.onText?.(piece);
    return piece;
  }

  private begin(call: Cohere.ToolCallV2 | undefined): void {
    const { name = '', arguments: json = '' } = call?.function ?? {};
    this.calls.push({ id: call?.id ?? '', name, json });
  }

  private goOn(call: Cohere.ChatToolCallDeltaEventDeltaMessageToolCalls | undefined): void {
    const last = this.calls.at(-1);
    if (last === undefined) throw new Error('arguments of a call that has not begun');
    last.json += call?.function?.arguments ?? '';
  }

  answer(): Answer {
    const finish = FINISHES[this.reason ?? ''];
    if (finish === undefined) throw new Error(`the answer ends with ${this.reason}: ${this.error}`);
    return {
      text: this.plan + this.text,
      thinking: this.thinking,
      calls: this.calls.map(({ id, name, json }) => ({ id, name, input: inputOf(json) })),
      finish,
      usage: present({
        input: this.usage?.billedUnits?.inputTokens,
        output: this.usage?.billedUnits?.outputTokens,
        cached: this.usage?.cachedTokens,
      }),
    };
  }

  message(): Cohere.ChatMessageV2 {
    const toolCalls = this.calls.map(({ id, name, json }) => ({
      id,
      type: 'function' as const,
      function: { name, arguments: json },
    }));
    const content = [
      ...(this.thinking === '' ? [] : [{ type: 'thinking' as const, thinking: this.thinking }]),
      ...(this.text === '' ? [] : [{ type: 'text' as const, text: this.text }]),
    ];
    return {
      role: 'assistant',
      ...(content.length > 0 && { content }),
      ...(this.plan !== '' && { toolPlan: this.plan }),
      ...(toolCalls.length > 0 && { toolCalls }),
    };
  }
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
    stop,
    schema,
  } = setup;
  const client = new CohereClientV2({ token: key, environment: `${origin}${prefix}` });
  const messages: Cohere.ChatMessages = [{ role: 'system', content: system }];
  const ask = async (): Promise<Answer> => {
    const request = {
      model,
      messages,
      ...present({ maxTokens, temperature }),
      ...(stop !== undefined && { stopSequences: [stop] }),
      ...(setup.thinks === true && {
        thinking: { type: 'enabled' as const, tokenBudget: THINKING_TOKENS },
      }),
      ...(schema !== undefined && {
        responseFormat: { type: 'json_object' as const, jsonSchema: schema as Record<string, unknown> },
      }),
      ...(tools.length > 0 && {
        tools: tools.map(({ name, description, schema }) => ({
          type: 'function' as const,
          function: { name, description, parameters: schema },
        })),
        ...(forced === true && { toolChoice: 'REQUIRED' as const }),
      }),
    };
    const options = { maxRetries: 0, ...present({ abortSignal: setup.signal }) };
    const collected = new Collected(setup.onText);
    if (streamed) {
      for await (const event of await client.chatStream(request, options)) collected.addEvent(event);
    } else {
      collected.addWhole(await client.chat(request, options));
    }
    messages.push(collected.message());
    return collected.answer();
  };
  return {
    say: (text, image) => {
      const shown = image && { type: 'image_url' as const, imageUrl: { url: dataUrl(image) } };
      messages.push({ role: 'user', content: shown ? [{ type: 'text', text }, shown] : text });
      return ask();
    },
    tell: (results) => {
      messages.push(
        ...results.map(({ id, text }) => ({ role: 'tool' as const, toolCallId: id, content: text })),
      );
      return ask();
    },
  };
}

function kindOf(error: unknown): ErrorKind {
  if (error instanceof Cohere.TooManyRequestsError) return 'rate limit';
  if (error instanceof Cohere.UnauthorizedError) return 'key';
  if (error instanceof Cohere.NotFoundError) return 'not found';
  if (error instanceof Cohere.BadRequestError) return 'request';
  if (error instanceof Cohere.InternalServerError) return 'server';
  if (error instanceof CohereError) return kindOfStatus(error.statusCode);
  return error instanceof Error && /abort/i.test(error.message) ? 'abort' : 'other';
}

export const cohere: Client = {
  dialect: 'cohere',
  sdk: 'cohere-ai',
  hasTemperature: true,
  hasStop: true,
  needsLimit: false,
  open,
  kindOf,
};
