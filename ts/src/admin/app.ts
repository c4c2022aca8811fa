/**
 * The admin application: guard, checks, routes, OpenAPI. Routes are thin; what they decide is decided in the folders
 * they call. Listening is in `server.ts`.
 */
import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from 'fastify';
import { installAudit } from './audit.js';
import { AdminError, answerBrokenHttp, answerError } from './errors.js';
import { installGuard } from './guard.js';
import { installIdempotency } from './idempotency.js';
import { openApi, openApiRoute } from './openapi.js';
import type { AdminDependencies, AdminOptions } from './ports.js';
import { accessRoutes } from './routes/access.js';
import { auditRoutes } from './routes/audit.js';
import { catalogueRoutes } from './routes/catalogue.js';
import { configRoutes } from './routes/config.js';
import { entitiesRoutes } from './routes/entities.js';
import { healthRoutes, metricsRoutes, probeRoutes } from './routes/health.js';
import { keyRoutes } from './routes/keys.js';
import { meterRoutes } from './routes/meters.js';
import { providerKeyRoutes } from './routes/provider-keys.js';
import { usageRoutes } from './routes/usage.js';
import { ServiceTokens } from './service-tokens.js';
import { ServedChanges } from './served-changes.js';
import { ErrorSchema } from './schemas.js';
import { buildValidator } from './validation.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** Every route, as `METHOD /path`. */
    readonly routeList: readonly string[];
  }
}

/** The app, with handler types taken from the schemas. */
export type AdminApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Where the API lives. */
export const API_PREFIX = '/admin/v1';

/** Longest body of an ordinary request. */
const BODY_LIMIT_BYTES = 256 * 1024;

/** A request must have arrived within this. */
const REQUEST_TIMEOUT_MS = 30_000;

/** Builds the app. It owns nothing it is given, and closing it closes its sockets only. */
export async function buildAdminApp(
  deps: AdminDependencies,
  options: AdminOptions,
  logger?: FastifyBaseLogger,
): Promise<AdminApp> {
  const app = Fastify({
    ...(logger && { loggerInstance: logger }),
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerBrokenHttp,
    schemaController: { compilersFactory: { buildValidator } },
    genReqId: () => randomUUID(),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  listRoutes(app);
  const tokens = new ServiceTokens(deps, (err) =>
    app.log.error({ err }, 'the last use of a token could not be stored'),
  );
  installGuard(app, options, { now: () => deps.now(), actorOf: (digest) => tokens.actorOf(digest) });
  installAudit(app, deps);
  installIdempotency(app, deps);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(refuseUnknown);
  app.addSchema(ErrorSchema.schema);
  await app.register(swagger, openApi(deps.version));
  await app.register(async (root: AdminApp) => {
    probeRoutes(root, deps);
    metricsRoutes(root, deps, options);
  });
  await app.register(async (api: AdminApp) => apiRoutes(api, deps), { prefix: API_PREFIX });
  await app.ready();
  return app;
}

/** Keeps the list of everything that is served, so that a test can prove the guard stands before all of it. */
function listRoutes(app: AdminApp): void {
  const routes: string[] = [];
  app.decorate('routeList', routes);
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push(`${one} ${url}`);
  });
}

function apiRoutes(api: AdminApp, deps: AdminDependencies): void {
  accessRoutes(api, deps);
  meterRoutes(api, deps);
  const changes = new ServedChanges(deps.config);
  entitiesRoutes(api, deps, changes);
  keyRoutes(api, deps, changes);
  catalogueRoutes(api, deps);
  usageRoutes(api, deps);
  configRoutes(api, deps);
  healthRoutes(api, deps);
  auditRoutes(api, deps);
  providerKeyRoutes(api, deps);
  openApiRoute(api);
}

function refuseUnknown({ method, url }: FastifyRequest): never {
  const path = url.split('?', 1)[0] ?? '';
  throw new AdminError(
    'not_found',
    `there is no ${method} ${path}; ${API_PREFIX}/openapi.json lists what there is`,
  );
}
