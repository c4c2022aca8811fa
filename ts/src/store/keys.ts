/** Virtual keys. Digests live in a table of their own: a key has two while a rotation overlaps. */
import { randomBytes } from 'node:crypto';
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { OwnerKind } from '../governance/entity.js';
import {
  type KeyDigest,
  type KeyLimits,
  type KeyRepository,
  type KeySource,
  NameTaken,
  type NewVirtualKey,
  type VirtualKeyChange,
  type VirtualKeyRow,
} from '../governance/ports.js';
import { scopeFromJson, scopeToJson } from '../governance/stored-settings.js';
import type { Database } from './database.js';
import type { Schema, VirtualKeyTable } from './schema.js';

type Key = Selectable<VirtualKeyTable>;
type Columns = Partial<Omit<Key, 'id'>>;

/** Virtual keys of both sources. */
export class KeyStore implements KeyRepository {
  private readonly db: Kysely<Schema>;

  constructor(private readonly database: Database) {
    this.db = database.db;
  }

  async listKeys(): Promise<VirtualKeyRow[]> {
    return virtualKeys(await keysWithDigests(this.db).execute());
  }

  findKey(id: number): Promise<VirtualKeyRow | null> {
    return findKey(this.db, id);
  }

  insertKey(key: NewVirtualKey): Promise<VirtualKeyRow> {
    return this.db.transaction().execute(async (tx) => {
      await refuseTakenName(tx, key.name, null);
      const row: VirtualKeyRow = { ...key, id: await freshKeyId(tx), source: 'api', revokedAt: null };
      await insertRow(tx, row);
      return row;
    });
  }

  updateKey(id: number, change: VirtualKeyChange): Promise<VirtualKeyRow | null> {
    return this.db.transaction().execute(async (tx) => {
      const current = await findKey(tx, id);
      if (current?.source !== 'api') return null;
      const next = { ...current, ...change };
      if (next.revokedAt === null) await refuseTakenName(tx, next.name, id);
      await tx.updateTable('virtual_key').set(columns(next)).where('id', '=', id).execute();
      if (change.digests) await replaceDigests(tx, id, change.digests);
      return next;
    });
  }

  /**
   * Deletes a key of source `api` that never came into use, because the data plane refused it. Its id stays allocated.
   * A key that has served is revoked instead, so that reports keep its name.
   */
  async discardKey(id: number): Promise<void> {
    await this.db.deleteFrom('virtual_key').where('id', '=', id).where('source', '=', 'api').execute();
  }

  mirrorConfigKeys(keys: readonly VirtualKeyRow[], now: number): Promise<void> {
    return this.database.quiet.transaction().execute(async (tx) => {
      const live = tx.updateTable('virtual_key').set({ revoked_at: now }).where('source', '=', 'config');
      await live.where('revoked_at', 'is', null).execute();
      for (const key of keys) await mirror(tx, { ...key, source: 'config' });
    });
  }
}

/** One row per digest, so that a key and its digests are read by one statement and fit together. */
function keysWithDigests(db: Kysely<Schema>) {
  return db
    .selectFrom('virtual_key')
    .leftJoin('virtual_key_digest', 'key_id', 'id')
    .selectAll('virtual_key')
    .select(['sha256', 'expires_at'])
    .orderBy('id')
    .orderBy('position');
}

async function findKey(db: Kysely<Schema>, id: number): Promise<VirtualKeyRow | null> {
  return virtualKeys(await keysWithDigests(db).where('id', '=', id).execute())[0] ?? null;
}

/** The unique index would refuse it as well; asking first gives an error that names the key. */
async function refuseTakenName(tx: Transaction<Schema>, name: string, except: number | null): Promise<void> {
  let taken = tx
    .selectFrom('virtual_key')
    .select('id')
    .where('name', '=', name)
    .where('revoked_at', 'is', null);
  if (except !== null) taken = taken.where('id', '!=', except);
  if (await taken.executeTakeFirst()) throw new NameTaken(name);
}

/** Names of keys may be used again once revoked, labels never: the label of an `api` key is therefore random. */
async function freshKeyId(tx: Transaction<Schema>): Promise<number> {
  const name = `api:${randomBytes(16).toString('hex')}`;
  return (
    await tx.insertInto('label').values({ kind: 'key', name }).returning('id').executeTakeFirstOrThrow()
  ).id;
}

async function insertRow(tx: Transaction<Schema>, row: VirtualKeyRow): Promise<void> {
  await tx
    .insertInto('virtual_key')
    .values({ id: row.id, ...columns(row) })
    .execute();
  await replaceDigests(tx, row.id, row.digests);
}

async function mirror(tx: Transaction<Schema>, row: VirtualKeyRow): Promise<void> {
  if (row.revokedAt === null) await refuseTakenName(tx, row.name, row.id);
  const { created_at: _kept, ...changing } = columns(row);
  await tx
    .insertInto('virtual_key')
    .values({ id: row.id, ...columns(row) })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(changing))
    .execute();
  await replaceDigests(tx, row.id, row.digests);
}

async function replaceDigests(
  tx: Transaction<Schema>,
  id: number,
  digests: readonly KeyDigest[],
): Promise<void> {
  await tx.deleteFrom('virtual_key_digest').where('key_id', '=', id).execute();
  if (digests.length === 0) return;
  const rows = digests.map(({ sha256, expiresAt }, position) => ({
    key_id: id,
    position,
    sha256,
    expires_at: expiresAt,
  }));
  await tx.insertInto('virtual_key_digest').values(rows).execute();
}

function columns(row: VirtualKeyRow): Required<Columns> {
  return {
    name: row.name,
    source: row.source,
    models: JSON.stringify(row.models),
    requests_per_minute: row.limits.requestsPerMinute ?? null,
    tokens_per_minute: row.limits.tokensPerMinute ?? null,
    concurrency: row.limits.concurrency ?? null,
    hint: row.hint,
    created_at: row.createdAt,
    revoked_at: row.revokedAt,
    owner_kind: row.owner?.kind ?? null,
    owner_name: row.owner?.name ?? null,
    scope: scopeToJson(row),
  };
}

/** Folds the rows of each key into one. */
function virtualKeys(
  rows: readonly (Key & { sha256: string | null; expires_at: number | null })[],
): VirtualKeyRow[] {
  const keys = new Map<number, VirtualKeyRow & { digests: KeyDigest[] }>();
  for (const row of rows) {
    const key = keys.get(row.id) ?? virtualKey(row);
    keys.set(row.id, key);
    if (row.sha256 !== null) key.digests.push({ sha256: row.sha256, expiresAt: row.expires_at });
  }
  return [...keys.values()];
}

function virtualKey(key: Key): VirtualKeyRow & { digests: KeyDigest[] } {
  return {
    id: key.id,
    name: key.name,
    source: key.source as KeySource,
    digests: [],
    models: JSON.parse(key.models) as string[],
    limits: limits(key),
    hint: key.hint,
    createdAt: key.created_at,
    revokedAt: key.revoked_at,
    owner: ownerOf(key),
    ...scopeFromJson(key.scope),
  };
}

function ownerOf({ owner_kind: kind, owner_name: name }: Key): VirtualKeyRow['owner'] {
  return kind === null || name === null ? null : { kind: kind as OwnerKind, name };
}

function limits(key: Key): KeyLimits {
  return {
    ...(key.requests_per_minute !== null && { requestsPerMinute: key.requests_per_minute }),
    ...(key.tokens_per_minute !== null && { tokensPerMinute: key.tokens_per_minute }),
    ...(key.concurrency !== null && { concurrency: key.concurrency }),
  };
}
