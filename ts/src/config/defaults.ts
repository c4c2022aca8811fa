/** What holds where the file says nothing, written as it would be in the file. The schema and the reference show these. */
export const DEFAULTS = {
  dataAddress: '127.0.0.1:8080',
  adminAddress: '127.0.0.1:8081',
  dataDir: './sluice-data',
  postgresSchema: 'sluice',
  postgresConnections: 10,
  /** One per core. */
  workers: 0,

  /** Long prompts with several images in base64 stay below this. */
  requestBody: '32MiB',
  /** A full answer with generated images in base64 stays below this. */
  responseBody: '64MiB',
  /** One event may carry an image; 4 MiB ones are seen in practice. */
  streamEvent: '8MiB',
  connections: 10_000,
  /** High enough that closing costs nothing, low enough that a connection moves between workers now and then. */
  requestsPerConnection: 100_000,
  authFailuresPerMinute: 60,

  header: '10s',
  body: '2m',
  /** Above the 60 seconds of common load balancers, so that they close first. */
  clientIdle: '75s',
  write: '60s',
  drain: '30s',
  /** Enough for local tools; behind a load balancer, twice the interval of its checks. */
  drainLag: '1s',

  connect: '5s',
  /** Reasoning models may think for minutes before the first byte of an answer that is not streamed. */
  firstByte: '5m',
  betweenChunks: '2m',
  total: '15m',
  /** Below what providers keep idle connections for, so that we close first. */
  providerIdle: '30s',
  idleConnections: 256,

  requireKey: true,
  /** A budget that some requests pass by is none; who has no budget is not bothered. */
  unpriced: 'refuse_under_budget',
  reloadOnChange: true,
  usageDetailDays: 30,
  usageSync: 'interval',
  metrics: 'loopback',
  logLevel: 'info',

  /** Most clients set parameters of no consequence; refusing them would break more than it protects. */
  translateUnsupported: 'drop',

  weight: 1,
  tier: 0,
} as const;
