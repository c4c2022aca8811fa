/** `/customers`, `/teams`, `/users`, `/tags`: who uses the gateway, and what holds for them. */
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import {
  ENTITY_KINDS,
  type EntityKind,
  type EntitySettings,
  type Owner,
  PARENT_KINDS,
} from '../../governance/entity.js';
import { isNamePattern } from '../../governance/name-pattern.js';
import type { EntityRow } from '../../governance/ports.js';
import type { AdminApp } from '../app.js';
import { noteChange } from '../changes.js';
import { type ChangedEntity, EntitiesService, type EntityChange } from '../entities-service.js';
import { AdminError } from '../errors.js';
import { pageOf } from '../paging.js';
import type { AdminDependencies } from '../ports.js';
import { preconditionOf, tagged } from '../preconditions.js';
import { listView, metadataView, rulesOf, rulesView } from '../rule-schemas.js';
import { toTimestamp } from '../schemas.js';
import type { ServedChanges } from '../served-changes.js';
import { Entity, type EntityBody, entityRoutes, PLURALS } from './entity-schemas.js';

type EntityView = Static<(typeof Entity)['schema']>;

/** What an entity is that nothing is said about. */
const OPEN: EntitySettings = {
  parent: null,
  models: null,
  providers: null,
  routes: null,
  rules: [],
  metadata: {},
  disabled: false,
};

/** Adds the routes. */
export function entitiesRoutes(app: AdminApp, deps: AdminDependencies, changes: ServedChanges): void {
  app.addSchema(Entity.schema);
  const service = new EntitiesService(deps, changes);
  for (const kind of ENTITY_KINDS) {
    readRoutes(app, service, kind);
    writeRoutes(app, service, kind);
  }
}

interface ListQuery {
  readonly limit: number;
  readonly after?: string;
  readonly search?: string;
  readonly source?: string;
  readonly disabled?: boolean;
  readonly customer?: string;
  readonly team?: string;
}

function readRoutes(app: AdminApp, service: EntitiesService, kind: EntityKind): void {
  const schemas = entityRoutes(kind);
  const config = { permission: `${PLURALS[kind]}:read`, scoped: true } as const;
  app.get(`/${PLURALS[kind]}`, { config, schema: schemas.list }, async ({ query, actor }) => {
    const wanted = query as ListQuery;
    const rows = (await service.list(kind, actor)).filter((row) => isWanted(row, wanted));
    const { entries, nextAfter } = pageOf(rows.map(viewOf), wanted.limit, ({ name }) => name);
    return { [PLURALS[kind]]: entries, next_after: nextAfter };
  });

  app.get(`/${PLURALS[kind]}/:name`, { config, schema: schemas.get }, async ({ params, actor }, reply) =>
    tagged(reply, viewOf(await service.find({ kind, name: params.name }, actor))),
  );
}

function writeRoutes(app: AdminApp, service: EntitiesService, kind: EntityKind): void {
  const schemas = entityRoutes(kind);
  const config = { permission: `${PLURALS[kind]}:write`, scoped: true } as const;
  const one = `/${PLURALS[kind]}/:name`;
  app.post(`/${PLURALS[kind]}`, { config, schema: schemas.create }, async (request, reply) => {
    const { name, ...body } = request.body as EntityBody & { name: string };
    const settings = settingsOf(kind, body, OPEN);
    const changed = await service.create({ kind, name }, settings, changeOf(request));
    void reply.code(201);
    return tagged(reply, noted(request, changed));
  });

  app.patch(one, { config, schema: schemas.change }, async (request, reply) => {
    const body = request.body as EntityBody;
    const ref = { kind, name: request.params.name };
    const changed = await service.change(ref, (row) => settingsOf(kind, body, row), changeOf(request));
    return tagged(reply, noted(request, changed));
  });

  app.delete(one, { config, schema: schemas.remove }, async (request, reply) => {
    const changed = await service.remove({ kind, name: request.params.name }, changeOf(request));
    return tagged(reply, noted(request, changed, true));
  });
}

function changeOf(request: Pick<FastifyRequest, 'actor' | 'headers' | 'query'>): EntityChange {
  const precondition = preconditionOf(request);
  const { dry_run: isDryRun = false } = request.query as { dry_run?: boolean };
  return { actor: request.actor, isDryRun, expect: (row) => precondition(viewOf(row)) };
}

/** Says what was changed, and answers the entity as it is now, or was. */
function noted(request: FastifyRequest, { before, after }: ChangedEntity, isRemoval = false): EntityView {
  const view = viewOf(after);
  const { dry_run: isDryRun = false } = request.query as { dry_run?: boolean };
  if (isDryRun) return view;
  noteChange(request, {
    object: after.kind,
    id: after.name,
    before: before && viewOf(before),
    after: isRemoval ? null : view,
  });
  return view;
}

function isWanted(row: EntityRow, query: ListQuery): boolean {
  const { after = '', search = '', source, disabled, customer, team } = query;
  const isOf = (kind: string, name: string | undefined): boolean =>
    name === undefined || (row.parent?.kind === kind && row.parent.name === name);
  return (
    row.name > after &&
    row.name.toLowerCase().includes(search.toLowerCase()) &&
    (source ?? row.source) === row.source &&
    (disabled ?? row.disabled) === row.disabled &&
    isOf('customer', customer) &&
    isOf('team', team)
  );
}

/** What a body says, in the domain's terms; what it leaves out is taken from the present. */
function settingsOf(kind: EntityKind, body: EntityBody, present: EntitySettings): EntitySettings {
  for (const list of ['models', 'providers'] as const) checkPatterns(body[list] ?? [], `body.${list}`);
  return {
    parent: parentOf(kind, body, present.parent),
    models: body.models === undefined ? present.models : body.models,
    providers: body.providers === undefined ? present.providers : body.providers,
    routes: body.routes === undefined ? present.routes : body.routes,
    rules: rulesOf(body, present.rules),
    metadata: body.metadata ?? present.metadata,
    disabled: body.disabled ?? present.disabled,
  };
}

/** Naming a team leaves the customer, and the other way round; null leaves the one that is named so. */
function parentOf(kind: EntityKind, body: EntityBody, present: Owner | null): Owner | null {
  const given = PARENT_KINDS[kind].filter((one) => typeof body[one] === 'string');
  if (given.length > 1) {
    throw new AdminError('invalid_request', `found ${given.join(' and ')}, expected one of them`, 'body');
  }
  const [one] = given;
  if (one !== undefined) return { kind: one, name: body[one] ?? '' };
  return present !== null && body[present.kind as 'team' | 'customer'] === null ? null : present;
}

/** Refuses what is neither a name nor a pattern. */
export function checkPatterns(list: readonly string[], path: string): void {
  for (const [at, entry] of list.entries()) {
    if (isNamePattern(entry)) continue;
    const message = 'expected a name, or a pattern with one *, without spaces';
    throw new AdminError('invalid_request', message, `${path}.${at}`);
  }
}

function viewOf(row: EntityRow): EntityView {
  const parents = Object.fromEntries(
    PARENT_KINDS[row.kind].map((kind) => [kind, row.parent?.kind === kind ? row.parent.name : null]),
  ) as Partial<Record<'team' | 'customer', string | null>>;
  return {
    name: row.name,
    source: row.source,
    ...parents,
    models: listView(row.models),
    providers: listView(row.providers),
    routes: listView(row.routes),
    ...rulesView(row.rules),
    metadata: metadataView(row.metadata),
    disabled: row.disabled,
    created_at: toTimestamp(row.createdAt),
    updated_at: toTimestamp(row.updatedAt),
  };
}
