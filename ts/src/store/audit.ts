/** The audit log. Transactions run one after the other, so the entry that was read as the last one still is. */
import type { Selectable, Transaction } from 'kysely';
import type { AuditFilter, AuditRepository } from '../governance/access-ports.js';
import { type AuditDraft, type AuditEntry, chained } from '../governance/audit.js';
import type { AuditTable } from './access-tables.js';
import type { Database } from './database.js';
import type { Schema } from './schema.js';

/** Adds an entry at the end of the chain, as part of a transaction. */
export async function appendAudit(tx: Transaction<Schema>, draft: AuditDraft): Promise<AuditEntry> {
  const newest = tx.selectFrom('audit').select(['sequence', 'hash']).orderBy('sequence', 'desc').limit(1);
  const entry = chained(draft, (await newest.executeTakeFirst()) ?? null);
  await tx.insertInto('audit').values(columns(entry)).execute();
  return entry;
}

/** The log. */
export class AuditStore implements AuditRepository {
  constructor(private readonly database: Database) {}

  append(draft: AuditDraft): Promise<AuditEntry> {
    return this.database.quiet.transaction().execute((tx) => appendAudit(tx, draft));
  }

  async listAudit(filter: AuditFilter, limit: number): Promise<AuditEntry[]> {
    const { before, fromMs, toMs, actor, action, object, objectId, outcome } = filter;
    let query = this.database.quiet.selectFrom('audit').selectAll();
    if (before !== undefined) query = query.where('sequence', '<', before);
    if (fromMs !== undefined) query = query.where('at_ms', '>=', fromMs);
    if (toMs !== undefined) query = query.where('at_ms', '<', toMs);
    if (actor !== undefined) query = query.where('actor_name', '=', actor);
    if (action !== undefined) query = query.where('action', '=', action);
    if (object !== undefined) query = query.where('object', '=', object);
    if (objectId !== undefined) query = query.where('object_id', '=', objectId);
    if (outcome !== undefined) query = query.where('outcome', '=', outcome);
    return (await query.orderBy('sequence', 'desc').limit(limit).execute()).map(entryOf);
  }

  async hasHash(hash: string): Promise<boolean> {
    const found = this.database.quiet
      .selectFrom('audit')
      .select('sequence')
      .where('hash', '=', hash)
      .limit(1);
    return (await found.executeTakeFirst()) !== undefined;
  }

  async auditAfter(sequence: number, limit: number): Promise<AuditEntry[]> {
    const query = this.database.quiet.selectFrom('audit').selectAll().where('sequence', '>', sequence);
    return (await query.orderBy('sequence').limit(limit).execute()).map(entryOf);
  }
}

function columns(entry: AuditEntry): AuditTable {
  return {
    sequence: entry.sequence,
    at_ms: entry.at,
    actor_kind: entry.actorKind,
    actor_id: entry.actorId,
    actor_name: entry.actorName,
    actor_role: entry.actorRole,
    address: entry.address,
    request_id: entry.requestId,
    action: entry.action,
    object: entry.object,
    object_id: entry.objectId,
    before_state: entry.before,
    after_state: entry.after,
    outcome: entry.outcome,
    previous_hash: entry.previousHash,
    hash: entry.hash,
  };
}

function entryOf(row: Selectable<AuditTable>): AuditEntry {
  return {
    sequence: row.sequence,
    at: row.at_ms,
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    actorName: row.actor_name,
    actorRole: row.actor_role,
    address: row.address,
    requestId: row.request_id,
    action: row.action,
    object: row.object,
    objectId: row.object_id,
    before: row.before_state,
    after: row.after_state,
    outcome: row.outcome,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}
