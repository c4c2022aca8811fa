/**
 * Changes to tokens and roles. The one rule of granting is here: what a token or a role allows must be allowed to whoever
 * makes or changes it, before the change and after it, in permissions, scope and time.
 */
import {
  type Actor,
  isBuiltInRole,
  lacking,
  type Permission,
  reachesScope,
  type Scope,
} from '../governance/access.js';
import type { Audited, RoleRow, TokenRow } from '../governance/access-ports.js';
import {
  type MintedToken,
  mintToken,
  permissionsOf,
  rotateToken,
  tokenState,
} from '../governance/service-token.js';
import { AdminError } from './errors.js';
import type { AdminDependencies } from './ports.js';

/** Most tokens that are not revoked, and most roles. */
export const MAX_TOKENS = 1_000;
export const MAX_ROLES = 100;

/** What a caller says about a token. */
export interface TokenSettings {
  readonly name: string;
  readonly role: string;
  readonly scope: Scope | null;
  readonly expiresAt: number | null;
}

type Dependencies = Pick<AdminDependencies, 'store' | 'now' | 'random'>;

/** The service. Changes run one after the other, so that what was checked still holds when it is written. */
export class AccessService {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: Dependencies) {}

  listTokens(): Promise<TokenRow[]> {
    return this.deps.store.access.listTokens();
  }

  async findToken(id: number): Promise<TokenRow> {
    const token = await this.deps.store.access.findToken(id);
    if (token === null)
      throw new AdminError('token_not_found', `there is no token with id ${id}`, 'params.id');
    return token;
  }

  createToken(
    actor: Actor,
    settings: TokenSettings,
    audit: Audited<TokenRow>,
  ): Promise<MintedToken<TokenRow>> {
    return this.exclusive(async () => {
      await this.requireGrant(actor, settings);
      const live = (await this.listTokens()).filter(({ revokedAt }) => revokedAt === null);
      if (live.length >= MAX_TOKENS) throw tooMany(`${MAX_TOKENS} tokens; revoke one that is not needed`);
      const { row, secret } = mintToken(settings, this.deps.random, this.deps.now());
      return { row: await this.deps.store.access.insertToken(row, audit), secret };
    });
  }

  /** `settings` is given the token as it is; what it throws leaves the token so. */
  changeToken(
    actor: Actor,
    id: number,
    settings: (token: TokenRow) => TokenSettings,
    audit: (before: TokenRow) => Audited<TokenRow>,
  ): Promise<TokenRow> {
    return this.exclusive(async () => {
      const token = await this.liveToken(actor, id);
      const wanted = settings(token);
      await this.requireGrant(actor, wanted);
      return this.update(token, wanted, audit(token));
    });
  }

  rotateToken(
    actor: Actor,
    id: number,
    overlapMs: number,
    check: (token: TokenRow) => void,
    audit: (before: TokenRow) => Audited<TokenRow>,
  ): Promise<MintedToken<TokenRow>> {
    return this.exclusive(async () => {
      const token = await this.liveToken(actor, id);
      check(token);
      const { row, secret } = rotateToken(token, overlapMs, this.deps.random, this.deps.now());
      return { row: await this.update(token, row, audit(token)), secret };
    });
  }

  /** Revoking again changes nothing and is no error. */
  revokeToken(
    actor: Actor,
    id: number,
    check: (token: TokenRow) => void,
    audit: (before: TokenRow) => Audited<TokenRow>,
  ): Promise<TokenRow> {
    return this.exclusive(async () => {
      const token = await this.findToken(id);
      await this.requireGrant(actor, { ...token, expiresAt: null }, true);
      check(token);
      if (tokenState(token, this.deps.now()) === 'revoked') return token;
      return this.update(token, { revokedAt: this.deps.now(), previous: null }, audit(token));
    });
  }

  listRoles(): Promise<RoleRow[]> {
    return this.deps.store.access.listRoles();
  }

  async findRole(name: string): Promise<RoleRow | null> {
    return this.deps.store.access.findRole(name);
  }

  putRole(
    actor: Actor,
    role: Omit<RoleRow, 'createdAt'>,
    { check, isDryRun }: { check: (before: RoleRow | null) => void; isDryRun: boolean },
    audit: (before: RoleRow | null) => Audited<RoleRow>,
  ): Promise<RoleRow> {
    return this.exclusive(async () => {
      this.refuseBuiltIn(role.name);
      const before = await this.findRole(role.name);
      requirePermissions(actor, [...role.permissions, ...(before?.permissions ?? [])], 'body.permissions');
      check(before);
      if (before === null && (await this.listRoles()).length >= MAX_ROLES)
        throw tooMany(`${MAX_ROLES} roles`);
      const row = { ...role, createdAt: before?.createdAt ?? this.deps.now() };
      if (!isDryRun) await this.deps.store.access.putRole(row, audit(before));
      return row;
    });
  }

  deleteRole(
    actor: Actor,
    name: string,
    check: (before: RoleRow) => void,
    audit: (before: RoleRow) => Audited<RoleRow>,
  ): Promise<RoleRow> {
    return this.exclusive(async () => {
      this.refuseBuiltIn(name);
      const role = await this.findRole(name);
      if (role === null) throw noRole(name);
      requirePermissions(actor, role.permissions, 'params.name');
      check(role);
      const now = this.deps.now();
      const users = (await this.listTokens()).filter(
        (token) => token.role === name && tokenState(token, now) !== 'revoked',
      );
      if (users.length > 0) {
        const names = users
          .slice(0, 5)
          .map((token) => JSON.stringify(token.name))
          .join(', ');
        throw new AdminError('role_in_use', `tokens have the role ${name}: ${names}`, 'params.name');
      }
      await this.deps.store.access.deleteRole(name, audit(role));
      return role;
    });
  }

  /** What a role allows; throws for one that is not there. */
  async permissionsOf(role: string): Promise<readonly Permission[]> {
    const made = isBuiltInRole(role) ? null : await this.findRole(role);
    if (made === null && !isBuiltInRole(role)) {
      throw new AdminError(
        'invalid_request',
        `found ${JSON.stringify(role)}, expected a role that exists`,
        'body.role',
      );
    }
    return permissionsOf(role, made);
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  /** A token may be changed by those who could have made it. */
  private async liveToken(actor: Actor, id: number): Promise<TokenRow> {
    const token = await this.findToken(id);
    await this.requireGrant(actor, { ...token, expiresAt: null }, true);
    if (token.revokedAt === null) return token;
    throw new AdminError(
      'token_revoked',
      `token ${JSON.stringify(token.name)} is revoked for good; create another`,
    );
  }

  private async requireGrant(
    actor: Actor,
    { role, scope, expiresAt }: Omit<TokenSettings, 'name'>,
    isPresent = false,
  ): Promise<void> {
    requirePermissions(actor, await this.permissionsOf(role), 'body.role');
    if (!reachesScope(actor, scope)) {
      throw new AdminError('grant_exceeds_actor', 'the scope reaches beyond your own', 'body.scope');
    }
    if (isPresent) return;
    if (role === 'team_admin' && scope === null) {
      throw new AdminError('invalid_request', 'a team_admin needs a scope with its teams', 'body.scope');
    }
    if (expiresAt !== null && expiresAt <= this.deps.now()) {
      throw new AdminError('invalid_request', 'must lie in the future', 'body.expires_at');
    }
    if (actor.expiresAt !== null && (expiresAt === null || expiresAt > actor.expiresAt)) {
      throw new AdminError(
        'grant_exceeds_actor',
        'a token may not outlive the one that makes it',
        'body.expires_at',
      );
    }
  }

  private async update(
    token: TokenRow,
    change: Partial<TokenRow>,
    audit: Audited<TokenRow>,
  ): Promise<TokenRow> {
    const changed = await this.deps.store.access.updateToken(token.id, change, audit);
    if (changed === null)
      throw new AdminError('token_not_found', `there is no token with id ${token.id} any more`, 'params.id');
    return changed;
  }

  private refuseBuiltIn(name: string): void {
    if (!isBuiltInRole(name)) return;
    throw new AdminError('role_built_in', `the role ${name} is built in; choose another name`, 'params.name');
  }
}

function requirePermissions(actor: Actor, permissions: readonly Permission[], path: string): void {
  const missing = lacking(actor, permissions);
  if (missing.length === 0) return;
  const message = `this would grant, or change, permissions that you do not hold: ${[...new Set(missing)].join(', ')}`;
  throw new AdminError('grant_exceeds_actor', message, path);
}

function noRole(name: string): AdminError {
  return new AdminError(
    'role_not_found',
    `there is no role ${JSON.stringify(name)} that was made`,
    'params.name',
  );
}

function tooMany(what: string): AdminError {
  return new AdminError('too_many_objects', `there are already ${what}`);
}
