/** A provider that does what a test says, and remembers what it was asked. */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from 'vitest';

const upstreams = new Set<Upstream>();

afterAll(() => {
  for (const upstream of upstreams) upstream.close();
});

/** A request as it arrived. */
export interface Received {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Resolves when the gateway goes away before the answer is whole. */
  readonly closed: Promise<void>;
}

/** Longest time the gateway may take to let go of a provider whose client has gone, with some for a busy machine. */
const LET_GO_MS = 2_000;

/** Whether the gateway has given a request up, at once or within the time it may take. */
export function isLetGo({ closed }: Received): Promise<boolean> {
  return Promise.race([closed.then(() => true), sleep(LET_GO_MS, false)]);
}

/** Answers one request. */
export type Handler = (request: Received, response: ServerResponse) => void | Promise<void>;

/** A scripted provider on a port of its own. */
export class Upstream {
  readonly requests: Received[] = [];
  /** How requests are answered from now on. */
  handler: Handler;

  private constructor(
    handler: Handler,
    private readonly server = createServer(),
  ) {
    this.handler = handler;
    server.on('request', (request, response) => void this.serve(request, response));
  }

  static async start(handler: Handler = chatHandler()): Promise<Upstream> {
    const upstream = new Upstream(handler);
    await new Promise<void>((resolve) => {
      upstream.server.listen(0, '127.0.0.1', resolve);
    });
    upstreams.add(upstream);
    return upstream;
  }

  /** `http://127.0.0.1:port` */
  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Base URL for the configuration. */
  get url(): string {
    return `${this.origin}/v1`;
  }

  get last(): Received {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error('the provider was not asked');
    return last;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      response.on('close', () => {
        if (!response.writableFinished) resolve();
      });
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = '', url = '', headers } = request;
    const received = { method, path: url, headers, body: Buffer.concat(chunks), closed };
    this.requests.push(received);
    await this.handler(received, response);
  }
}

/** Token counts as OpenAI reports them. */
export interface TokenUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Usage of an answer. */
export function usageOf(prompt_tokens: number, completion_tokens: number): TokenUsage {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** A whole chat completion. */
export function completion(content: string, usage: TokenUsage | null): object {
  const message = { role: 'assistant', content };
  const choices = [{ index: 0, message, finish_reason: 'stop' }];
  return { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'scripted', choices, usage };
}

/** One chunk of a chat stream. */
export function chunk(
  delta: object,
  finish_reason: string | null = null,
  usage: TokenUsage | null = null,
): object {
  const choices = [{ index: 0, delta, finish_reason }];
  return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'scripted', choices, usage };
}

/** The chunk that reports usage. */
export function usageChunk(usage: TokenUsage): object {
  return { ...chunk({}), choices: [], usage };
}

/** The text of an event. */
export function event(data: object | string): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

/** Begins a stream. */
export function beginStream(response: ServerResponse, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...headers });
}

/** A chat stream in full, one write per event, with a pause in front of each. */
export async function streamChat(
  response: ServerResponse,
  words: readonly string[],
  usage: TokenUsage | null,
  gapMs = 0,
): Promise<void> {
  beginStream(response);
  const deltas = words.map((content) => chunk({ content }));
  const events = [chunk({ role: 'assistant', content: '' }), ...deltas, chunk({}, 'stop')];
  for (const one of events) {
    response.write(event(one));
    if (gapMs > 0) await sleep(gapMs);
  }
  if (usage !== null) response.write(event(usageChunk(usage)));
  response.end(event('[DONE]'));
}

/** What a test needs to know of a request's body. */
export interface ChatRequest {
  readonly model: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

/** The body of a request. */
export function chatRequest({ body }: Received): ChatRequest {
  return JSON.parse(body.toString()) as ChatRequest;
}

/** Answers chat requests as asked for: whole or as a stream, with usage in a stream where it is asked for. */
export function chatHandler(
  options: { words?: readonly string[]; usage?: TokenUsage; gapMs?: number } = {},
): Handler {
  const { words = ['Good', ' morning'], usage = usageOf(11, 7), gapMs = 0 } = options;
  return async (request, response) => {
    const { stream = false, stream_options } = chatRequest(request);
    if (!stream) sendJson(response, completion(words.join(''), usage));
    else await streamChat(response, words, stream_options?.include_usage === true ? usage : null, gapMs);
  };
}
