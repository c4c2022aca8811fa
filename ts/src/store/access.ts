/** Service tokens and roles of the admin API. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { Permission, Scope } from '../governance/access.js';
import {
  type AccessRepository,
  type Audited,
  type NewTokenRow,
  type RoleRow,
  type TokenChange,
  TokenNameTaken,
  type TokenRow,
} from '../governance/access-ports.js';
import type { AdminRoleTable, AdminTokenTable } from './access-tables.js';
import { appendAudit } from './audit.js';
import type { Database } from './database.js';
import type { Schema } from './schema.js';

/** Tokens and roles. Other gateways look both up when they are needed, so nobody need be told of a change. */
export class AccessStore implements AccessRepository {
  private readonly db: Kysely<Schema>;

  constructor({ quiet }: Database) {
    this.db = quiet;
  }

  async listTokens(): Promise<TokenRow[]> {
    return (await this.db.selectFrom('admin_token').selectAll().orderBy('id').execute()).map(tokenOf);
  }

  findToken(id: number): Promise<TokenRow | null> {
    return findToken(this.db, id);
  }

  async tokenByDigest(sha256: string): Promise<TokenRow | null> {
    const rows = await this.db
      .selectFrom('admin_token')
      .selectAll()
      .where((has) => has.or([has('sha256', '=', sha256), has('previous_sha256', '=', sha256)]))
      .limit(1)
      .execute();
    return rows[0] ? tokenOf(rows[0]) : null;
  }

  insertToken(token: NewTokenRow, audit: Audited<TokenRow>): Promise<TokenRow> {
    return this.db.transaction().execute(async (tx) => {
      await refuseTakenName(tx, token.name, null);
      const blank: TokenRow = { ...token, id: 0, revokedAt: null, lastUsedAt: null };
      const insert = tx.insertInto('admin_token').values(tokenColumns(blank)).returning('id');
      const row = { ...blank, id: (await insert.executeTakeFirstOrThrow()).id };
      await appendAudit(tx, audit(row));
      return row;
    });
  }

  updateToken(id: number, change: TokenChange, audit: Audited<TokenRow>): Promise<TokenRow | null> {
    return this.db.transaction().execute(async (tx) => {
      const current = await findToken(tx, id);
      if (current === null) return null;
      const next = { ...current, ...change };
      if (next.revokedAt === null) await refuseTakenName(tx, next.name, id);
      await tx.updateTable('admin_token').set(tokenColumns(next)).where('id', '=', id).execute();
      await appendAudit(tx, audit(next));
      return next;
    });
  }

  async touchToken(id: number, at: number): Promise<void> {
    await this.db.updateTable('admin_token').set({ last_used_at: at }).where('id', '=', id).execute();
  }

  async listRoles(): Promise<RoleRow[]> {
    return (await this.db.selectFrom('admin_role').selectAll().orderBy('name').execute()).map(roleOf);
  }

  async findRole(name: string): Promise<RoleRow | null> {
    const found = this.db.selectFrom('admin_role').selectAll().where('name', '=', name);
    const row = await found.executeTakeFirst();
    return row ? roleOf(row) : null;
  }

  putRole(role: RoleRow, audit: Audited<RoleRow>): Promise<void> {
    const { name, description, createdAt: created_at } = role;
    const changing = { description, permissions: JSON.stringify(role.permissions) };
    return this.db.transaction().execute(async (tx) => {
      await tx
        .insertInto('admin_role')
        .values({ name, ...changing, created_at })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(changing))
        .execute();
      await appendAudit(tx, audit(role));
    });
  }

  deleteRole(name: string, audit: Audited<RoleRow>): Promise<void> {
    return this.db.transaction().execute(async (tx) => {
      const gone = await tx
        .deleteFrom('admin_role')
        .where('name', '=', name)
        .returningAll()
        .executeTakeFirst();
      if (gone) await appendAudit(tx, audit(roleOf(gone)));
    });
  }
}

async function findToken(db: Kysely<Schema>, id: number): Promise<TokenRow | null> {
  const row = await db.selectFrom('admin_token').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? tokenOf(row) : null;
}

/** The unique index would refuse it as well; asking first gives an error that names the token. */
async function refuseTakenName(tx: Transaction<Schema>, name: string, except: number | null): Promise<void> {
  const live = tx
    .selectFrom('admin_token')
    .select('id')
    .where('name', '=', name)
    .where('revoked_at', 'is', null);
  const taken = await live.executeTakeFirst();
  if (taken && taken.id !== except) throw new TokenNameTaken(name);
}

function tokenColumns(row: TokenRow): Omit<Selectable<AdminTokenTable>, 'id'> {
  return {
    name: row.name,
    sha256: row.sha256,
    previous_sha256: row.previous?.sha256 ?? null,
    previous_expires_at: row.previous?.expiresAt ?? null,
    hint: row.hint,
    role: row.role,
    scope: row.scope === null ? null : JSON.stringify(row.scope),
    created_at: row.createdAt,
    expires_at: row.expiresAt,
    revoked_at: row.revokedAt,
    last_used_at: row.lastUsedAt,
  };
}

function tokenOf(row: Selectable<AdminTokenTable>): TokenRow {
  const { previous_sha256: sha256, previous_expires_at: expiresAt } = row;
  return {
    id: row.id,
    name: row.name,
    sha256: row.sha256,
    previous: sha256 === null || expiresAt === null ? null : { sha256, expiresAt },
    hint: row.hint,
    role: row.role,
    scope: row.scope === null ? null : (JSON.parse(row.scope) as Scope),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  };
}

function roleOf({ name, description, permissions, created_at: createdAt }: AdminRoleTable): RoleRow {
  return { name, description, permissions: JSON.parse(permissions) as Permission[], createdAt };
}
