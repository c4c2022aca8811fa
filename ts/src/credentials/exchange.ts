/**
 * One request to a service that gives out credentials. Redirects are refused, since the request carries a secret; the
 * answer is read up to a bound; and what goes wrong is said without a word of what was sent or received.
 */

/** Longest answer, in bytes; credentials are a few kilobytes. */
const MAX_ANSWER_BYTES = 65_536;

/** A credential as it was given out. */
export interface Credential {
  /** As the data plane takes it: a token, or for Amazon a JSON text. */
  readonly secret: string;
  /** Milliseconds since 1970; null where it does not say. */
  readonly expiresAt: number | null;
}

/** A credential could not be fetched. The message never holds a secret. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** What a request is made of. */
export interface ExchangeRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>;
}

/** The text of the answer. Rejects with {@link CredentialError}. */
export async function exchange(request: ExchangeRequest, signal: AbortSignal): Promise<string> {
  const { url, method, headers = {}, form } = request;
  const body = form === undefined ? null : new URLSearchParams(form);
  let response: Response;
  try {
    response = await fetch(url, { method, headers, body, redirect: 'error', signal });
  } catch (error) {
    throw new CredentialError(`${placeOf(url)} could not be reached: ${reasonOf(error)}`);
  }
  const text = await readBounded(response, url);
  if (response.ok) return text;
  throw new CredentialError(`${placeOf(url)} answered ${response.status}${errorCode(text)}`);
}

/** The members of a JSON answer. Rejects with {@link CredentialError}. */
export async function exchangeJson(
  request: ExchangeRequest,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await exchange(request, signal);
  const data = parseObject(text);
  if (data === null) throw new CredentialError(`${placeOf(request.url)} answered something else than JSON`);
  return data;
}

/** A member that is a text and not empty. */
export function textMember(data: Readonly<Record<string, unknown>>, name: string, url: string): string {
  const value = data[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new CredentialError(`${placeOf(url)} answered without ${name}`);
}

/** An OAuth answer as a credential. */
export function tokenFrom(data: Readonly<Record<string, unknown>>, url: string, now: number): Credential {
  const secret = textMember(data, 'access_token', url);
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new CredentialError(`${placeOf(url)} answered no usable token`);
  return { secret, expiresAt: expiryOf(data, now) };
}

/** OAuth's lifetime in seconds, or the time of day in milliseconds that some give in its place. */
function expiryOf(data: Readonly<Record<string, unknown>>, now: number): number | null {
  const lifetime = Number(data['expires_in']);
  if (lifetime > 0) return now + lifetime * 1_000;
  const end = Number(data['expires_at']);
  return end > now ? end : null;
}

async function readBounded(response: Response, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new CredentialError(`${placeOf(url)} broke off its answer: ${reasonOf(error)}`);
  }
  if (bytes > MAX_ANSWER_BYTES) throw new CredentialError(`${placeOf(url)} answered too much`);
  return Buffer.concat(chunks).toString('utf8');
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const data = JSON.parse(text) as unknown;
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...data } : null;
  } catch {
    return null;
  }
}

/** OAuth's error code, or the XML one of Amazon: one word, which cannot be a secret of ours. */
function errorCode(text: string): string {
  const code = parseObject(text)?.['error'] ?? /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1];
  return typeof code === 'string' && /^\w{1,64}$/.test(code) ? ` (${code})` : '';
}

/** Where a URL leads, without path and query. */
function placeOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the address';
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { code } = (error.cause ?? error) as NodeJS.ErrnoException;
  return code ?? error.name;
}
