/** `/me`, `/tokens`, `/roles`: who may do what in this API. */
import type { Static } from 'typebox';
import { BUILT_IN_ROLES, isBuiltInRole, type Permission, PERMISSIONS } from '../../governance/access.js';
import type { RoleRow, TokenRow } from '../../governance/access-ports.js';
import { tokenState } from '../../governance/service-token.js';
import { AccessService } from '../access-service.js';
import type { AdminApp } from '../app.js';
import { auditedBy } from '../audit.js';
import { AdminError } from '../errors.js';
import { pageOf } from '../paging.js';
import type { AdminDependencies } from '../ports.js';
import { preconditionOf, tagged } from '../preconditions.js';
import { toTimestamp, toTimestampOrNull } from '../schemas.js';
import { ACCESS_ROUTES, Role, Token, TokenWithSecret } from './access-schemas.js';

type TokenView = Static<(typeof Token)['schema']>;
type RoleView = Static<(typeof Role)['schema']>;

const MS_PER_SECOND = 1_000;

const BUILT_IN_TEXT = {
  owner: 'Everything.',
  admin: 'Everything but owners and master keys.',
  operator: 'Runs the gateway; does not manage access to it.',
  team_admin: 'Manages users and keys of the teams in its scope.',
  viewer: 'Looks on.',
} as const;

/** Adds the routes. */
export function accessRoutes(app: AdminApp, deps: AdminDependencies): void {
  for (const { schema } of [Token, TokenWithSecret, Role]) app.addSchema(schema);
  const service = new AccessService(deps);
  app.get(
    '/me',
    { config: { permission: 'authenticated' }, schema: ACCESS_ROUTES.me },
    async ({ actor }) => ({
      kind: actor.kind,
      id: actor.id,
      name: actor.name,
      role: actor.role,
      permissions: PERMISSIONS.filter((one) => actor.permissions.has(one)),
      scope: scopeView(actor.scope),
      expires_at: toTimestampOrNull(actor.expiresAt),
    }),
  );
  tokenReads(app, deps, service);
  tokenSettings(app, deps, service);
  tokenSecrets(app, deps, service);
  roleReads(app, service);
  roleWrites(app, deps, service);
}

const READ_TOKENS = { config: { permission: 'tokens:read' } } as const;
const WRITE_TOKENS = { config: { permission: 'tokens:write' } } as const;
const READ_ROLES = { config: { permission: 'roles:read' } } as const;
const WRITE_ROLES = { config: { permission: 'roles:write' } } as const;

function tokenReads(app: AdminApp, { now }: AdminDependencies, service: AccessService): void {
  app.get('/tokens', { ...READ_TOKENS, schema: ACCESS_ROUTES.listTokens }, async ({ query }) => {
    const { after = 0, state, limit } = query;
    const tokens = (await service.listTokens())
      .map((token) => tokenView(token, now()))
      .filter((token) => token.id > after && (state ?? token.state) === token.state);
    const { entries, nextAfter } = pageOf(tokens, limit, ({ id }) => id);
    return { tokens: entries, next_after: nextAfter };
  });

  app.get('/tokens/:id', { ...READ_TOKENS, schema: ACCESS_ROUTES.getToken }, async ({ params }, reply) =>
    tagged(reply, tokenView(await service.findToken(params.id), now())),
  );
}

/** Shows tokens, and makes the notes for the audit log from what is shown. */
function tokenNotes({ now }: AdminDependencies) {
  const view = (token: TokenRow): TokenView => tokenView(token, now());
  const noteOf = (before: TokenRow | null) => (after: TokenRow) => ({
    object: 'token',
    id: after.id,
    before: before && view(before),
    after: view(after),
  });
  return { view, noteOf };
}

function tokenSettings(app: AdminApp, deps: AdminDependencies, service: AccessService): void {
  const { view, noteOf } = tokenNotes(deps);

  app.post('/tokens', { ...WRITE_TOKENS, schema: ACCESS_ROUTES.createToken }, async (request, reply) => {
    const { name, role, scope = null, expires_at: expiry = null } = request.body;
    const settings = { name, role, scope, expiresAt: expiry === null ? null : Date.parse(expiry) };
    const audit = auditedBy(request, deps, noteOf(null));
    const { row, secret } = await service.createToken(request.actor, settings, audit);
    return reply.code(201).send({ token: view(row), secret });
  });

  app.patch('/tokens/:id', { ...WRITE_TOKENS, schema: ACCESS_ROUTES.changeToken }, async (request, reply) => {
    const { body, params, actor } = request;
    const requireMatch = preconditionOf(request);
    const changed = await service.changeToken(
      actor,
      params.id,
      (token) => {
        requireMatch(view(token));
        return {
          name: body.name ?? token.name,
          role: body.role ?? token.role,
          scope: body.scope === undefined ? token.scope : body.scope,
          expiresAt: expiryOf(body.expires_at, token.expiresAt),
        };
      },
      (before) => auditedBy(request, deps, noteOf(before)),
    );
    return tagged(reply, view(changed));
  });
}

function tokenSecrets(app: AdminApp, deps: AdminDependencies, service: AccessService): void {
  const { view, noteOf } = tokenNotes(deps);

  app.delete(
    '/tokens/:id',
    { ...WRITE_TOKENS, schema: ACCESS_ROUTES.revokeToken },
    async (request, reply) => {
      const requireMatch = preconditionOf(request);
      const revoked = await service.revokeToken(
        request.actor,
        request.params.id,
        (token) => requireMatch(view(token)),
        (before) => auditedBy(request, deps, noteOf(before)),
      );
      return tagged(reply, view(revoked));
    },
  );

  app.post(
    '/tokens/:id/rotate',
    { ...WRITE_TOKENS, schema: ACCESS_ROUTES.rotateToken },
    async (request, reply) => {
      const requireMatch = preconditionOf(request);
      const { row, secret } = await service.rotateToken(
        request.actor,
        request.params.id,
        request.body.overlap_seconds * MS_PER_SECOND,
        (token) => requireMatch(view(token)),
        (before) => auditedBy(request, deps, noteOf(before)),
      );
      return reply.send({ token: view(row), secret });
    },
  );
}

function roleReads(app: AdminApp, service: AccessService): void {
  app.get('/roles', { ...READ_ROLES, schema: ACCESS_ROUTES.listRoles }, async () => ({
    roles: [...builtInRoles(), ...(await service.listRoles()).map(roleView)],
  }));

  app.get('/roles/:name', { ...READ_ROLES, schema: ACCESS_ROUTES.getRole }, async ({ params }, reply) => {
    const { name } = params;
    const builtIn = builtInRoles().find((role) => role.name === name);
    if (builtIn) return tagged(reply, builtIn);
    const role = await service.findRole(name);
    if (role === null)
      throw new AdminError('role_not_found', `there is no role ${JSON.stringify(name)}`, 'params.name');
    return tagged(reply, roleView(role));
  });
}

function roleWrites(app: AdminApp, deps: AdminDependencies, service: AccessService): void {
  const noteOf =
    (before: RoleRow | null, isGone = false) =>
    (role: RoleRow) => ({
      object: 'role',
      id: role.name,
      before: before && roleView(before),
      after: isGone ? null : roleView(role),
    });

  app.put('/roles/:name', { ...WRITE_ROLES, schema: ACCESS_ROUTES.putRole }, async (request, reply) => {
    const { body, params, actor, query } = request;
    const { description = '', permissions } = body;
    const requireMatch = preconditionOf(request);
    const role = await service.putRole(
      actor,
      { name: params.name, description, permissions },
      { check: (before) => requireMatch(before && roleView(before)), isDryRun: query.dry_run },
      (before) => auditedBy(request, deps, noteOf(before)),
    );
    return tagged(reply, roleView(role));
  });

  app.delete('/roles/:name', { ...WRITE_ROLES, schema: ACCESS_ROUTES.deleteRole }, async (request, reply) => {
    const requireMatch = preconditionOf(request);
    const role = await service.deleteRole(
      request.actor,
      request.params.name,
      (before) => requireMatch(roleView(before)),
      (before) => auditedBy(request, deps, noteOf(before, true)),
    );
    return reply.send(roleView(role));
  });
}

function tokenView(token: TokenRow, now: number): TokenView {
  return {
    id: token.id,
    name: token.name,
    role: token.role,
    scope: scopeView(token.scope),
    state: tokenState(token, now),
    hint: token.hint,
    created_at: toTimestamp(token.createdAt),
    expires_at: toTimestampOrNull(token.expiresAt),
    previous_secret_expires_at: toTimestampOrNull(token.previous?.expiresAt ?? null),
    revoked_at: toTimestampOrNull(token.revokedAt),
    last_used_at: toTimestampOrNull(token.lastUsedAt),
  };
}

function scopeView(scope: TokenRow['scope']): TokenView['scope'] {
  return scope && { teams: [...scope.teams] };
}

function builtInRoles(): RoleView[] {
  return Object.entries(BUILT_IN_ROLES).map(([name, permissions]) => ({
    name,
    description: isBuiltInRole(name) ? BUILT_IN_TEXT[name] : '',
    built_in: true,
    permissions: [...permissions] as Permission[],
  }));
}

function roleView({ name, description, permissions }: RoleRow): RoleView {
  return { name, description, built_in: false, permissions: [...permissions] };
}

function expiryOf(text: string | null | undefined, current: number | null): number | null {
  if (text === undefined) return current;
  return text === null ? null : Date.parse(text);
}
