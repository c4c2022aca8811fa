/** Labels and facts: the small tables that never forget. */
import type { Kysely, Transaction } from 'kysely';
import {
  type FactRepository,
  KEYS_CHANGED_FACT,
  type Label,
  type LabelKind,
  type LabelName,
  type LabelRepository,
} from '../governance/ports.js';
import type { Database } from './database.js';
import type { Schema } from './schema.js';

/** Stable ids of names. */
export class LabelStore implements LabelRepository {
  private readonly db: Kysely<Schema>;

  constructor({ quiet }: Database) {
    this.db = quiet;
  }

  labelIds(names: readonly LabelName[]): Promise<number[]> {
    return this.db.transaction().execute(async (tx) => {
      const ids: number[] = [];
      for (const name of names) ids.push(await labelId(tx, name));
      return ids;
    });
  }

  async listLabels(): Promise<Label[]> {
    const rows = await this.db.selectFrom('label').selectAll().orderBy('id').execute();
    return rows.map((row) => ({ id: row.id, kind: row.kind as LabelKind, name: row.name }));
  }
}

/** The id of a name, allocated if it has none. Never an upsert: those would use up ids of the sequence. */
async function labelId(tx: Transaction<Schema>, { kind, name }: LabelName): Promise<number> {
  const found = tx.selectFrom('label').select('id').where('kind', '=', kind).where('name', '=', name);
  const known = await found.executeTakeFirst();
  if (known) return known.id;
  const inserted = tx.insertInto('label').values({ kind, name }).returning('id');
  return (await inserted.executeTakeFirstOrThrow()).id;
}

/** Facts about the installation. */
export class FactStore implements FactRepository {
  constructor(private readonly database: Database) {}

  async fact(name: string): Promise<string | null> {
    const row = await this.database.db
      .selectFrom('fact')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirst();
    return row?.value ?? null;
  }

  /** Only the news of changed keys is for other gateways; were its answer too, two of them would answer each other for ever. */
  async setFact(name: string, value: string): Promise<void> {
    const { db, quiet } = this.database;
    const insert = (name === KEYS_CHANGED_FACT ? db : quiet).insertInto('fact').values({ name, value });
    await insert.onConflict((conflict) => conflict.column('name').doUpdateSet({ value })).execute();
  }
}
