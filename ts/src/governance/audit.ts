/**
 * The audit log's entries and the chain that holds them together. Pure.
 *
 * Each entry carries the SHA-256 digest of the one before and of itself, so an entry that is changed, taken out or put in
 * breaks the chain at that place. Who can write the database could compute the whole chain anew, or cut its end off: the
 * digest of the newest entry, kept elsewhere, shows that too.
 */
import { createHash } from 'node:crypto';
import type { Actor } from './access.js';
import { canonicalJson } from './canonical-json.js';

/** What became of the request. */
export const OUTCOMES = ['done', 'refused', 'failed'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The digest before the first entry. */
export const GENESIS = '0'.repeat(64);

/** Longest text of an object's state; a longer one is kept as its digest. */
const MAX_STATE_CHARACTERS = 32_768;

/** Longest of the short texts. */
const MAX_TEXT_CHARACTERS = 512;

/** Who did it, and by which way. */
export interface AuditContext {
  readonly at: number;
  readonly actor: Pick<Actor, 'kind' | 'id' | 'name' | 'role'>;
  /** Peer address of the request; null where there is none. */
  readonly address: string | null;
  readonly requestId: string | null;
}

/** What was done. */
export interface AuditAct {
  /** The operation, as `createKey`. */
  readonly action: string;
  /** Kind of the object. */
  readonly object: string;
  readonly objectId: string | number;
  /** States without secrets; null for none. */
  readonly before: unknown;
  readonly after: unknown;
  readonly outcome: Outcome;
}

/** An entry that is not in the log yet. */
export interface AuditDraft {
  readonly at: number;
  readonly actorKind: string;
  readonly actorId: string;
  readonly actorName: string;
  readonly actorRole: string;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly action: string;
  readonly object: string;
  readonly objectId: string;
  /** Canonical JSON. */
  readonly before: string | null;
  readonly after: string | null;
  readonly outcome: string;
}

/** An entry of the log. */
export interface AuditEntry extends AuditDraft {
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
}

/** The draft of an entry, secrets masked. */
export function draftOf({ at, actor, address, requestId }: AuditContext, act: AuditAct): AuditDraft {
  return {
    at,
    actorKind: actor.kind,
    actorId: short(actor.id),
    actorName: short(actor.name),
    actorRole: short(actor.role),
    address,
    requestId: requestId === null ? null : short(requestId),
    action: act.action,
    object: act.object,
    objectId: short(String(act.objectId)),
    before: stateText(act.before),
    after: stateText(act.after),
    outcome: act.outcome,
  };
}

/** The entry that follows `last`. */
export function chained(draft: AuditDraft, last: Pick<AuditEntry, 'sequence' | 'hash'> | null): AuditEntry {
  const sequence = (last?.sequence ?? 0) + 1;
  const previousHash = last?.hash ?? GENESIS;
  return { ...draft, sequence, previousHash, hash: hashOf({ ...draft, sequence }, previousHash) };
}

/** SHA-256 over the digest before, a line break, and the canonical JSON of everything but the digests. */
function hashOf(content: AuditDraft & { sequence: number }, previousHash: string): string {
  return createHash('sha256')
    .update(`${previousHash}\n${canonicalJson(content)}`, 'utf8')
    .digest('hex');
}

/** Where a chain is broken. */
export interface BrokenLink {
  /** The first entry that does not fit. */
  readonly sequence: number;
  readonly reason: string;
}

/** Walks a chain from its beginning; feed it entries in order. */
export class ChainWalk {
  private last: Pick<AuditEntry, 'sequence' | 'hash'> = { sequence: 0, hash: GENESIS };

  /** Entries that fit so far, and the digest of the last. */
  get head(): { readonly entries: number; readonly hash: string } {
    return { entries: this.last.sequence, hash: this.last.hash };
  }

  /** The first entry that does not fit; null when all do. */
  walk(entries: readonly AuditEntry[]): BrokenLink | null {
    for (const entry of entries) {
      const reason = this.complaint(entry);
      if (reason !== null) return { sequence: entry.sequence, reason };
      this.last = entry;
    }
    return null;
  }

  private complaint({ sequence, previousHash, hash, ...draft }: AuditEntry): string | null {
    const expected = this.last.sequence + 1;
    if (sequence !== expected) return `entry ${expected} is missing`;
    if (previousHash !== this.last.hash) return 'it does not follow from the entry before';
    return hashOf({ ...draft, sequence }, previousHash) === hash
      ? null
      : 'its content is not what was written';
  }
}

/** Entries read at once while the whole chain is walked. */
const BATCH = 500;

/** What came of walking a chain. */
export interface Verification {
  readonly broken: BrokenLink | null;
  /** Entries that fit together, from the first. */
  readonly entries: number;
  /** Digest of the last of them. */
  readonly head: string;
}

/** Walks the whole chain. */
export async function verifyAudit(log: {
  auditAfter(sequence: number, limit: number): Promise<AuditEntry[]>;
}): Promise<Verification> {
  const walk = new ChainWalk();
  let after = -1;
  for (;;) {
    const batch = await log.auditAfter(after, BATCH);
    const broken = walk.walk(batch);
    const last = batch.at(-1);
    const { entries, hash: head } = walk.head;
    if (broken !== null || last === undefined) return { broken, entries, head };
    after = last.sequence;
  }
}

/** Members that would hold a secret. What is logged has none; this is the second lock on the door. */
const SECRET_MEMBERS = new Set([
  'secret',
  'token',
  'password',
  'master_key',
  'authorization',
  'api_key',
  'sealed',
]);

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [
    name,
    SECRET_MEMBERS.has(name) && member !== null ? '***' : masked(member),
  ]);
  return Object.fromEntries(members) as unknown;
}

function stateText(state: unknown): string | null {
  if (state === null || state === undefined) return null;
  const text = canonicalJson(masked(state));
  if (text.length <= MAX_STATE_CHARACTERS) return text;
  const sha256 = createHash('sha256').update(text, 'utf8').digest('hex');
  return canonicalJson({ sha256, characters: text.length });
}

function short(text: string): string {
  return text.slice(0, MAX_TEXT_CHARACTERS);
}
