/** A scripted provider: an HTTP server that reads requests as strictly as the real one, and answers by the script. */

import { createServer as createHttp1, type IncomingHttpHeaders } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { reply, type Break, type Dialect, type Scripted, type Seen } from './script.js';
import { Refused } from './shapes.js';

/** The keys that the upstreams take. */
export const PROVIDER_KEY = 'provider-key-0123456789abcdef';

/** A request as it arrived. */
export interface Received {
  readonly method: string;
  /** As on the wire, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What both versions of HTTP have in common. */
interface Incoming extends AsyncIterable<Buffer> {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}
interface Outgoing {
  writeHead: (status: number, headers: Readonly<Record<string, string>>) => unknown;
  write: (chunk: Uint8Array) => boolean;
  end: (chunk: string) => unknown;
  destroy: () => unknown;
  on: (event: 'close', listener: () => void) => unknown;
}

/** What is sent back at once. */
export interface Whole {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What is sent back piece by piece. */
export interface Streamed {
  readonly headers: Readonly<Record<string, string>>;
  readonly frames: readonly (string | Uint8Array)[];
}

/** A provider's side of a dialect. */
export interface Provider {
  readonly dialect: Dialect;
  /** Path of its base URL. */
  readonly base: string;
  /** The model it knows. */
  readonly model: string;
  /** Another generation of models, with other rules about sampling and thinking. */
  readonly sibling?: string;
  /** The id of a call it makes; `undefined` where calls have none. */
  idOf: (index: number) => string;
  /** Reads a request, or throws `Refused`. */
  read: (received: Received) => Seen;
  whole: (answer: Scripted, seen: Seen) => Whole;
  stream: (answer: Scripted, seen: Seen) => Streamed;
  refusal: (refused: Refused) => Whole;
  /** What it sends in a stream when it cannot go on. */
  fault: (message: string) => readonly (string | Uint8Array)[];
}

/** Longest wait for a client to have seen the first piece. Whoever needs longer holds streams back. */
const HELD_MS = 3_000;

/** The first piece of the streamed answer, after which an upstream waits until the client has it. */
const FIRST_PIECE = 'Bonjour';

/** A running scripted provider. */
export class Upstream {
  /** Requests that were fine. */
  readonly seen: Seen[] = [];
  /** What was wrong with the others. */
  readonly refusals: string[] = [];
  /** Whether a client got no piece before the stream went on. */
  heldBack = false;
  /** Answers whose receiver went away before they were whole. */
  abandoned = 0;
  private release = (): void => {};

  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(readonly provider: Provider) {
    const http1 = createHttp1((request, response) => void this.serve(request, response));
    const http2 = createHttp2((request, response) => void this.serve(request, response));
    this.server = createServer({ noDelay: true }, (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      // The SDK of AWS speaks HTTP/2 from the first byte, the others HTTP/1.1.
      socket.once('data', (chunk: Buffer) => {
        socket.pause();
        socket.unshift(chunk);
        (chunk.toString('latin1').startsWith('PRI ') ? http2 : http1).emit('connection', socket);
        process.nextTick(() => socket.resume());
      });
    });
  }

  static async start(provider: Provider): Promise<Upstream> {
    const upstream = new Upstream(provider);
    await new Promise<void>((resolve) => {
      upstream.server.listen(0, '127.0.0.1', resolve);
    });
    return upstream;
  }

  /** `http://127.0.0.1:port` */
  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** What a configuration calls `base_url`. */
  get url(): string {
    return `${this.origin}${this.provider.base}`;
  }

  /** Forgets what was asked so far. */
  reset(): void {
    this.seen.length = 0;
    this.refusals.length = 0;
    this.heldBack = false;
    this.abandoned = 0;
  }

  /** Says that the client has the first piece of a stream. */
  arrived(): void {
    this.release();
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private async serve(request: Incoming, response: Outgoing): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = '', url = '', headers } = request;
    const [path = '', query] = url.split('?', 2);
    const received = {
      method,
      path,
      query: new URLSearchParams(query ?? ''),
      headers,
      body: Buffer.concat(chunks),
    };
    try {
      const seen = this.read(received);
      const answer = reply(seen, (index) => this.provider.idOf(index));
      if (seen.stream) await this.sendStream(response, this.provider.stream(answer, seen), answer.breaks);
      else sendWhole(response, 200, this.provider.whole(answer, seen));
    } catch (error) {
      const refused = error instanceof Refused ? error : new Refused(500, String(error));
      if (refused.status < 429) this.refusals.push(`${refused.status} ${refused.message}`);
      sendWhole(response, refused.status, this.provider.refusal(refused));
    }
  }

  private read(received: Received): Seen {
    if (received.method !== 'POST') throw new Refused(405, `${received.method} is not allowed`);
    if (!/^application\/json\b/.test(received.headers['content-type'] ?? '')) {
      throw new Refused(415, `content-type is ${received.headers['content-type']}`);
    }
    const seen = this.provider.read(received);
    this.seen.push(seen);
    return seen;
  }

  private async sendStream(
    response: Outgoing,
    { headers, frames }: Streamed,
    breaks: Break | undefined,
  ): Promise<void> {
    response.writeHead(200, headers);
    let isWhole = false;
    response.on('close', () => {
      if (!isWhole) this.abandoned += 1;
    });
    let isHeld = false;
    for (const frame of frames) {
      const bytes = Buffer.from(frame);
      // Cut in two, so that no reader can count on whole events.
      const half = bytes.length >> 1;
      response.write(bytes.subarray(0, half));
      await sleep(1);
      response.write(bytes.subarray(half));
      if (isHeld || !bytes.includes(FIRST_PIECE)) continue;
      isHeld = true; // once: a last event may repeat all of the text
      await this.hold();
      if (breaks === 'torn') return void response.destroy();
      if (breaks === 'fault') {
        for (const last of this.provider.fault('Overloaded, come back later.'))
          response.write(Buffer.from(last));
        break;
      }
    }
    isWhole = true;
    response.end('');
  }

  /** Waits until the client has the first piece. */
  private async hold(): Promise<void> {
    const arrival = new Promise<true>((resolve) => {
      this.release = (): void => resolve(true);
    });
    this.heldBack = !(await Promise.race([arrival, sleep(HELD_MS, false, { ref: false })]));
  }
}

function sendWhole(response: Outgoing, status: number, { headers = {}, body }: Whole): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** Headers of a stream of events. */
export const EVENTS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };

/** Refuses a request that has not this path. */
export function requirePath(received: Received, path: string): void {
  if (received.path !== path) throw new Refused(404, `there is no ${received.path}`);
}

/** Refuses a request without the key. */
export function requireKey(found: string | undefined, wanted = PROVIDER_KEY): void {
  if (found !== wanted) throw new Refused(401, `the key is ${JSON.stringify(found)}`);
}

/** The key of `Authorization: Bearer`. */
export function bearer({ headers }: Received): string | undefined {
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
}
