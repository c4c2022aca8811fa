/** A server that answers as it is told, and remembers what it was asked. */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly form: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One answer. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text, or what becomes JSON. */
  readonly body: unknown;
}

export class TokenServer {
  readonly asked: Asked[] = [];
  answer: (asked: Asked) => Answer = () => ({ body: {} });
  private server: Server | null = null;

  get url(): string {
    if (this.server === null) throw new Error('the server does not run');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        const form = Object.fromEntries(new URLSearchParams(body));
        const { method = '', url = '', headers } = request;
        const asked = { method, path: url, headers, form, body };
        this.asked.push(asked);
        const answer = this.answer(asked);
        response.writeHead(answer.status ?? 200, answer.headers ?? {});
        response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    this.server = server;
  }

  stop(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }
}
