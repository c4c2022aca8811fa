/** Keys in the database of a data directory, whether or not a gateway runs on it: a running one notices changes. */

import { randomBytes } from 'node:crypto';
import type { AuditRepository } from '../governance/access-ports.js';
import {
  KEYS_CHANGED_FACT,
  KEYS_SERVED_FACT,
  NameTaken,
  type FactRepository,
  type KeyLimits,
  type KeyRepository,
  type VirtualKeyRow,
} from '../governance/ports.js';
import { InvalidKeyRequest, keyState, mintKey, revokeKey, rotateKey } from '../governance/virtual-key.js';
import { commandEntry } from './audit-entry.js';
import { CommandFailed } from './io.js';
import type { KeysAccess, KeyView, KeyWithSecret, NewKey } from './keys-access.js';

const MS_PER_SECOND = 1_000;

/** Longest wait for a running gateway to serve a change; it looks several times a second. */
const NOTICE_TIMEOUT_MS = 5_000;
const NOTICE_POLL_MS = 20;

/** The database as a place where keys are kept. */
export class StoredKeys implements KeysAccess {
  private isChanged = false;

  constructor(
    private readonly store: KeyRepository &
      FactRepository & { readonly audit: Pick<AuditRepository, 'append'>; close(): Promise<void> },
    readonly where: string,
    private readonly now: () => number = Date.now,
    private readonly noticeTimeoutMs = NOTICE_TIMEOUT_MS,
  ) {}

  async list(): Promise<KeyView[]> {
    return (await this.store.listKeys()).map((key) => this.view(key));
  }

  create(key: NewKey): Promise<KeyWithSecret> {
    return this.change(async () => {
      const { name, models, expires_at: expiry } = key;
      const expiresAt = expiry === undefined ? null : Date.parse(expiry);
      const limits = limitsOf(key.limits ?? {});
      const minted = mintKey({ name, limits, expiresAt, ...(models && { models }) }, randomBytes, this.now());
      const made = this.view(await this.store.insertKey(minted.row));
      return { key: await this.logged('createKey', null, made), secret: minted.secret };
    });
  }

  rotate(id: number, overlapSeconds: number): Promise<KeyWithSecret> {
    return this.change(async () => {
      const key = await this.own(id);
      const overlapMs = overlapSeconds * MS_PER_SECOND;
      const { change, secret } = rotateKey(key, { overlapMs }, randomBytes, this.now());
      const rotated = this.view((await this.store.updateKey(id, change)) ?? key);
      return { key: await this.logged('rotateKey', this.view(key), rotated), secret };
    });
  }

  revoke(id: number): Promise<KeyView> {
    return this.change(async () => {
      const key = await this.own(id);
      const revoked = this.view((await this.store.updateKey(id, revokeKey(key, this.now()))) ?? key);
      return this.logged('revokeKey', this.view(key), revoked);
    });
  }

  close(): Promise<void> {
    return this.store.close();
  }

  /**
   * Waits until the gateway that runs on this database serves what was changed; false if it does not within a few
   * seconds. Several commands at once may wait for each other's changes, never less than for their own.
   */
  async isServed(): Promise<boolean> {
    if (!this.isChanged) return true;
    const changedAt = new Date(this.now()).toISOString();
    await this.store.setFact(KEYS_CHANGED_FACT, changedAt);
    const deadline = performance.now() + this.noticeTimeoutMs;
    while (performance.now() < deadline) {
      if (((await this.store.fact(KEYS_SERVED_FACT)) ?? '') >= changedAt) return true;
      await delay(NOTICE_POLL_MS);
    }
    return false;
  }

  private async logged(action: string, before: KeyView | null, after: KeyView): Promise<KeyView> {
    const act = { action, object: 'key', objectId: after.id, before, after };
    await this.store.audit.append(commandEntry(act, this.now()));
    return after;
  }

  private change<T>(work: () => Promise<T>): Promise<T> {
    this.isChanged = true;
    return explained(work);
  }

  private async own(id: number): Promise<VirtualKeyRow> {
    const key = await this.store.findKey(id);
    if (key === null) throw new CommandFailed(`there is no key with id ${id}`);
    if (key.source === 'api') return key;
    throw new CommandFailed(
      `the key ${JSON.stringify(key.name)} is declared in the configuration file; change it there`,
    );
  }

  private view(key: VirtualKeyRow): KeyView {
    const [current, previous] = key.digests;
    return {
      id: key.id,
      name: key.name,
      source: key.source,
      state: keyState(key, this.now()),
      models: key.models,
      limits: {
        requests_per_minute: key.limits.requestsPerMinute ?? null,
        tokens_per_minute: key.limits.tokensPerMinute ?? null,
        concurrency: key.limits.concurrency ?? null,
      },
      hint: key.hint,
      created_at: timestamp(key.createdAt),
      expires_at: timestampOrNull(current?.expiresAt),
      previous_secret_expires_at: timestampOrNull(previous?.expiresAt),
      revoked_at: timestampOrNull(key.revokedAt),
    };
  }
}

function limitsOf(limits: NonNullable<NewKey['limits']>): KeyLimits {
  return {
    ...(limits.requests_per_minute !== undefined && { requestsPerMinute: limits.requests_per_minute }),
    ...(limits.tokens_per_minute !== undefined && { tokensPerMinute: limits.tokens_per_minute }),
    ...(limits.concurrency !== undefined && { concurrency: limits.concurrency }),
  };
}

/** Refusals of the rules about keys, as failures of the command. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof InvalidKeyRequest || error instanceof NameTaken)
      throw new CommandFailed(error.message);
    throw error;
  }
}

function timestamp(at: number): string {
  return new Date(at).toISOString();
}

function timestampOrNull(at: number | null | undefined): string | null {
  return at === null || at === undefined ? null : timestamp(at);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
