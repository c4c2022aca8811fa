/** What the matrix asks of every official SDK. */

import type { Answer, Dialect, Image, Result, Tool } from '../script.js';

/** Where a client is pointed, and what all of its conversation has in common. */
export interface Setup {
  /** `http://127.0.0.1:port`, of the gateway or of an upstream. */
  readonly origin: string;
  /** Path below the origin that stands before the paths of the dialect's own API. */
  readonly prefix?: string;
  readonly key: string;
  readonly model: string;
  readonly streamed: boolean;
  readonly system: string;
  readonly tools: readonly Tool[];
  /** Whether the model has to call a tool. */
  readonly forced?: boolean;
  readonly maxTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly stop?: string | undefined;
  /** Whether the model is to think before it answers, and show what. */
  readonly thinks?: boolean;
  /** The JSON Schema that the answer has to follow. */
  readonly schema?: Readonly<Record<string, unknown>> | undefined;
  /** Is told of every piece of text that arrives. */
  readonly onText?: (piece: string) => void;
  readonly signal?: AbortSignal;
}

/** A conversation, whose history the client keeps in its SDK's own objects, as applications do. */
export interface Conversation {
  /** The user says something, and may show something. */
  say: (text: string, image?: Image) => Promise<Answer>;
  /** The tools have been run. */
  tell: (results: readonly Result[]) => Promise<Answer>;
}

/** What an SDK makes of an error, in one word. */
export type ErrorKind = 'rate limit' | 'server' | 'key' | 'not found' | 'request' | 'abort' | 'other';

/** One official SDK. */
export interface Client {
  readonly dialect: Dialect;
  /** The npm package. */
  readonly sdk: string;
  /** Whether its requests may carry a temperature. */
  readonly hasTemperature: boolean;
  /** Whether its requests may carry a sequence to stop at. */
  readonly hasStop: boolean;
  /** Whether its dialect cannot do without a limit on the answer. */
  readonly needsLimit: boolean;
  /** A name of a tool that other dialects do not take: of other letters, or longer. */
  readonly oddName?: string;
  open: (setup: Setup) => Conversation;
  /** Goes by the SDK's own classes, and by the status where it has none. */
  kindOf: (error: unknown) => ErrorKind;
}

/** The kind of an error that only has a status. */
export function kindOfStatus(status: number | undefined): ErrorKind {
  if (status === 429) return 'rate limit';
  if (status === 401 || status === 403) return 'key';
  if (status === 404) return 'not found';
  if (status === 400 || status === 422) return 'request';
  return status !== undefined && status >= 500 ? 'server' : 'other';
}

/** How long a model may think, in tokens. */
export const THINKING_TOKENS = 2048;

/** Arguments as an object. */
export function inputOf(json: string): Readonly<Record<string, unknown>> {
  return JSON.parse(json) as Record<string, unknown>;
}

/** A picture as a URL of its bytes. */
export function dataUrl({ mediaType, data }: Image): string {
  return `data:${mediaType};base64,${data}`;
}

/** Members whose value is there; SDKs with exact types take no others. */
export function present<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
