/** Plain HTTP/1.1 requests, with what came back as it came: clients that mean well hide headers and bytes. */

import { request as send, type Agent, type IncomingHttpHeaders } from 'node:http';
import { KEY } from './gateway.js';

/** An answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Names as sent, and values, in order. */
  readonly lines: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** False where the body broke off. */
  readonly isWhole: boolean;
}

/** How a request is sent. */
export interface Sending {
  readonly method?: string;
  readonly body?: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  /** Key to present; that of the tests unless given, null for none. */
  readonly key?: string | null;
}

/** Sends a request and reads the answer to its end, whether it is whole or not. */
export function ask(url: string, sending: Sending = {}): Promise<Answer> {
  const { body, method = body === undefined ? 'GET' : 'POST', headers = {}, agent, key = KEY } = sending;
  return new Promise((resolve, reject) => {
    const options = {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
        }),
        ...headers,
      },
      ...(agent !== undefined && { agent }),
    };
    const request = send(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => {}); // a body that breaks off is told of by `isWhole`
      response.on('close', () => {
        const { statusCode = 0, rawHeaders, complete } = response;
        const lines = pairs(rawHeaders);
        resolve({
          status: statusCode,
          headers: response.headers,
          lines,
          body: Buffer.concat(chunks),
          isWhole: complete,
        });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : []));
}
