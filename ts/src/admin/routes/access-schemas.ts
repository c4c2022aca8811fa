/** Shapes of `/me`, `/tokens` and `/roles`; the handlers are in `access.ts`. */
import { Type } from 'typebox';
import { PERMISSIONS } from '../../governance/access.js';
import { MAX_TOKEN_OVERLAP_MS } from '../../governance/service-token.js';
import { dryRunQuery, pageQuery } from '../paging.js';
import { IfMatchHeaders } from '../preconditions.js';
import { named, nullable, oneOf, record, refusals, timestamp } from '../schemas.js';

const MAX_NAME = 128;
const MAX_ROLE_NAME = 64;
const MAX_DESCRIPTION = 512;
const MAX_TEAMS = 256;
const MS_PER_SECOND = 1_000;

const Permissions = Type.Array(oneOf(PERMISSIONS), { maxItems: PERMISSIONS.length, uniqueItems: true });

const RoleName = Type.String({
  minLength: 1,
  maxLength: MAX_ROLE_NAME,
  pattern: '^[a-z][a-z0-9_-]*$',
  description: '`owner`, `admin`, `operator`, `team_admin`, `viewer`, or a role that was made.',
});

const ScopeSchema = nullable(
  record(
    {
      teams: Type.Array(Type.String({ minLength: 1, maxLength: MAX_NAME }), {
        maxItems: MAX_TEAMS,
        uniqueItems: true,
      }),
    },
    { description: 'Names of the teams that the token is confined to; null for everything.' },
  ),
);

const Name = Type.String({
  minLength: 1,
  maxLength: MAX_NAME,
  pattern: String.raw`^[^\u0000-\u001f\u007f\s]([^\u0000-\u001f\u007f]*[^\u0000-\u001f\u007f\s])?$`,
  description: 'Unique among the tokens that are not revoked.',
});

const Expiry = nullable(timestamp('When the token stops being accepted; null for never.'));

/** A token, as answered. */
export const Token = named(
  'Token',
  record(
    {
      id: Type.Integer({ description: 'Never used for another token.' }),
      name: Type.String(),
      role: Type.String(),
      scope: ScopeSchema,
      state: oneOf(['active', 'expired', 'revoked']),
      hint: Type.String({ description: 'Last four characters, to tell tokens apart.' }),
      created_at: timestamp('When it was made.'),
      expires_at: Expiry,
      previous_secret_expires_at: nullable(
        timestamp('Until when the secret before the last rotation is accepted.'),
      ),
      revoked_at: nullable(timestamp('When it was revoked.')),
      last_used_at: nullable(timestamp('When it was last used, to the minute.')),
    },
    { description: 'A credential of the admin API. Its secret is shown once, when it is made.' },
  ),
);

/** A token and its secret, answered once. */
export const TokenWithSecret = named(
  'TokenWithSecret',
  record({
    token: Token.ref,
    secret: Type.String({
      description: 'The credential itself. It is not stored and cannot be shown again.',
    }),
  }),
);

/** A role, as answered. */
export const Role = named(
  'Role',
  record(
    {
      name: Type.String(),
      description: Type.String(),
      built_in: Type.Boolean(),
      permissions: Permissions,
    },
    { description: 'A named list of permissions.' },
  ),
);

const Me = record(
  {
    kind: oneOf(['bootstrap', 'token', 'cli', 'system']),
    id: Type.String(),
    name: Type.String(),
    role: Type.String(),
    permissions: Permissions,
    scope: ScopeSchema,
    expires_at: Expiry,
  },
  { description: 'Who calls.' },
);

const NewToken = record({
  name: Name,
  role: RoleName,
  scope: Type.Optional(ScopeSchema),
  expires_at: Type.Optional(Expiry),
});

const TokenChange = record(
  {
    name: Type.Optional(Name),
    role: Type.Optional(RoleName),
    scope: Type.Optional(ScopeSchema),
    expires_at: Type.Optional(Expiry),
  },
  { minProperties: 1, description: 'What is absent stays as it is.' },
);

const Rotation = record({
  overlap_seconds: Type.Integer({
    minimum: 0,
    maximum: MAX_TOKEN_OVERLAP_MS / MS_PER_SECOND,
    default: 0,
    description: 'How long the present secret goes on being accepted; 0 ends it at once.',
  }),
});

const RoleSettings = record({
  description: Type.Optional(Type.String({ maxLength: MAX_DESCRIPTION })),
  permissions: Permissions,
});

const TokenId = record({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) });
const RoleParams = record({ name: RoleName });
const DryRun = record(dryRunQuery);

const TokenQuery = record({
  ...pageQuery(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Greater ids only.' }),
  ),
  state: Type.Optional(oneOf(['active', 'expired', 'revoked'])),
});

const WRITE = ['invalid_request', 'body_too_large', 'unsupported_media_type', 'grant_exceeds_actor'] as const;

function operation(operationId: string, summary: string) {
  return { operationId, summary, tags: ['access'] };
}

/** Schema of each route. */
export const ACCESS_ROUTES = {
  me: { ...operation('getMe', 'Who calls, and what may be done'), response: { 200: Me, ...refusals() } },
  listTokens: {
    ...operation('listTokens', 'List tokens'),
    querystring: TokenQuery,
    response: {
      200: record({ tokens: Type.Array(Token.ref), next_after: nullable(Type.Integer()) }),
      ...refusals('invalid_request'),
    },
  },
  getToken: {
    ...operation('getToken', 'Get a token'),
    params: TokenId,
    response: { 200: Token.ref, ...refusals('invalid_request', 'token_not_found') },
  },
  createToken: {
    ...operation('createToken', 'Create a token; its secret is in this answer only'),
    body: NewToken,
    response: { 201: TokenWithSecret.ref, ...refusals(...WRITE, 'token_name_taken', 'too_many_objects') },
  },
  changeToken: {
    ...operation('changeToken', 'Change a token'),
    params: TokenId,
    headers: IfMatchHeaders,
    body: TokenChange,
    response: {
      200: Token.ref,
      ...refusals(...WRITE, 'token_not_found', 'token_revoked', 'token_name_taken', 'precondition_failed'),
    },
  },
  revokeToken: {
    ...operation('revokeToken', 'Revoke a token, for good; it stays listed'),
    params: TokenId,
    headers: IfMatchHeaders,
    response: {
      200: Token.ref,
      ...refusals('invalid_request', 'grant_exceeds_actor', 'token_not_found', 'precondition_failed'),
    },
  },
  rotateToken: {
    ...operation('rotateToken', 'Give a token a new secret; it is in this answer only'),
    params: TokenId,
    headers: IfMatchHeaders,
    body: Rotation,
    response: {
      200: TokenWithSecret.ref,
      ...refusals(...WRITE, 'token_not_found', 'token_revoked', 'precondition_failed'),
    },
  },
  listRoles: {
    ...operation('listRoles', 'List roles, those that are built in first'),
    response: { 200: record({ roles: Type.Array(Role.ref) }), ...refusals() },
  },
  getRole: {
    ...operation('getRole', 'Get a role'),
    params: RoleParams,
    response: { 200: Role.ref, ...refusals('invalid_request', 'role_not_found') },
  },
  putRole: {
    ...operation('putRole', 'Make a role, or replace it; tokens that have it follow at once'),
    params: RoleParams,
    querystring: DryRun,
    headers: IfMatchHeaders,
    body: RoleSettings,
    response: {
      200: Role.ref,
      ...refusals(...WRITE, 'role_built_in', 'too_many_objects', 'precondition_failed'),
    },
  },
  deleteRole: {
    ...operation('deleteRole', 'Delete a role that no token has'),
    params: RoleParams,
    headers: IfMatchHeaders,
    response: {
      200: Role.ref,
      ...refusals(
        'invalid_request',
        'grant_exceeds_actor',
        'role_not_found',
        'role_built_in',
        'role_in_use',
        'precondition_failed',
      ),
    },
  },
};
