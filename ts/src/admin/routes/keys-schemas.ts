/** Shapes of `/keys` and its routes' schemas; the handlers are in `keys.ts`. */
import { Type } from 'typebox';
import { MAX_NETWORKS, MAX_TAGS } from '../../governance/entity.js';
import { MAX_NAME_CHARACTERS } from '../../governance/name-pattern.js';
import {
  MAX_ALLOWED_MODELS,
  MAX_CONCURRENCY,
  MAX_KEY_NAME_CHARACTERS,
  MAX_OVERLAP_MS,
  MAX_RATE,
} from '../../governance/virtual-key.js';
import { dryRunQuery, pageQuery } from '../paging.js';
import { IfMatchHeaders } from '../preconditions.js';
import { allowLists, MetadataSchema, ruleLists } from '../rule-schemas.js';
import { IdParams, named, nullable, oneOf, record, refusals, timestamp } from '../schemas.js';

/** Longest network as text: an address of IPv6 and a length. */
const MAX_NETWORK_CHARACTERS = 64;
/** Overlaps are given in seconds. */
export const MS_PER_SECOND = 1_000;

const Name = Type.String({
  minLength: 1,
  maxLength: MAX_KEY_NAME_CHARACTERS,
  description: 'Unique among the keys that are not revoked.',
});
const Models = Type.Array(Type.String({ minLength: 1, maxLength: MAX_NAME_CHARACTERS }), {
  maxItems: MAX_ALLOWED_MODELS,
  description:
    'Names the key may use, each exact or with one `*`. An empty list allows nothing, `["*"]` everything.',
  examples: [['gpt-*', 'text-embedding-3-small']],
});
const limit = (maximum: number, description: string) =>
  Type.Optional(nullable(Type.Integer({ minimum: 1, maximum, description })));
/** Limits, as given. */
export const Limits = record(
  {
    requests_per_minute: limit(MAX_RATE, 'Requests per minute.'),
    tokens_per_minute: limit(MAX_RATE, 'Input and output tokens per minute.'),
    concurrency: limit(MAX_CONCURRENCY, 'Requests at once.'),
  },
  { description: 'Limits of the key; one that is absent or null is unlimited.' },
);
const EntityName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$' });
const Owner = nullable(
  Type.Object(
    {
      user: Type.Optional(EntityName),
      team: Type.Optional(EntityName),
      customer: Type.Optional(EntityName),
    },
    {
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
      description: 'Whose the key is: a user, a team or a customer, whose limits then hold for it.',
      examples: [{ user: 'alice' }],
    },
  ),
);
const scope = {
  owner: Owner,
  tags: Type.Array(EntityName, {
    maxItems: MAX_TAGS,
    uniqueItems: true,
    description: 'Tags, whose limits hold for it as well.',
  }),
  ...allowLists,
  networks: Type.Array(Type.String({ minLength: 2, maxLength: MAX_NETWORK_CHARACTERS }), {
    maxItems: MAX_NETWORKS,
    description: 'Networks that its clients must be in; any where the list is empty.',
    examples: [['10.0.0.0/8']],
  }),
  ...ruleLists,
  metadata: MetadataSchema,
};
const optionalScope = {
  owner: Type.Optional(scope.owner),
  tags: Type.Optional(scope.tags),
  providers: Type.Optional(scope.providers),
  routes: Type.Optional(scope.routes),
  networks: Type.Optional(scope.networks),
  budgets: Type.Optional(scope.budgets),
  rate_limits: Type.Optional(scope.rate_limits),
  metadata: Type.Optional(scope.metadata),
};
const Expiry = nullable(timestamp('When the key stops being accepted; null for never.'));

/** A key, as answered. */
export const Key = named(
  'Key',
  record(
    {
      id: Type.Integer({ description: 'Never used for another key.' }),
      name: Type.String(),
      source: oneOf(['api', 'config'], { description: 'Keys of the configuration file are read-only here.' }),
      state: oneOf(['active', 'expired', 'revoked']),
      models: Type.Array(Type.String()),
      limits: record({
        requests_per_minute: nullable(Type.Integer()),
        tokens_per_minute: nullable(Type.Integer()),
        concurrency: nullable(Type.Integer()),
      }),
      ...scope,
      hint: Type.String({ description: 'Last four characters of the secret, to tell keys apart.' }),
      created_at: timestamp('When it was made.'),
      expires_at: Expiry,
      previous_secret_expires_at: nullable(
        timestamp('Until when the secret before the last rotation is accepted.'),
      ),
      revoked_at: nullable(timestamp('When it was revoked.')),
    },
    { description: 'A credential that clients present. Its secret is shown once, when it is made.' },
  ),
);

/** A key and its secret, answered once. */
export const KeyWithSecret = named(
  'KeyWithSecret',
  record({
    key: Key.ref,
    secret: Type.String({
      description: 'The credential itself. It is not stored and cannot be shown again. Empty in a dry run.',
    }),
  }),
);

/** What a key is made from. */
export const NewKey = record({
  name: Name,
  models: Type.Optional(Models),
  limits: Type.Optional(Limits),
  expires_at: Type.Optional(Expiry),
  ...optionalScope,
});
const KeyChange = record(
  {
    name: Type.Optional(Name),
    models: Type.Optional(Models),
    limits: Type.Optional(Limits),
    expires_at: Type.Optional(Expiry),
    ...optionalScope,
  },
  { minProperties: 1, description: 'What is absent stays as it is; a limit of null is lifted.' },
);
const Rotation = record({
  overlap_seconds: Type.Integer({
    minimum: 0,
    maximum: MAX_OVERLAP_MS / MS_PER_SECOND,
    default: 0,
    description: 'How long the present secret goes on being accepted; 0 ends it at once.',
  }),
  expires_at: Type.Optional(Expiry),
});
const KeyList = record({
  keys: Type.Array(Key.ref),
  next_after: nullable(Type.Integer({ description: '`after` of the next page; null on the last.' })),
});
/** What a list may be narrowed to. */
export const ListQuery = record({
  ...pageQuery(Type.Integer({ minimum: 0, description: 'Keys with a greater id only.' })),
  state: Type.Optional(oneOf(['active', 'expired', 'revoked'])),
  source: Type.Optional(oneOf(['api', 'config'])),
  user: Type.Optional({ ...EntityName, description: 'Keys of this user only.' }),
  team: Type.Optional({ ...EntityName, description: 'Keys of this team itself and of its users.' }),
  customer: Type.Optional({
    ...EntityName,
    description: 'Keys of this customer and of all that belongs to it.',
  }),
  tag: Type.Optional({ ...EntityName, description: 'Keys with this tag only.' }),
  search: Type.Optional(
    Type.String({
      maxLength: MAX_KEY_NAME_CHARACTERS,
      description: 'Keys whose name contains this text, upper and lower case alike.',
    }),
  ),
});
const DryRun = record(dryRunQuery);

/** Refusals of routes with a body. */
const WRITE = [
  'invalid_request',
  'grant_exceeds_actor',
  'body_too_large',
  'unsupported_media_type',
  'config_refused',
] as const;

/** Refusals of routes that need a key of source `api`. */
const OWNED = ['key_not_found', 'key_owned_by_config', 'precondition_failed'] as const;

function operation(operationId: string, summary: string) {
  return { operationId, summary, tags: ['keys'] };
}

/** Schema of each route. */
export const KEY_ROUTES = {
  list: {
    ...operation('listKeys', 'List keys'),
    querystring: ListQuery,
    response: { 200: KeyList, ...refusals('invalid_request') },
  },
  create: {
    ...operation('createKey', 'Create a key; its secret is in this answer only'),
    querystring: DryRun,
    body: NewKey,
    response: { 201: KeyWithSecret.ref, ...refusals(...WRITE, 'key_name_taken') },
  },
  get: {
    ...operation('getKey', 'Get a key'),
    params: IdParams,
    response: { 200: Key.ref, ...refusals('invalid_request', 'key_not_found') },
  },
  change: {
    ...operation('changeKey', 'Change a key'),
    params: IdParams,
    querystring: DryRun,
    headers: IfMatchHeaders,
    body: KeyChange,
    response: { 200: Key.ref, ...refusals(...WRITE, ...OWNED, 'key_revoked', 'key_name_taken') },
  },
  revoke: {
    ...operation('revokeKey', 'Revoke a key, for good; it stays listed so that reports keep its name'),
    params: IdParams,
    querystring: DryRun,
    headers: IfMatchHeaders,
    response: { 200: Key.ref, ...refusals('invalid_request', 'config_refused', ...OWNED) },
  },
  rotate: {
    ...operation('rotateKey', 'Give a key a new secret; it is in this answer only'),
    params: IdParams,
    headers: IfMatchHeaders,
    body: Rotation,
    response: { 200: KeyWithSecret.ref, ...refusals(...WRITE, ...OWNED, 'key_revoked') },
  },
};
