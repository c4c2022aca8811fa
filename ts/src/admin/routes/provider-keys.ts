/** `/provider-keys` and `/secrets`: keys of providers that are stored here, sealed, and what they are sealed with. */
import { type Static, Type } from 'typebox';
import type { ProviderKeyRow, Resealed } from '../../governance/access-ports.js';
import type { AdminApp } from '../app.js';
import { auditedBy } from '../audit.js';
import { pageOf, pageQuery } from '../paging.js';
import type { AdminDependencies } from '../ports.js';
import { preconditionOf, IfMatchHeaders, tagged } from '../preconditions.js';
import { type ProviderKeyAudit, ProviderKeysService } from '../provider-keys-service.js';
import {
  named,
  nullable,
  oneOf,
  record,
  refusals,
  timestamp,
  toTimestamp,
  toTimestampOrNull,
} from '../schemas.js';

const MAX_NAME = 128;
const MAX_SECRET = 8_192;
const MAX_WEIGHT = 1_000_000;

const ProviderKey = named(
  'ProviderKey',
  record(
    {
      id: Type.Integer({ description: 'Never used for another key.' }),
      provider: Type.String(),
      name: Type.String(),
      weight: Type.Integer({
        description: 'Share of the traffic relative to the other keys of the provider.',
      }),
      hint: Type.String({ description: 'Last four characters; more of it is never shown.' }),
      in_use: Type.Boolean({ description: 'False while the configuration does not have the provider.' }),
      created_at: timestamp('When it was stored.'),
      rotated_at: nullable(timestamp('When its secret was last replaced.')),
    },
    { description: 'A key of a provider, encrypted in the database.' },
  ),
);

type View = Static<(typeof ProviderKey)['schema']>;

const Secret = Type.String({
  minLength: 1,
  maxLength: MAX_SECRET,
  pattern: String.raw`^[\x21-\x7e]+$`,
  description: 'The key itself. It is encrypted, and never shown again.',
});
const Weight = Type.Integer({ minimum: 0, maximum: MAX_WEIGHT });
const Name = Type.String({ minLength: 1, maxLength: MAX_NAME, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' });

const Params = record({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) });
const Query = record({
  ...pageQuery(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Greater ids only.' }),
  ),
  provider: Type.Optional(Type.String({ maxLength: MAX_NAME })),
});

const SecretsView = record({
  master_key: nullable(
    Type.String({ description: 'Fingerprint of the master key; null while there is none.' }),
  ),
  origin: nullable(oneOf(['config', 'file'], { description: 'Where the master key is.' })),
  sealed: Type.Integer({ description: 'Stored secrets.' }),
  outdated: Type.Integer({ description: 'Of these, sealed with a master key from before.' }),
});

const RotationView = record({
  master_key: Type.String({ description: 'Fingerprint of the master key that secrets are sealed with now.' }),
  sealed: Type.Integer({ description: 'Secrets that were sealed anew.' }),
});

const WRITE = ['invalid_request', 'body_too_large', 'unsupported_media_type', 'config_refused'] as const;
const ONE = ['invalid_request', 'provider_key_not_found', 'precondition_failed', 'config_refused'] as const;

function operation(operationId: string, summary: string) {
  return { operationId, summary, tags: ['secrets'] };
}

const ROUTES = {
  list: {
    ...operation('listProviderKeys', 'List stored keys of providers'),
    querystring: Query,
    response: {
      200: record({ provider_keys: Type.Array(ProviderKey.ref), next_after: nullable(Type.Integer()) }),
      ...refusals('invalid_request'),
    },
  },
  get: {
    ...operation('getProviderKey', 'Get a stored key of a provider'),
    params: Params,
    response: { 200: ProviderKey.ref, ...refusals('invalid_request', 'provider_key_not_found') },
  },
  create: {
    ...operation('createProviderKey', 'Store a key for a provider of the configuration'),
    body: record({
      provider: Type.String({ minLength: 1, maxLength: MAX_NAME }),
      name: Name,
      secret: Secret,
      weight: Type.Optional(Weight),
    }),
    response: { 201: ProviderKey.ref, ...refusals(...WRITE, 'provider_key_name_taken', 'too_many_objects') },
  },
  change: {
    ...operation('changeProviderKey', "Change a stored key's share of the traffic"),
    params: Params,
    headers: IfMatchHeaders,
    body: record({ weight: Weight }),
    response: { 200: ProviderKey.ref, ...refusals(...WRITE, ...ONE) },
  },
  rotate: {
    ...operation('rotateProviderKey', 'Replace the secret of a stored key'),
    params: Params,
    headers: IfMatchHeaders,
    body: record({ secret: Secret }),
    response: { 200: ProviderKey.ref, ...refusals(...WRITE, ...ONE) },
  },
  remove: {
    ...operation('deleteProviderKey', 'Delete a stored key'),
    params: Params,
    headers: IfMatchHeaders,
    response: { 200: ProviderKey.ref, ...refusals(...ONE) },
  },
  secrets: {
    ...operation('getSecrets', 'What stored secrets are sealed with'),
    response: { 200: SecretsView, ...refusals() },
  },
  rotateMaster: {
    ...operation(
      'rotateSecrets',
      'Seal every stored secret with the current master key, or with a fresh one',
    ),
    response: { 200: RotationView, ...refusals('config_refused') },
  },
};

const READ = { config: { permission: 'provider_keys:read' } } as const;
const CHANGE = { config: { permission: 'provider_keys:write' } } as const;

/** Adds the routes. */
export function providerKeyRoutes(app: AdminApp, deps: AdminDependencies): void {
  app.addSchema(ProviderKey.schema);
  const service = new ProviderKeysService(deps);
  const view = (row: ProviderKeyRow): View => viewOf(row, deps);
  readRoutes(app, service, view);
  writeRoutes(app, deps, service, view);
  secretRoutes(app, deps);
}

function readRoutes(app: AdminApp, service: ProviderKeysService, view: (row: ProviderKeyRow) => View): void {
  app.get('/provider-keys', { ...READ, schema: ROUTES.list }, async ({ query }) => {
    const { after = 0, provider, limit } = query;
    const wanted = (await service.list()).filter(
      (row) => row.id > after && (provider ?? row.provider) === row.provider,
    );
    const { entries, nextAfter } = pageOf(wanted, limit, ({ id }) => id);
    return { provider_keys: entries.map(view), next_after: nextAfter };
  });

  app.get('/provider-keys/:id', { ...READ, schema: ROUTES.get }, async ({ params }, reply) =>
    tagged(reply, view(await service.find(params.id))),
  );
}

function writeRoutes(
  app: AdminApp,
  deps: AdminDependencies,
  service: ProviderKeysService,
  view: (row: ProviderKeyRow) => View,
): void {
  const auditOf = (request: Parameters<typeof auditedBy>[0], isGone = false): ProviderKeyAudit => {
    const note = (before: ProviderKeyRow | null, after: ProviderKeyRow | null, { id }: ProviderKeyRow) => ({
      object: 'provider_key',
      id,
      before: before && view(before),
      after: after && view(after),
    });
    return {
      done: (before) => auditedBy(request, deps, (row) => note(before, isGone ? null : row, row)),
      takenBack: auditedBy(request, deps, (row) => note(null, row, row), 'failed'),
    };
  };

  app.post('/provider-keys', { ...CHANGE, schema: ROUTES.create }, async (request, reply) => {
    const { weight = 1, ...key } = request.body;
    const row = await service.create({ ...key, weight }, auditOf(request));
    return reply.code(201).send(tagged(reply, view(row)));
  });

  app.patch('/provider-keys/:id', { ...CHANGE, schema: ROUTES.change }, async (request, reply) => {
    const requireMatch = preconditionOf(request);
    const check = (row: ProviderKeyRow): void => requireMatch(view(row));
    return tagged(
      reply,
      view(await service.change(request.params.id, request.body, check, auditOf(request))),
    );
  });

  app.post('/provider-keys/:id/rotate', { ...CHANGE, schema: ROUTES.rotate }, async (request, reply) => {
    const requireMatch = preconditionOf(request);
    const check = (row: ProviderKeyRow): void => requireMatch(view(row));
    return tagged(
      reply,
      view(await service.change(request.params.id, request.body, check, auditOf(request))),
    );
  });

  app.delete('/provider-keys/:id', { ...CHANGE, schema: ROUTES.remove }, async (request, reply) => {
    const requireMatch = preconditionOf(request);
    const row = await service.remove(
      request.params.id,
      (key) => requireMatch(view(key)),
      auditOf(request, true),
    );
    return reply.send(view(row));
  });
}

function secretRoutes(app: AdminApp, deps: AdminDependencies): void {
  app.get('/secrets', { config: { permission: 'secrets:read' }, schema: ROUTES.secrets }, async () => {
    const { masterKey, origin, sealed, outdated } = await deps.secrets.state();
    return { master_key: masterKey, origin, sealed, outdated };
  });

  const write = { config: { permission: 'secrets:write' } } as const;
  app.post('/secrets/rotate', { ...write, schema: ROUTES.rotateMaster }, async (request, reply) => {
    const audit = auditedBy(request, deps, ({ masterKey, sealed }: Resealed) => ({
      object: 'master_key',
      id: masterKey,
      before: null,
      after: { fingerprint: masterKey, secrets: sealed },
    }));
    const { masterKey, sealed } = await deps.secrets.rotate(audit);
    return reply.send({ master_key: masterKey, sealed });
  });
}

function viewOf(row: ProviderKeyRow, { config }: Pick<AdminDependencies, 'config'>): View {
  const { id, provider, name, weight, hint } = row;
  return {
    id,
    provider,
    name,
    weight,
    hint,
    in_use: config.providers().some((one) => one.name === provider),
    created_at: toTimestamp(row.createdAt),
    rotated_at: toTimestampOrNull(row.rotatedAt),
  };
}
