/** Keys of a running gateway, through its admin API. */

import type { KeyList, KeysAccess, KeyView, KeyWithSecret, NewKey } from './keys-access.js';
import { CommandFailed } from './io.js';

/** Longest wait for an answer of the admin API. */
const TIMEOUT_MS = 10_000;

/** Longest wait for a sign of life. */
const PROBE_TIMEOUT_MS = 1_000;

/** Most keys asked for at once. */
const PAGE_SIZE = 500;

/** Whether an admin listener answers at this URL. */
export async function isAdminThere(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return answer.ok;
  } catch {
    return false;
  }
}

/** Has a running gateway seal its secrets anew. */
export async function rotateSecretsAt(
  url: string,
  token: string,
): Promise<{ readonly masterKey: string; readonly sealed: number }> {
  const answer = await new ApiKeys(url, token).call<{ master_key: string; sealed: number }>(
    'POST',
    '/secrets/rotate',
  );
  return { masterKey: answer.master_key, sealed: answer.sealed };
}

/** The admin API as a place where keys are kept. */
export class ApiKeys implements KeysAccess {
  readonly where: string;

  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {
    this.where = `the gateway at ${url}`;
  }

  async list(): Promise<KeyView[]> {
    const keys: KeyView[] = [];
    let after: number | null = 0;
    while (after !== null) {
      const page: KeyList = await this.call('GET', `/keys?limit=${PAGE_SIZE}&after=${after}`);
      keys.push(...page.keys);
      after = page.next_after;
    }
    return keys;
  }

  create(key: NewKey): Promise<KeyWithSecret> {
    return this.call('POST', '/keys', key);
  }

  rotate(id: number, overlapSeconds: number): Promise<KeyWithSecret> {
    return this.call('POST', `/keys/${id}/rotate`, { overlap_seconds: overlapSeconds });
  }

  revoke(id: number): Promise<KeyView> {
    return this.call('DELETE', `/keys/${id}`);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A request to a path below `/admin/v1`. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send(method, path, body);
    const content: unknown = await answer.json().catch(() => null);
    if (answer.ok) return content as T;
    if (answer.status === 401) throw new CommandFailed(`${this.where} refused the admin token`);
    const reason = (content as { error?: { message?: unknown } } | null)?.error?.message;
    throw new CommandFailed(typeof reason === 'string' ? reason : `${this.where} answered ${answer.status}`);
  }

  private async send(method: string, path: string, body: unknown): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    try {
      return await fetch(`${this.url}/admin/v1${path}`, {
        method,
        headers,
        signal,
        redirect: 'error',
        ...content,
      });
    } catch (error) {
      const { cause } = error as { cause?: NodeJS.ErrnoException };
      throw new CommandFailed(`cannot reach ${this.where}: ${cause?.code ?? (error as Error).message}`);
    }
  }
}
