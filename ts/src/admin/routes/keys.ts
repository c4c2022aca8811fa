/** `/keys`: virtual keys. A secret is answered once, by the request that made it. */
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import {
  type Entities,
  type KeyScope,
  type Owner,
  OWNER_KINDS,
  type OwnerKind,
} from '../../governance/entity.js';
import type { MeterRule } from '../../governance/meter-rule.js';
import { isNetwork, NETWORK_EXPECTED, normalNetwork } from '../../governance/network.js';
import type { KeyLimits, VirtualKeyRow } from '../../governance/ports.js';
import { keyState, type KeyRequest } from '../../governance/virtual-key.js';
import type { AdminApp } from '../app.js';
import { noteChange } from '../changes.js';
import { AdminError } from '../errors.js';
import { type KeyDemand, KeysService } from '../keys-service.js';
import type { AdminDependencies } from '../ports.js';
import { pageOf } from '../paging.js';
import { preconditionOf, tagged } from '../preconditions.js';
import { listView, metadataView, rulesOf, rulesView } from '../rule-schemas.js';
import { toTimestamp, toTimestampOrNull } from '../schemas.js';
import type { ServedChanges } from '../served-changes.js';
import { checkPatterns } from './entities.js';
import {
  Key,
  KEY_ROUTES,
  KeyWithSecret,
  type Limits,
  type ListQuery,
  MS_PER_SECOND,
  type NewKey,
} from './keys-schemas.js';

type KeyView = Static<(typeof Key)['schema']>;

const READ = { config: { permission: 'keys:read', scoped: true } } as const;
const WRITE = { config: { permission: 'keys:write', scoped: true } } as const;

/** Adds the routes. */
export function keyRoutes(app: AdminApp, deps: AdminDependencies, changes: ServedChanges): void {
  for (const { schema } of [Key, KeyWithSecret]) app.addSchema(schema);
  const service = new KeysService(deps, changes);
  const view = (key: VirtualKeyRow): KeyView => viewOf(key, deps.now());
  readRoutes(app, service, view);
  writeRoutes(app, service, view);
}

type View = (key: VirtualKeyRow) => KeyView;

function readRoutes(app: AdminApp, service: KeysService, view: View): void {
  app.get('/keys', { ...READ, schema: KEY_ROUTES.list }, async ({ query, actor }) => {
    const { keys, entities } = await service.list(actor);
    const wanted = keys.filter((key) => belongs(key, query, entities)).map(view);
    const { entries, nextAfter } = pageOf(
      wanted.filter((key) => isWanted(key, query)),
      query.limit,
      ({ id }) => id,
    );
    return { keys: entries, next_after: nextAfter };
  });

  app.get('/keys/:id', { ...READ, schema: KEY_ROUTES.get }, async ({ params, actor }, reply) =>
    tagged(reply, view(await service.find(params.id, actor))),
  );
}

function writeRoutes(app: AdminApp, service: KeysService, view: View): void {
  app.post('/keys', { ...WRITE, schema: KEY_ROUTES.create }, async (request, reply) => {
    const { body, log } = request;
    const made = await service.create({ name: body.name, ...settings(body, null) }, demandOf(request, view));
    const { key, secret } = made;
    if (!isDryRun(request)) {
      noted(request, view, null, key);
      log.info({ event: 'key_created', key_id: key.id, key_name: key.name }, 'key created');
    }
    return reply.code(201).send({ key: view(key), secret });
  });

  app.patch('/keys/:id', { ...WRITE, schema: KEY_ROUTES.change }, async (request, reply) => {
    const { params, body, log } = request;
    const demand = demandOf(request, view);
    const { before, key } = await service.change(params.id, (current) => settings(body, current), demand);
    if (!isDryRun(request)) {
      noted(request, view, before, key);
      log.info({ event: 'key_changed', key_id: key.id, fields: Object.keys(body) }, 'key changed');
    }
    return tagged(reply, view(key));
  });

  app.delete('/keys/:id', { ...WRITE, schema: KEY_ROUTES.revoke }, async (request, reply) => {
    const { before, key } = await service.revoke(request.params.id, demandOf(request, view));
    if (!isDryRun(request)) {
      noted(request, view, before, key);
      request.log.info({ event: 'key_revoked', key_id: key.id, key_name: key.name }, 'key revoked');
    }
    return tagged(reply, view(key));
  });

  app.post('/keys/:id/rotate', { ...WRITE, schema: KEY_ROUTES.rotate }, async (request, reply) => {
    const { params, body, log } = request;
    const expiresAt = parsedExpiry(body.expires_at);
    const rotation = {
      overlapMs: body.overlap_seconds * MS_PER_SECOND,
      ...(expiresAt !== undefined && { expiresAt }),
    };
    const { before, key, secret } = await service.rotate(params.id, rotation, demandOf(request, view));
    noted(request, view, before, key);
    log.info({ event: 'key_rotated', key_id: key.id, overlap_seconds: body.overlap_seconds }, 'key rotated');
    return { key: tagged(reply, view(key)), secret };
  });
}

function isDryRun({ query }: Pick<FastifyRequest, 'query'>): boolean {
  return (query as { dry_run?: boolean }).dry_run === true;
}

function demandOf(request: Pick<FastifyRequest, 'actor' | 'headers' | 'query'>, view: View): KeyDemand {
  const precondition = preconditionOf(request);
  const { actor } = request;
  return { actor, isDryRun: isDryRun(request), expect: (key) => precondition(view(key)) };
}

function noted(
  request: Pick<FastifyRequest, 'changeNotes'>,
  view: View,
  before: VirtualKeyRow | null,
  after: VirtualKeyRow,
): void {
  noteChange(request, { object: 'key', id: after.id, before: before && view(before), after: view(after) });
}

function isWanted(key: KeyView, query: Static<typeof ListQuery>): boolean {
  const { after = 0, state, source, search = '' } = query;
  const isNamed = key.name.toLowerCase().includes(search.toLowerCase());
  return (
    isNamed && key.id > after && (state ?? key.state) === key.state && (source ?? key.source) === key.source
  );
}

function belongs(key: VirtualKeyRow, query: Static<typeof ListQuery>, entities: Entities): boolean {
  const line = key.owner === null ? [] : (entities.line(key.owner) ?? [key.owner]);
  const isOf = (kind: OwnerKind): boolean =>
    query[kind] === undefined || line.some((one) => one.kind === kind && one.name === query[kind]);
  return OWNER_KINDS.every(isOf) && (query.tag === undefined || key.tags.includes(query.tag));
}

type Settings = Omit<Static<typeof NewKey>, 'name'> & { name?: string };

/** What a body says, in the domain's terms; limits are merged into the present ones. */
function settings(body: Settings, present: VirtualKeyRow | null): Partial<KeyRequest> {
  const expiresAt = parsedExpiry(body.expires_at);
  return {
    ...(body.name !== undefined && { name: body.name }),
    ...(body.models !== undefined && { models: body.models }),
    ...(body.limits !== undefined && { limits: mergedLimits(body.limits, present?.limits ?? {}) }),
    ...(expiresAt !== undefined && { expiresAt }),
    scope: scopeOf(body, present?.rules ?? []),
  };
}

function scopeOf(body: Settings, rules: readonly MeterRule[]): Partial<KeyScope> {
  checkPatterns(body.providers ?? [], 'body.providers');
  for (const [at, network] of (body.networks ?? []).entries()) {
    if (isNetwork(network)) continue;
    throw new AdminError('invalid_request', `expected ${NETWORK_EXPECTED}`, `body.networks.${at}`);
  }
  const namesRules = body.budgets !== undefined || body.rate_limits !== undefined;
  return {
    ...given('owner', body.owner === undefined ? undefined : ownerOf(body.owner)),
    ...given('tags', body.tags),
    ...given('providers', body.providers),
    ...given('routes', body.routes),
    ...given('networks', body.networks?.map(normalNetwork)),
    ...given('rules', namesRules ? rulesOf(body, rules) : undefined),
    ...given('metadata', body.metadata),
  };
}

/** The property, where there is a value for it. */
function given<K extends keyof KeyScope>(name: K, value: KeyScope[K] | undefined): Partial<KeyScope> {
  return value === undefined ? {} : { [name]: value };
}

function ownerOf(owner: NonNullable<Settings['owner']> | null): Owner | null {
  const kind = OWNER_KINDS.find((one) => owner?.[one] !== undefined);
  return kind === undefined ? null : { kind, name: owner?.[kind] ?? '' };
}

function mergedLimits(body: Static<typeof Limits>, current: KeyLimits): KeyLimits {
  const merged = {
    requestsPerMinute: merge(body.requests_per_minute, current.requestsPerMinute),
    tokensPerMinute: merge(body.tokens_per_minute, current.tokensPerMinute),
    concurrency: merge(body.concurrency, current.concurrency),
  };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined));
}

/** Null lifts a limit, absence keeps it. */
function merge(wanted: number | null | undefined, current: number | undefined): number | undefined {
  return wanted === undefined ? current : (wanted ?? undefined);
}

function parsedExpiry(text: string | null | undefined): number | null | undefined {
  return typeof text === 'string' ? Date.parse(text) : text;
}

function viewOf(key: VirtualKeyRow, now: number): KeyView {
  const [current, previous] = key.digests;
  return {
    id: key.id,
    name: key.name,
    source: key.source,
    state: keyState(key, now),
    models: [...key.models],
    limits: {
      requests_per_minute: key.limits.requestsPerMinute ?? null,
      tokens_per_minute: key.limits.tokensPerMinute ?? null,
      concurrency: key.limits.concurrency ?? null,
    },
    owner: key.owner === null ? null : { [key.owner.kind]: key.owner.name },
    tags: [...key.tags],
    providers: listView(key.providers),
    routes: listView(key.routes),
    networks: [...key.networks],
    ...rulesView(key.rules),
    metadata: metadataView(key.metadata),
    hint: key.hint,
    created_at: toTimestamp(key.createdAt),
    expires_at: toTimestampOrNull(current?.expiresAt ?? null),
    previous_secret_expires_at: toTimestampOrNull(previous?.expiresAt ?? null),
    revoked_at: toTimestampOrNull(key.revokedAt),
  };
}
