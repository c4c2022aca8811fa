/** `@aws-sdk/client-bedrock-runtime`. */

import {
  AccessDeniedException,
  BedrockRuntimeClient,
  BedrockRuntimeServiceException,
  ConverseCommand,
  ConverseStreamCommand,
  InternalServerException,
  ResourceNotFoundException,
  ThrottlingException,
  ValidationException,
  type ContentBlock,
  type ConverseStreamOutput,
  type Message,
  type ReasoningContentBlockDelta,
  type StopReason,
  type TokenUsage,
  type ToolConfiguration,
} from '@aws-sdk/client-bedrock-runtime';
import { ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY } from '../upstreams/sigv4.js';
import type { Answer, Finish, Tool } from '../script.js';
import {
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
  end_turn: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

function answerOf(
  content: readonly ContentBlock[],
  stopReason: StopReason | undefined,
  usage: TokenUsage | undefined,
): Answer {
  const finish = FINISHES[stopReason ?? ''];
  if (finish === undefined) throw new Error(`the answer ends with ${stopReason}`);
  if (usage === undefined) throw new Error('the answer has no usage');
  const {
    inputTokens = 0,
    outputTokens,
    cacheReadInputTokens: cached = 0,
    cacheWriteInputTokens = 0,
  } = usage;
  return {
    thinking: content.map(({ reasoningContent }) => reasoningContent?.reasoningText?.text ?? '').join(''),
    text: content.map(({ text }) => text ?? '').join(''),
    calls: content.flatMap(({ toolUse }) =>
      toolUse === undefined
        ? []
        : [
            {
              id: toolUse.toolUseId ?? '',
              name: toolUse.name ?? '',
              input: toolUse.input as Record<string, unknown>,
            },
          ],
    ),
    finish,
    usage: present({
      input: inputTokens + cached + cacheWriteInputTokens,
      output: outputTokens,
      cached,
      written: cacheWriteInputTokens,
    }),
  };
}

/** A message as its events tell it. */
class Collected {
  readonly content: ContentBlock[] = [];
  usage: TokenUsage | undefined;
  stopReason: StopReason | undefined;
  private text = '';
  private thought: { readonly text: string; readonly signature: string } | undefined;
  private tool: { toolUseId: string | undefined; name: string | undefined; input: string } | undefined;

  constructor(private readonly onText: ((piece: string) => void) | undefined) {}

  add(event: ConverseStreamOutput): void {
    const start = event.contentBlockStart?.start?.toolUse;
    if (start !== undefined) this.tool = { toolUseId: start.toolUseId, name: start.name, input: '' };
    this.addDelta(event);
    if (event.contentBlockStop !== undefined) this.endBlock();
    this.stopReason = event.messageStop?.stopReason ?? this.stopReason;
    this.usage = event.metadata?.usage ?? this.usage;
  }

  private addDelta({ contentBlockDelta }: ConverseStreamOutput): void {
    const { text, toolUse, reasoningContent } = contentBlockDelta?.delta ?? {};
    if (reasoningContent !== undefined) this.addThought(reasoningContent);
    if (text !== undefined) {
      this.text += text;
      this.onText?.(text);
    }
    if (toolUse !== undefined) {
      if (this.tool === undefined) throw new Error('input of a tool whose block has not begun');
      this.tool.input += toolUse.input ?? '';
    }
  }

  private addThought({ text = '', signature = '' }: ReasoningContentBlockDelta): void {
    const before = this.thought ?? { text: '', signature: '' };
    this.thought = { text: before.text + text, signature: before.signature + signature };
  }

  private endBlock(): void {
    if (this.thought !== undefined) {
      this.content.push({ reasoningContent: { reasoningText: this.thought } });
    } else if (this.tool === undefined) this.content.push({ text: this.text });
    else {
      const { toolUseId, name, input } = this.tool;
      const toolUse = { toolUseId, name, input: inputOf(input === '' ? '{}' : input) };
      this.content.push({ toolUse } as ContentBlock);
    }
    this.tool = undefined;
    this.thought = undefined;
    this.text = '';
  }
}

function toolConfig(tools: readonly Tool[], forced: boolean | undefined): ToolConfiguration {
  return {
    tools: tools.map(({ name, description, schema }) => ({
      toolSpec: { name, description, inputSchema: { json: schema } },
    })) as ToolConfiguration['tools'],
    toolChoice: forced === true ? { any: {} } : { auto: {} },
  };
}

/** A client that shows a key; without one it signs, as AWS itself would have it. */
function bedrockClient({ origin, prefix = '', key }: Pick<Setup, 'origin' | 'prefix' | 'key'>) {
  const common = { endpoint: `${origin}${prefix}`, region: REGION, maxAttempts: 1 };
  if (key === '') {
    const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY };
    return new BedrockRuntimeClient({ ...common, credentials });
  }
  return new BedrockRuntimeClient({
    ...common,
    token: { token: key },
    authSchemePreference: ['httpBearerAuth'],
  });
}

function open(setup: Setup): Conversation {
  const { model, streamed, system, tools, forced, maxTokens, temperature, stop, schema } = setup;
  const client = bedrockClient(setup);
  const messages: Message[] = [];
  const ask = async (): Promise<Answer> => {
    const request = {
      modelId: model,
      messages,
      system: [{ text: system }],
      inferenceConfig: {
        ...present({ maxTokens, temperature }),
        ...(stop !== undefined && { stopSequences: [stop] }),
      },
      ...(setup.thinks === true && {
        additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: THINKING_TOKENS } },
      }),
      ...(schema !== undefined && {
        outputConfig: {
          textFormat: {
            type: 'json_schema' as const,
            structure: { jsonSchema: { name: 'place', schema: JSON.stringify(schema) } },
          },
        },
      }),
      ...(tools.length > 0 && { toolConfig: toolConfig(tools, forced) }),
    };
    const options = present({ abortSignal: setup.signal });
    if (!streamed) {
      const { output, stopReason, usage } = await client.send(new ConverseCommand(request), options);
      const message = output?.message;
      if (message === undefined) throw new Error('the answer has no message');
      messages.push(message);
      return answerOf(message.content ?? [], stopReason, usage);
    }
    const { stream } = await client.send(new ConverseStreamCommand(request), options);
    const collected = new Collected(setup.onText);
    for await (const event of stream ?? []) collected.add(event);
    messages.push({ role: 'assistant', content: collected.content });
    return answerOf(collected.content, collected.stopReason, collected.usage);
  };
  return {
    say: (text, image) => {
      const bytes = Buffer.from(image?.data ?? '', 'base64');
      const shown = image ? [{ image: { format: 'png' as const, source: { bytes } } }] : [];
      messages.push({ role: 'user', content: [...shown, { text }] });
      return ask().finally(() => client.destroy());
    },
    tell: (results) => {
      const content = results.map(({ id, text }) => ({
        toolResult: { toolUseId: id, content: [{ text }] },
      }));
      messages.push({ role: 'user', content });
      return ask().finally(() => client.destroy());
    },
  };
}

function kindOf(error: unknown): ErrorKind {
  if (error instanceof ThrottlingException) return 'rate limit';
  if (error instanceof AccessDeniedException) return 'key';
  if (error instanceof ResourceNotFoundException) return 'not found';
  if (error instanceof ValidationException) return 'request';
  if (error instanceof InternalServerException) return 'server';
  if (error instanceof BedrockRuntimeServiceException) return kindOfStatus(error.$metadata.httpStatusCode);
  return error instanceof Error && error.name === 'AbortError' ? 'abort' : 'other';
}

export const bedrock: Client = {
  dialect: 'bedrock',
  sdk: '@aws-sdk/client-bedrock-runtime',
  hasTemperature: true,
  hasStop: true,
  needsLimit: false,
  open,
  kindOf,
};
