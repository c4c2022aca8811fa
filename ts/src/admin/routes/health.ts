/** Liveness and readiness for probes, which say nothing else; health with detail for operators; metrics. */
import { Type } from 'typebox';
import type { AdminApp } from '../app.js';
import type { AdminDependencies, AdminOptions } from '../ports.js';
import { oneOf, publicRefusals, record, refusals } from '../schemas.js';

const MS_PER_SECOND = 1_000;

const Alive = record({ status: oneOf(['ok']) });
const Readiness = record({ status: oneOf(['ready', 'not_ready']) });

const Health = record({
  status: oneOf(['ok', 'draining'], { description: '`draining` once shutdown has begun.' }),
  version: Type.String({ description: 'Version of the program.' }),
  uptime_seconds: Type.Integer(),
  config_version: Type.Integer(),
  workers: Type.Integer({ description: 'Worker threads of the data plane.' }),
  active_requests: Type.Integer(),
  active_streams: Type.Integer(),
  connections: Type.Integer({ description: 'Client connections open.' }),
  recording: record({
    records: Type.Integer({ description: 'Usage records taken since the start.' }),
    records_lost: Type.Integer({
      description: 'Records dropped in the data plane; metrics still count their tokens.',
    }),
    detail_dropped: Type.Integer({
      description: 'Records whose detail was given up; reports still count them.',
    }),
    write_failures: Type.Integer({ description: 'Failed attempts to write to the store.' }),
    pending_bytes: Type.Integer({ description: 'Bytes waiting to be written.' }),
  }),
});

/** Adds `/healthz` and `/readyz`, at the root and for anyone. */
export function probeRoutes(app: AdminApp, { dataPlane }: AdminDependencies): void {
  app.get(
    '/healthz',
    {
      config: { permission: 'public' },
      schema: {
        ...operation('isAlive', 'Whether the process is alive'),
        security: [],
        response: { 200: Alive, ...publicRefusals() },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: { permission: 'public' },
      schema: {
        ...operation(
          'isReady',
          'Whether requests are accepted: false while starting and once draining has begun',
        ),
        security: [],
        response: { 200: Readiness, 503: Readiness, ...publicRefusals() },
      },
    },
    async (_, reply) => {
      const { ready } = dataPlane.stats();
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready' });
    },
  );
}

/** Adds `/metrics`, at the root. */
export function metricsRoutes(
  app: AdminApp,
  { metrics }: AdminDependencies,
  { metricsAccess }: AdminOptions,
): void {
  app.get(
    '/metrics',
    {
      config: { permission: 'metrics:read', openToLoopback: metricsAccess === 'loopback' },
      schema: {
        ...operation('getMetrics', 'Metrics in the Prometheus text format'),
        produces: ['text/plain'],
        response: { 200: Type.String(), ...refusals() },
      },
    },
    async (_, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  );
}

/** Adds `/health`. */
export function healthRoutes(app: AdminApp, deps: AdminDependencies): void {
  app.get(
    '/health',
    {
      config: { permission: 'health:read' },
      schema: { ...operation('getHealth', 'State of the gateway'), response: { 200: Health, ...refusals() } },
    },
    async () => {
      const stats = deps.dataPlane.stats();
      const sum = (of: (worker: (typeof stats.workers)[number]) => number) =>
        stats.workers.reduce((all, one) => all + of(one), 0);
      const { records, detailDropped, writeFailures, pendingBytes, journal } = deps.usage.counters();
      return {
        status: stats.ready ? ('ok' as const) : ('draining' as const),
        version: deps.version,
        uptime_seconds: Math.floor((deps.now() - deps.startedAt) / MS_PER_SECOND),
        config_version: stats.snapshot_version,
        workers: stats.workers.length,
        active_requests: sum((worker) => worker.active_requests),
        active_streams: sum((worker) => worker.active_streams),
        connections: sum((worker) => worker.connections),
        recording: {
          records,
          records_lost: sum((worker) => worker.ring_dropped) + journal.lost_records,
          detail_dropped: detailDropped,
          write_failures: writeFailures,
          pending_bytes: pendingBytes,
        },
      };
    },
  );
}

function operation(operationId: string, summary: string) {
  return { operationId, summary, tags: ['health'] };
}
