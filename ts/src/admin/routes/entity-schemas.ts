/** Shapes of `/customers`, `/teams`, `/users` and `/tags`; the handlers are in `entities.ts`. */
import { type Static, Type } from 'typebox';
import { type EntityKind, type OwnerKind, PARENT_KINDS } from '../../governance/entity.js';
import { dryRunQuery, pageQuery } from '../paging.js';
import { IfMatchHeaders } from '../preconditions.js';
import { allowLists, MetadataSchema, modelList, ruleLists } from '../rule-schemas.js';
import { named, nullable, oneOf, record, refusals, timestamp } from '../schemas.js';

/** Path and names of each kind. */
export const PLURALS = { customer: 'customers', team: 'teams', user: 'users', tag: 'tags' } as const;

const MAX_SEARCH_CHARACTERS = 128;

const EntityName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$',
  description: 'Its identity: it cannot be changed.',
  examples: ['search', 'alice@example.com'],
});

const parent = (kind: OwnerKind) => nullable({ ...EntityName, description: `The ${kind} it belongs to.` });

const settings = {
  models: modelList,
  ...allowLists,
  ...ruleLists,
  metadata: MetadataSchema,
  disabled: Type.Boolean({ description: 'Its keys, and those of all that belongs to it, are refused.' }),
};

/** An entity of any kind, as answered. */
export const Entity = named(
  'Entity',
  record(
    {
      name: EntityName,
      source: oneOf(['api', 'config'], {
        description: 'Those of the configuration file are read-only here.',
      }),
      customer: Type.Optional(parent('customer')),
      team: Type.Optional(parent('team')),
      ...settings,
      created_at: timestamp('When it was made.'),
      updated_at: timestamp('When it was changed last.'),
    },
    { description: 'A customer, team, user or tag: what holds for all keys that belong to it.' },
  ),
);

const optional = {
  models: Type.Optional(settings.models),
  providers: Type.Optional(settings.providers),
  routes: Type.Optional(settings.routes),
  budgets: Type.Optional(settings.budgets),
  rate_limits: Type.Optional(settings.rate_limits),
  metadata: Type.Optional(settings.metadata),
  disabled: Type.Optional(settings.disabled),
};

/** What an entity of any kind can be told: the schemas of the routes allow less. */
export type EntityBody = Static<ReturnType<typeof anyBody>>;

function anyBody() {
  return record({
    ...optional,
    team: Type.Optional(parent('team')),
    customer: Type.Optional(parent('customer')),
  });
}

/** What a list may be narrowed to. */
const listQuery = {
  ...pageQuery(Type.String({ maxLength: MAX_SEARCH_CHARACTERS, description: 'Names behind this one only.' })),
  search: Type.Optional(
    Type.String({
      maxLength: MAX_SEARCH_CHARACTERS,
      description: 'Names that contain this text, upper and lower case alike.',
    }),
  ),
  source: Type.Optional(oneOf(['api', 'config'])),
  disabled: Type.Optional(Type.Boolean()),
};

const Params = record({ name: EntityName });
const DryRun = record(dryRunQuery);
const WRITE = [
  'invalid_request',
  'grant_exceeds_actor',
  'body_too_large',
  'unsupported_media_type',
  'config_refused',
] as const;
const OWNED = ['entity_not_found', 'entity_owned_by_config', 'precondition_failed'] as const;

/** What an entity of a kind can belong to, in a body and as a filter. */
function parentsOf(kind: EntityKind) {
  const parents = Object.fromEntries(
    PARENT_KINDS[kind].map((one) => [one, Type.Optional(parent(one))]),
  ) as Record<OwnerKind, ReturnType<typeof Type.Optional<ReturnType<typeof parent>>>>;
  const filters = Object.fromEntries(
    PARENT_KINDS[kind].map((one) => [
      one,
      Type.Optional({ ...EntityName, description: `Those of this ${one} only.` }),
    ]),
  ) as unknown as Record<OwnerKind, ReturnType<typeof Type.Optional<typeof EntityName>>>;
  return { parents, filters };
}

/** Schema of each route of a kind. */
export function entityRoutes(kind: EntityKind) {
  const tags = ['entities'];
  const many = PLURALS[kind];
  const capital = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
  const { parents, filters } = parentsOf(kind);
  const list = record({ [many]: Type.Array(Entity.ref), next_after: nullable(Type.String()) });
  return {
    list: {
      operationId: `list${capital}s`,
      summary: `List ${many}`,
      tags,
      querystring: record({ ...listQuery, ...filters }),
      response: { 200: list, ...refusals('invalid_request') },
    },
    get: {
      operationId: `get${capital}`,
      summary: `Get a ${kind}`,
      tags,
      params: Params,
      response: { 200: Entity.ref, ...refusals('invalid_request', 'entity_not_found') },
    },
    create: {
      operationId: `create${capital}`,
      summary: `Create a ${kind}`,
      tags,
      querystring: DryRun,
      body: record({ name: EntityName, ...parents, ...optional }),
      response: { 201: Entity.ref, ...refusals(...WRITE, 'entity_name_taken', 'too_many_objects') },
    },
    change: {
      operationId: `change${capital}`,
      summary: `Change a ${kind}; what is absent stays as it is`,
      tags,
      params: Params,
      querystring: DryRun,
      headers: IfMatchHeaders,
      body: Type.Object({ ...parents, ...optional }, { additionalProperties: false, minProperties: 1 }),
      response: { 200: Entity.ref, ...refusals(...WRITE, ...OWNED) },
    },
    remove: {
      operationId: `remove${capital}`,
      summary: `Remove a ${kind} that nothing belongs to any more`,
      tags,
      params: Params,
      querystring: DryRun,
      headers: IfMatchHeaders,
      response: {
        200: Entity.ref,
        ...refusals('invalid_request', 'grant_exceeds_actor', 'config_refused', 'entity_in_use', ...OWNED),
      },
    },
  };
}
