/** Customers, teams, users and tags of both sources. */
import type { Kysely, Transaction } from 'kysely';
import type { EntityKind, EntityRef, OwnerKind } from '../governance/entity.js';
import { EntityTaken, type EntityRepository, type EntityRow, type KeySource } from '../governance/ports.js';
import { entityFromJson, entityToJson } from '../governance/stored-settings.js';
import type { Database } from './database.js';
import type { EntityTable } from './entity-tables.js';
import type { Schema } from './schema.js';

/** The entities. Other gateways on the same database serve them too, and notice a change. */
export class EntityStore implements EntityRepository {
  private readonly db: Kysely<Schema>;

  constructor(private readonly database: Database) {
    this.db = database.db;
  }

  async listEntities(): Promise<EntityRow[]> {
    const rows = await this.db.selectFrom('entity').selectAll().orderBy('kind').orderBy('name').execute();
    return rows.map(rowOf);
  }

  insertEntity(row: EntityRow): Promise<EntityRow | null> {
    return this.db.transaction().execute(async (tx) => {
      const before = await find(tx, row);
      if (before?.removedAt === null) throw new EntityTaken(row);
      await put(tx, row);
      return before;
    });
  }

  updateEntity(row: EntityRow): Promise<EntityRow | null> {
    return this.db.transaction().execute(async (tx) => {
      const before = await find(tx, row);
      if (before?.source !== 'api' || before.removedAt !== null) return null;
      await put(tx, row);
      return before;
    });
  }

  restoreEntity(ref: EntityRef, before: EntityRow | null): Promise<void> {
    return this.db.transaction().execute(async (tx) => {
      if (before !== null) return put(tx, before);
      const { kind, name } = ref;
      await tx.deleteFrom('entity').where('kind', '=', kind).where('name', '=', name).execute();
    });
  }

  mirrorConfigEntities(entities: readonly EntityRow[], now: number): Promise<void> {
    return this.database.quiet.transaction().execute(async (tx) => {
      const live = tx.updateTable('entity').set({ removed_at: now }).where('source', '=', 'config');
      await live.where('removed_at', 'is', null).execute();
      for (const entity of entities) {
        const before = await find(tx, entity);
        await put(tx, { ...entity, createdAt: before?.createdAt ?? entity.createdAt });
      }
    });
  }
}

async function find(db: Kysely<Schema>, { kind, name }: EntityRef): Promise<EntityRow | null> {
  const found = db.selectFrom('entity').selectAll().where('kind', '=', kind).where('name', '=', name);
  const row = await found.executeTakeFirst();
  return row ? rowOf(row) : null;
}

async function put(tx: Transaction<Schema>, row: EntityRow): Promise<void> {
  const { kind, name } = row;
  const columns = columnsOf(row);
  await tx
    .insertInto('entity')
    .values({ kind, name, ...columns })
    .onConflict((conflict) => conflict.columns(['kind', 'name']).doUpdateSet(columns))
    .execute();
}

function columnsOf(row: EntityRow): Omit<EntityTable, 'kind' | 'name'> {
  return {
    source: row.source,
    parent_kind: row.parent?.kind ?? null,
    parent_name: row.parent?.name ?? null,
    settings: entityToJson(row),
    created_at: row.createdAt,
    updated_at: row.updatedAt,
    removed_at: row.removedAt,
  };
}

function rowOf(row: EntityTable): EntityRow {
  const { parent_kind: parentKind, parent_name: parentName } = row;
  const hasParent = parentKind !== null && parentName !== null;
  return {
    kind: row.kind as EntityKind,
    name: row.name,
    source: row.source as KeySource,
    parent: hasParent ? { kind: parentKind as OwnerKind, name: parentName } : null,
    ...entityFromJson(row.settings),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    removedAt: row.removed_at,
  };
}
