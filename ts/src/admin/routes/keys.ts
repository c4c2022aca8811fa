/** `/keys`: virtual keys. A secret is answered once, by the request that made it. */
import type { Static } from 'typebox';
import type { KeyLimits, VirtualKeyRow } from '../../governance/ports.js';
import { keyState, type KeyRequest } from '../../governance/virtual-key.js';
import type { AdminApp } from '../app.js';
import { KeysService } from '../keys-service.js';
import type { AdminDependencies } from '../ports.js';
import { pageOf } from '../paging.js';
import { tagged } from '../preconditions.js';
import { toTimestamp, toTimestampOrNull } from '../schemas.js';
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

const READ = { config: { permission: 'keys:read' } } as const;
const WRITE = { config: { permission: 'keys:write' } } as const;

/** Adds the routes. */
export function keyRoutes(app: AdminApp, deps: AdminDependencies): void {
  for (const { schema } of [Key, KeyWithSecret]) app.addSchema(schema);
  const service = new KeysService(deps);
  const view = (key: VirtualKeyRow): KeyView => viewOf(key, deps.now());
  readRoutes(app, service, view);
  writeRoutes(app, service, view);
}

function readRoutes(app: AdminApp, service: KeysService, view: (key: VirtualKeyRow) => KeyView): void {
  app.get('/keys', { ...READ, schema: KEY_ROUTES.list }, async ({ query }) => {
    const keys = (await service.list()).map(view).filter((key) => isWanted(key, query));
    const { entries, nextAfter } = pageOf(keys, query.limit, ({ id }) => id);
    return { keys: entries, next_after: nextAfter };
  });

  app.get('/keys/:id', { ...READ, schema: KEY_ROUTES.get }, async ({ params }, reply) =>
    tagged(reply, view(await service.find(params.id))),
  );
}

function writeRoutes(app: AdminApp, service: KeysService, view: (key: VirtualKeyRow) => KeyView): void {
  app.post('/keys', { ...WRITE, schema: KEY_ROUTES.create }, async ({ body, log }, reply) => {
    const { key, secret } = await service.create({ name: body.name, ...settings(body, {}) });
    log.info({ event: 'key_created', key_id: key.id, key_name: key.name }, 'key created');
    return reply.code(201).send({ key: view(key), secret });
  });

  app.patch('/keys/:id', { ...WRITE, schema: KEY_ROUTES.change }, async ({ params, body, log }) => {
    const key = await service.change(params.id, (current) => settings(body, current.limits));
    log.info({ event: 'key_changed', key_id: key.id, fields: Object.keys(body) }, 'key changed');
    return view(key);
  });

  app.delete('/keys/:id', { ...WRITE, schema: KEY_ROUTES.revoke }, async ({ params, log }) => {
    const key = await service.revoke(params.id);
    log.info({ event: 'key_revoked', key_id: key.id, key_name: key.name }, 'key revoked');
    return view(key);
  });

  app.post('/keys/:id/rotate', { ...WRITE, schema: KEY_ROUTES.rotate }, async ({ params, body, log }) => {
    const expiresAt = parsedExpiry(body.expires_at);
    const overlapMs = body.overlap_seconds * MS_PER_SECOND;
    const { key, secret } = await service.rotate(params.id, {
      overlapMs,
      ...(expiresAt !== undefined && { expiresAt }),
    });
    log.info({ event: 'key_rotated', key_id: key.id, overlap_seconds: body.overlap_seconds }, 'key rotated');
    return { key: view(key), secret };
  });
}

function isWanted(key: KeyView, query: Static<typeof ListQuery>): boolean {
  const { after = 0, state, source } = query;
  return key.id > after && (state ?? key.state) === key.state && (source ?? key.source) === key.source;
}

/** What a body says, in the domain's terms; limits are merged into the present ones. */
function settings(
  body: Omit<Static<typeof NewKey>, 'name'> & { name?: string },
  current: KeyLimits,
): Partial<KeyRequest> {
  const expiresAt = parsedExpiry(body.expires_at);
  return {
    ...(body.name !== undefined && { name: body.name }),
    ...(body.models !== undefined && { models: body.models }),
    ...(body.limits !== undefined && { limits: mergedLimits(body.limits, current) }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
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
    hint: key.hint,
    created_at: toTimestamp(key.createdAt),
    expires_at: toTimestampOrNull(current?.expiresAt ?? null),
    previous_secret_expires_at: toTimestampOrNull(previous?.expiresAt ?? null),
    revoked_at: toTimestampOrNull(key.revokedAt),
  };
}
