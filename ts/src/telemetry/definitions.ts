/**
 * The metrics of the gateway as one table: name, kind, meaning, labels, and how the values come out of a reading. Units
 * are base units (seconds, bytes); counters end in `_total`. `docs/reference/metrics.md` is written from this table.
 */
import { LATENCY_BOUNDS_US } from '../bridge/generated/record.js';
import type {
  Histogram,
  JournalStats,
  Stats,
  TargetStats,
  WorkerStats,
} from '../bridge/generated/snapshot.js';
import { approximateUsd } from '../prices/index.js';
import { type ModelCost, type RecorderCounters, STATUS_CLASSES } from '../usage/index.js';

/** Values of the labels of one series. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a series. A histogram has many lines, each with a name of its own. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** Present where the line is not called as the metric. */
  readonly metricName?: string;
}

/** Names behind the ids of a reading. */
export interface MetricNames {
  provider(id: number): string;
  model(id: number): string;
  target(id: number): string;
}

/** Everything that is read for one scrape. */
export interface Reading {
  readonly stats: Stats;
  readonly recorder: RecorderCounters;
  readonly names: MetricNames;
  readonly version: string;
}

/** One metric. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Names of the labels, for the documentation. */
  readonly labels: readonly string[];
  readonly samples: (reading: Reading) => Sample[];
}

const MICROSECONDS_PER_SECOND = 1_000_000;
const COST_LABELS = ['provider', 'model'] as const;
const TARGET_LABELS = ['provider', 'model', 'target'] as const;

/** All of them, in the order of the page. */
export const METRICS: readonly MetricDefinition[] = [
  single(
    'sluice_build_info',
    'gauge',
    'Always 1; the version is in the label.',
    () => 1,
    ({ version }) => ({ version }),
  ),
  single('sluice_ready', 'gauge', '1 while requests are accepted, 0 once draining has begun.', ({ stats }) =>
    Number(stats.ready),
  ),
  single(
    'sluice_config_version',
    'gauge',
    'Version of the configuration last accepted.',
    ({ stats }) => stats.snapshot_version,
  ),
  perWorker(
    'sluice_worker_config_version',
    'gauge',
    'Version of the configuration that new requests of a worker begin with.',
    (worker) => worker.snapshot_version,
  ),

  {
    name: 'sluice_requests_total',
    type: 'counter',
    help: 'Finished requests by route and class of the status sent.',
    labels: ['route', 'status'],
    samples: ({ stats }) =>
      stats.routes.flatMap(({ route, by_class }) =>
        STATUS_CLASSES.map((status, at) => ({ labels: { route, status }, value: by_class[at] ?? 0 })),
      ),
  },
  {
    name: 'sluice_request_errors_total',
    type: 'counter',
    help: 'Requests that ended in an error, by its code.',
    labels: ['code'],
    samples: ({ stats }) =>
      stats.errors.map((error) => ({ labels: { code: error.class }, value: error.count })),
  },
  {
    name: 'sluice_gateway_duration_seconds',
    type: 'histogram',
    help: "The gateway's own time per request: from accept to the last byte, less waiting for the provider.",
    labels: [],
    samples: ({ stats }) => histogram('sluice_gateway_duration_seconds', {}, stats.gateway),
  },
  perWorker(
    'sluice_active_requests',
    'gauge',
    'Requests being served, streams included.',
    (worker) => worker.active_requests,
  ),
  perWorker('sluice_active_streams', 'gauge', 'Streams being served.', (worker) => worker.active_streams),
  perWorker('sluice_client_connections', 'gauge', 'Client connections open.', (worker) => worker.connections),
  perWorker(
    'sluice_client_connections_accepted_total',
    'counter',
    'Client connections accepted.',
    (worker) => worker.connections_total,
  ),

  {
    name: 'sluice_upstream_attempts_total',
    type: 'counter',
    help: 'Attempts at a target by what came of them.',
    labels: [...TARGET_LABELS, 'outcome'],
    samples: ({ stats, names }) =>
      stats.targets.flatMap((target) => byField(target.attempts, 'outcome', targetLabels(target, names))),
  },
  {
    name: 'sluice_tokens_total',
    type: 'counter',
    help: 'Tokens by kind. input and output are all of them; every other kind is a part of one of these.',
    labels: [...TARGET_LABELS, 'kind'],
    samples: ({ stats, names }) =>
      stats.targets.flatMap((target) => byField(target.tokens, 'kind', targetLabels(target, names))),
  },
  {
    name: 'sluice_cost_usd_total',
    type: 'counter',
    help: 'What requests cost, in USD; the only place where money is a floating-point number. Reports have it exactly.',
    labels: COST_LABELS,
    samples: ({ recorder, names }) =>
      costs(recorder).map((sum) => ({ labels: costLabels(sum, names), value: approximateUsd(sum.cost) })),
  },
  {
    name: 'sluice_unpriced_requests_total',
    type: 'counter',
    help: 'Requests whose model has no price; they are not in sluice_cost_usd_total.',
    labels: COST_LABELS,
    samples: ({ recorder, names }) =>
      costs(recorder).map((sum) => ({ labels: costLabels(sum, names), value: sum.unpriced })),
  },
  perTarget(
    'sluice_upstream_first_byte_seconds',
    'From the request sent upstream to the first byte of the answer.',
    (target) => target.first_byte,
  ),
  perTarget(
    'sluice_upstream_duration_seconds',
    'From the request sent upstream to the last byte of the answer.',
    (target) => target.upstream,
  ),
  {
    name: 'sluice_upstream_connections',
    type: 'gauge',
    help: 'Connections to a provider by state.',
    labels: ['provider', 'state'],
    samples: ({ stats, names }) =>
      stats.pools.flatMap(({ provider_id, idle, active }) =>
        byField({ idle, active }, 'state', { provider: names.provider(provider_id) }),
      ),
  },
  perPool('sluice_upstream_connects_total', 'Connections made to a provider.', (pool) => pool.connects_total),
  perPool(
    'sluice_upstream_connect_errors_total',
    'Connections to a provider that failed to come up.',
    (pool) => pool.connect_errors_total,
  ),
  perPool(
    'sluice_upstream_connection_reuses_total',
    'Requests sent on a connection that had served before.',
    (pool) => pool.reuses_total,
  ),

  perWorker(
    'sluice_usage_records_lost_total',
    'counter',
    'Usage records lost before the journal took them; tokens are counted all the same.',
    (worker) => worker.ring_dropped,
  ),
  perWorker(
    'sluice_usage_records_waiting',
    'gauge',
    'Usage records waiting for the journal to take them.',
    (worker) => worker.ring_used,
  ),
  single(
    'sluice_usage_records_total',
    'counter',
    'Usage records taken out of the journal.',
    ({ recorder }) => recorder.records,
  ),
  single(
    'sluice_usage_records_recovered_total',
    'counter',
    'Usage records of earlier runs that were found in the journal and stored.',
    ({ recorder }) => recorder.recovered,
  ),
  single(
    'sluice_usage_records_without_detail_total',
    'counter',
    'Usage records whose detail was given up because the store could not be written; reports count them.',
    ({ recorder }) => recorder.detailDropped,
  ),
  single(
    'sluice_usage_records_unattributed_total',
    'counter',
    'Usage records summed without key, model and provider because too many combinations were waiting.',
    ({ recorder }) => recorder.unattributed,
  ),
  single(
    'sluice_usage_write_failures_total',
    'counter',
    'Failed attempts to write usage to the store.',
    ({ recorder }) => recorder.writeFailures,
  ),
  single(
    'sluice_usage_pending_bytes',
    'gauge',
    'Bytes of usage records waiting to be written to the store.',
    ({ recorder }) => recorder.pendingBytes,
  ),
  journal('records_total', 'counter', 'Usage records taken by the journal.', ({ records }) => records),
  journal(
    'records_lost_total',
    'counter',
    'Usage records lost because neither the files of the journal nor its memory had room for them.',
    (stats) => stats.lost_records,
  ),
  journal('bytes', 'gauge', 'Bytes of the journal’s files.', ({ bytes }) => bytes),
  journal('memory_bytes', 'gauge', 'Bytes the journal holds in memory.', (stats) => stats.memory_bytes),
  journal(
    'unacknowledged_frames',
    'gauge',
    'Writes of the journal whose records are not in the store yet.',
    (stats) => stats.unacknowledged_frames,
  ),
  journal(
    'failures_total',
    'counter',
    'Failed attempts of the journal to write or to sync.',
    ({ failures }) => failures,
  ),
  journal('syncs_total', 'counter', 'Syncs of the journal’s files.', ({ syncs }) => syncs),
  journal(
    'sync_seconds_total',
    'counter',
    'Time these syncs took.',
    (stats) => stats.sync_us / MICROSECONDS_PER_SECOND,
  ),
];

function single(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (reading: Reading) => number,
  labels: (reading: Reading) => Labels = () => ({}),
): MetricDefinition {
  const names = name === 'sluice_build_info' ? ['version'] : [];
  return {
    name,
    type,
    help,
    labels: names,
    samples: (reading) => [{ labels: labels(reading), value: value(reading) }],
  };
}

function journal(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (stats: JournalStats) => number,
): MetricDefinition {
  return single(`sluice_usage_journal_${name}`, type, help, ({ recorder }) => value(recorder.journal));
}

function perWorker(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (worker: WorkerStats) => number,
): MetricDefinition {
  const samples = ({ stats }: Reading): Sample[] =>
    stats.workers.map((worker) => ({ labels: { worker: String(worker.worker) }, value: value(worker) }));
  return { name, type, help, labels: ['worker'], samples };
}

function perPool(
  name: string,
  help: string,
  value: (pool: Stats['pools'][number]) => number,
): MetricDefinition {
  const samples = ({ stats, names }: Reading): Sample[] =>
    stats.pools.map((pool) => ({
      labels: { provider: names.provider(pool.provider_id) },
      value: value(pool),
    }));
  return { name, type: 'counter', help, labels: ['provider'], samples };
}

function perTarget(name: string, help: string, of: (target: TargetStats) => Histogram): MetricDefinition {
  const samples = ({ stats, names }: Reading): Sample[] =>
    stats.targets.flatMap((target) => histogram(name, targetLabels(target, names), of(target)));
  return { name, type: 'histogram', help, labels: TARGET_LABELS, samples };
}

function targetLabels(target: TargetStats, names: MetricNames): Labels {
  return {
    provider: names.provider(target.provider_id),
    model: names.model(target.model_id),
    target: names.target(target.target_id),
  };
}

/** Sums per provider and model, added up before they become floating-point numbers. */
function costs({ costs: byTarget }: RecorderCounters): readonly ModelCost[] {
  const sums = new Map<string, ModelCost>();
  for (const { providerId, modelId, cost, unpriced } of byTarget) {
    const key = `${providerId}/${modelId}`;
    const sum = sums.get(key) ?? { providerId, modelId, cost: 0n, unpriced: 0 };
    sums.set(key, { providerId, modelId, cost: sum.cost + cost, unpriced: sum.unpriced + unpriced });
  }
  return [...sums.values()];
}

function costLabels({ providerId, modelId }: ModelCost, names: MetricNames): Labels {
  return { provider: names.provider(providerId), model: names.model(modelId) };
}

function byField(fields: object, label: string, labels: Labels): Sample[] {
  return Object.entries(fields).map(([field, value]) => ({
    labels: { ...labels, [label]: field },
    value: Number(value),
  }));
}

/** The lines of a histogram: counts up to each bound, all of them, their sum and their number. */
function histogram(name: string, labels: Labels, { counts, sum_us }: Histogram): Sample[] {
  const lines: Sample[] = [];
  let upTo = 0;
  for (const [at, bound] of LATENCY_BOUNDS_US.entries()) {
    upTo += counts[at] ?? 0;
    lines.push({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(bound / MICROSECONDS_PER_SECOND) },
      value: upTo,
    });
  }
  const all = upTo + (counts[LATENCY_BOUNDS_US.length] ?? 0);
  lines.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: all });
  lines.push({ metricName: `${name}_sum`, labels, value: sum_us / MICROSECONDS_PER_SECOND });
  lines.push({ metricName: `${name}_count`, labels, value: all });
  return lines;
}
