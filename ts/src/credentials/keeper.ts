/**
 * Keeps fetched credentials good: fetches each before it is first used and again before it expires. All of it happens
 * away from requests; a credential that cannot be renewed stays in use, for it may be good a while longer.
 */

import type { CredentialSource } from '../governance/credential-source.js';
import type { Credential } from './exchange.js';

/** A credential is renewed when this part of its life is left, at most {@link MAX_MARGIN_MS}. */
const MARGIN = 0.2;
const MAX_MARGIN_MS = 600_000;
/** Renewals are spread over this part of the margin, so that many gateways do not ask at once. */
const JITTER = 0.3;
/** Shortest wait between two renewals: Amazon gives out the same credential until shortly before its end. */
const MIN_RENEWAL_MS = 30_000;
/** Wait where a credential does not say when it expires, and the longest wait of all. */
const USUAL_RENEWAL_MS = 1_800_000;
const MAX_RENEWAL_MS = 86_400_000;
/** First and longest wait after a failure. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** What the keeper works with. */
export interface KeeperOptions {
  readonly fetch: (source: CredentialSource, now: number, stop: AbortSignal) => Promise<Credential>;
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Calls back after so many milliseconds; answers how to call that off. */
  readonly schedule: (ms: number, work: () => void) => () => void;
  /** Told of every failure; `validUntil` is the end of the credential in use, null where there is none. */
  readonly onError: (source: CredentialSource, error: unknown, validUntil: number | null) => void;
}

interface Entry {
  readonly source: CredentialSource;
  readonly first: Promise<void>;
  credential: Credential | null;
  failures: number;
  cancel: () => void;
}

/** Holds the credentials of the sources in use. */
export class CredentialKeeper {
  private readonly entries = new Map<string, Entry>();
  private readonly stopped = new AbortController();
  private listener: (() => void) | null = null;
  private changed = false;

  constructor(private readonly options: KeeperOptions) {}

  /** Begins with sources that are new, and waits until each has been tried once. */
  async prepare(sources: readonly CredentialSource[]): Promise<void> {
    await Promise.all(sources.map((source) => this.entryOf(source).first));
  }

  /** Ends with all other sources. */
  retain(sources: readonly CredentialSource[]): void {
    const kept = new Set(sources.map(keyOf));
    for (const [key, entry] of this.entries) {
      if (kept.has(key)) continue;
      entry.cancel();
      this.entries.delete(key);
    }
  }

  /** The secret last fetched; null where none has come yet. */
  secretOf(source: CredentialSource): string | null {
    return this.entries.get(keyOf(source))?.credential?.secret ?? null;
  }

  /** Tells of every secret that changes after its source was prepared; at once where one already has. */
  listen(onChange: () => void): void {
    this.listener = onChange;
    if (this.changed) onChange();
  }

  stop(): void {
    this.stopped.abort();
    this.retain([]);
  }

  private entryOf(source: CredentialSource): Entry {
    const key = keyOf(source);
    const known = this.entries.get(key);
    if (known !== undefined) return known;
    let settle = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const entry: Entry = { source, first, credential: null, failures: 0, cancel: () => undefined };
    this.entries.set(key, entry);
    void this.renew(entry, key, true).then(settle);
    return entry;
  }

  private async renew(entry: Entry, key: string, isFirst: boolean): Promise<void> {
    const { fetch, now, onError } = this.options;
    const before = entry.credential?.secret;
    try {
      entry.credential = await fetch(entry.source, now(), this.stopped.signal);
      entry.failures = 0;
    } catch (error) {
      if (this.entries.get(key) !== entry) return;
      entry.failures += 1;
      onError(entry.source, error, entry.credential?.expiresAt ?? null);
    }
    if (this.entries.get(key) !== entry) return;
    entry.cancel = this.options.schedule(this.delayOf(entry), () => void this.renew(entry, key, false));
    if (!isFirst && entry.credential?.secret !== before) this.tell();
  }

  private tell(): void {
    this.changed = true;
    this.listener?.();
  }

  private delayOf({ credential, failures }: Entry): number {
    const { now, random } = this.options;
    if (failures > 0) {
      const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 16));
      return Math.round(longest * (0.5 + 0.5 * random()));
    }
    const expiresAt = credential?.expiresAt ?? null;
    if (expiresAt === null) return USUAL_RENEWAL_MS;
    const left = expiresAt - now();
    const margin = Math.min(left * MARGIN, MAX_MARGIN_MS) * (1 + JITTER * random());
    return Math.round(Math.min(Math.max(left - margin, MIN_RENEWAL_MS), MAX_RENEWAL_MS));
  }
}

/** Sources that are the same in everything share a credential. */
function keyOf(source: CredentialSource): string {
  return JSON.stringify(source);
}
