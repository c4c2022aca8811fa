/** Keys of providers that the API has stored: sealed before they get here, and never opened here. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import {
  type Audited,
  ProviderKeyNameTaken,
  type ProviderKeyRepository,
  type ProviderKeyRow,
} from '../governance/access-ports.js';
import type { Sealed } from '../governance/envelope.js';
import type { ProviderKeyTable } from './access-tables.js';
import { appendAudit } from './audit.js';
import type { Database } from './database.js';
import type { Schema } from './schema.js';

const UNSEALED: Sealed = { master: '', wrappedKey: '', box: '' };

/** The keys. Other gateways on the same database serve them too, and notice a change. */
export class ProviderKeyStore implements ProviderKeyRepository {
  private readonly db: Kysely<Schema>;

  constructor({ db }: Database) {
    this.db = db;
  }

  async listProviderKeys(): Promise<ProviderKeyRow[]> {
    return (await this.db.selectFrom('provider_key').selectAll().orderBy('id').execute()).map(rowOf);
  }

  findProviderKey(id: number): Promise<ProviderKeyRow | null> {
    return find(this.db, id);
  }

  insertProviderKey(
    key: Omit<ProviderKeyRow, 'id' | 'sealed'>,
    seal: (id: number) => Sealed,
    audit: Audited<ProviderKeyRow>,
  ): Promise<ProviderKeyRow> {
    return this.db.transaction().execute(async (tx) => {
      const { provider, name } = key;
      const taken = tx
        .selectFrom('provider_key')
        .select('id')
        .where('provider', '=', provider)
        .where('name', '=', name);
      if (await taken.executeTakeFirst()) throw new ProviderKeyNameTaken(provider, name);
      const blank = { ...key, sealed: UNSEALED };
      const { id } = await tx
        .insertInto('provider_key')
        .values(columns(blank))
        .returning('id')
        .executeTakeFirstOrThrow();
      const row = { ...blank, id, sealed: seal(id) };
      await update(tx, row);
      await appendAudit(tx, audit(row));
      return row;
    });
  }

  updateProviderKey(
    id: number,
    change: Partial<Pick<ProviderKeyRow, 'weight' | 'hint' | 'sealed' | 'rotatedAt'>>,
    audit: Audited<ProviderKeyRow>,
  ): Promise<ProviderKeyRow | null> {
    return this.db.transaction().execute(async (tx) => {
      const current = await find(tx, id);
      if (current === null) return null;
      const row = { ...current, ...change };
      await update(tx, row);
      await appendAudit(tx, audit(row));
      return row;
    });
  }

  deleteProviderKey(id: number, audit: Audited<ProviderKeyRow>): Promise<ProviderKeyRow | null> {
    return this.db.transaction().execute(async (tx) => {
      const row = await find(tx, id);
      if (row === null) return null;
      await tx.deleteFrom('provider_key').where('id', '=', id).execute();
      await appendAudit(tx, audit(row));
      return row;
    });
  }

  resealProviderKeys(reseal: (key: ProviderKeyRow) => Sealed, audit: Audited<number>): Promise<number> {
    return this.db.transaction().execute(async (tx) => {
      const rows = (await tx.selectFrom('provider_key').selectAll().orderBy('id').execute()).map(rowOf);
      for (const row of rows) await update(tx, { ...row, sealed: reseal(row) });
      await appendAudit(tx, audit(rows.length));
      return rows.length;
    });
  }
}

async function find(db: Kysely<Schema>, id: number): Promise<ProviderKeyRow | null> {
  const row = await db.selectFrom('provider_key').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? rowOf(row) : null;
}

async function update(tx: Transaction<Schema>, row: ProviderKeyRow): Promise<void> {
  await tx.updateTable('provider_key').set(columns(row)).where('id', '=', row.id).execute();
}

function columns(row: Omit<ProviderKeyRow, 'id'>): Omit<Selectable<ProviderKeyTable>, 'id'> {
  const { provider, name, weight, hint, sealed, createdAt, rotatedAt } = row;
  return {
    provider,
    name,
    weight,
    hint,
    master: sealed.master,
    wrapped_key: sealed.wrappedKey,
    box: sealed.box,
    created_at: createdAt,
    rotated_at: rotatedAt,
  };
}

function rowOf(row: Selectable<ProviderKeyTable>): ProviderKeyRow {
  const { id, provider, name, weight, hint, master, box } = row;
  const sealed = { master, wrappedKey: row.wrapped_key, box };
  return { id, provider, name, weight, hint, sealed, createdAt: row.created_at, rotatedAt: row.rotated_at };
}
