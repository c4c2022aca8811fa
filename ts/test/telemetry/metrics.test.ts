import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LATENCY_BOUNDS_US } from '../../src/bridge/generated/record.js';
import type { Stats } from '../../src/bridge/generated/snapshot.js';
import type { Label } from '../../src/governance/ports.js';
import { METRICS } from '../../src/telemetry/definitions.js';
import { Metrics } from '../../src/telemetry/index.js';
import { journalStats } from '../usage/records.js';
import { emptyStats, histogram } from './stats.js';

const LABELS: Label[] = [
  { id: 1, kind: 'provider', name: 'openai' },
  { id: 2, kind: 'model', name: 'gpt "4"\\\n' },
  { id: 3, kind: 'target', name: 'gpt -> openai' },
  { id: 4, kind: 'target', name: 'gpt -> openai' },
];
const recorder = {
  records: 5,
  detailDropped: 1,
  unattributed: 2,
  writeFailures: 3,
  pendingBytes: 96,
  costs: [{ providerId: 1, modelId: 2, cost: 1_234_567_890n, unpriced: 1 }],
  recovered: 4,
  journal: { ...journalStats(), lost_records: 7, sync_us: 1_500_000 },
};

function target(id: number): Stats['targets'][number] {
  return {
    target_id: id,
    provider_id: 1,
    model_id: 2,
    attempts: {
      ok: 5,
      rate_limited: 1,
      client_error: 0,
      server_error: 2,
      unreachable: 0,
      timeout: 0,
      truncated: 0,
      client_gone: 0,
    },
    tokens: {
      input: 100,
      cached_input: 40,
      cache_write: 3,
      output: 20,
      reasoning: 7,
      cache_write_1h: 2,
      audio_input: 0,
      image_input: 0,
      audio_output: 0,
      image_output: 0,
    },
    first_byte: histogram([1, 2], 30),
    upstream: histogram([0, 0, 3], 60, 2),
  };
}

function page(stats: Stats, labels: () => Promise<readonly Label[]> = async () => LABELS): Promise<string> {
  return new Metrics({
    stats: () => stats,
    recorder: () => recorder,
    labels,
    version: '1.2.3',
    processMetrics: false,
  }).render();
}

/** The lines of a page by series, after a check of the whole against the text format. */
function parse(text: string): Map<string, number> {
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split('\n').filter(Boolean)) {
    const type = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line);
    if (type) {
      expect(types.has(type[1]!), line).toBe(false);
      types.set(type[1]!, type[2]!);
      continue;
    }
    if (/^# HELP \w+ \S/.test(line)) continue;
    const sample = /^(\w+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)$/.exec(line);
    expect(sample, line).not.toBeNull();
    const metric = sample![1]!;
    expect(
      types.has(metric) || types.get(metric.replace(/_(bucket|sum|count)$/, '')) === 'histogram',
      line,
    ).toBe(true);
    expect(series.has(line.slice(0, line.lastIndexOf(' '))), `twice: ${line}`).toBe(false);
    series.set(line.slice(0, line.lastIndexOf(' ')), Number(sample![3]));
    expect(Number.isFinite(Number(sample![3])), line).toBe(true);
  }
  return series;
}

describe('the page', () => {
  it('holds every metric, even before anything happened', async () => {
    const text = await page(emptyStats());
    for (const { name } of METRICS) expect(text).toContain(`# TYPE ${name} `);
    const series = parse(text);
    expect(series.get('sluice_build_info{version="1.2.3"}')).toBe(1);
    expect(series.get('sluice_ready')).toBe(1);
    expect(series.get('sluice_worker_config_version{worker="1"}')).toBe(7);
    expect(series.get('sluice_usage_pending_bytes')).toBe(96);
    expect(series.get('sluice_gateway_duration_seconds_count')).toBe(0);
  });

  it('counts requests by route and class', async () => {
    const stats = {
      ...emptyStats(),
      routes: [{ route: 'embeddings', by_class: [9, 0, 4, 1, 2] }],
    } satisfies Stats;
    const series = parse(await page(stats));
    const of = (status: string) => series.get(`sluice_requests_total{route="embeddings",status="${status}"}`);
    expect(['2xx', '3xx', '4xx', '5xx', 'client_gone'].map(of)).toEqual([9, 0, 4, 1, 2]);
  });

  it('adds up errors that share a code, since a series may stand there once', async () => {
    const limited = { class: 'rate_limit_exceeded' };
    const series = parse(
      await page({
        ...emptyStats(),
        errors: [
          { ...limited, count: 2 },
          { ...limited, count: 5 },
        ],
      }),
    );
    expect(series.get('sluice_request_errors_total{code="rate_limit_exceeded"}')).toBe(7);
  });

  it('names providers, models and targets, escaped', async () => {
    const series = parse(await page({ ...emptyStats(), targets: [target(3)], pools: [pool()] }));
    const labels = String.raw`provider="openai",model="gpt \"4\"\\\n",target="gpt -> openai"`;
    expect(series.get(`sluice_upstream_attempts_total{${labels},outcome="ok"}`)).toBe(5);
    expect(series.get(`sluice_upstream_attempts_total{${labels},outcome="server_error"}`)).toBe(2);
    expect(series.get(`sluice_tokens_total{${labels},kind="cached_input"}`)).toBe(40);
    expect(series.get('sluice_upstream_connections{provider="openai",state="idle"}')).toBe(3);
    expect(series.get('sluice_upstream_connection_reuses_total{provider="openai"}')).toBe(8);
  });

  it('adds up targets whose names are the same', async () => {
    const series = parse(await page({ ...emptyStats(), targets: [target(3), target(4)] }));
    const tokens = [...series].filter(
      ([name]) => name.startsWith('sluice_tokens_total') && name.includes('"input"'),
    );
    expect(tokens.map(([, value]) => value)).toEqual([200]);
    const counts = [...series].filter(([name]) => name.startsWith('sluice_upstream_duration_seconds_count'));
    expect(counts.map(([, value]) => value)).toEqual([10]);
  });

  it('shows an id that has no name yet, and asks for it again next time', async () => {
    let labels: Label[] = [];
    let asked = 0;
    const metrics = new Metrics({
      stats: () => ({ ...emptyStats(), pools: [pool()] }),
      recorder: () => recorder,
      labels: async () => {
        asked += 1;
        return labels;
      },
      version: '1',
      processMetrics: false,
    });
    expect(await metrics.render()).toContain('provider="#1"');
    labels = LABELS;
    expect(await metrics.render()).toContain('provider="openai"');
    await metrics.render();
    expect(asked).toBe(2);
  });
});

function pool(): Stats['pools'][number] {
  return { provider_id: 1, idle: 3, active: 2, connects_total: 5, connect_errors_total: 1, reuses_total: 8 };
}

describe('a histogram', () => {
  let series: Map<string, number>;
  const NAME = 'sluice_gateway_duration_seconds';

  beforeAll(async () => {
    series = parse(await page({ ...emptyStats(), gateway: histogram([4, 0, 3, 1], 1_234_567, 2) }));
  });

  it('has cumulative buckets in seconds up to +Inf, the same as the count', () => {
    const bucket = (le: string) => series.get(`${NAME}_bucket{le="${le}"}`);
    expect(['0.000005', '0.00001', '0.00002', '0.00003', '0.00005', '120', '+Inf'].map(bucket)).toEqual([
      4, 4, 7, 8, 8, 8, 10,
    ]);
    expect(series.get(`${NAME}_count`)).toBe(10);
    expect(series.get(`${NAME}_sum`)).toBe(1.234567);
  });

  it('has one bucket per bound of the data plane, in order', () => {
    const bounds = [...series.keys()].flatMap(
      (name) => new RegExp(`^${NAME}_bucket\\{le="([^"]+)"`).exec(name)?.[1] ?? [],
    );
    expect(bounds.slice(0, -1).map(Number)).toEqual(LATENCY_BOUNDS_US.map((us) => us / 1_000_000));
    expect(bounds.at(-1)).toBe('+Inf');
  });
});

describe('conventions', () => {
  it.each(METRICS.map((metric) => [metric.name, metric] as const))(
    '%s follows them',
    (name, { type, help }) => {
      expect(name).toMatch(/^sluice_[a-z][a-z_]*[a-z]$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      if (type === 'histogram') expect(name).toMatch(/_seconds$/);
      expect(name).not.toMatch(/_(ms|us|milliseconds|kilobytes)(_|$)/);
      expect(help).toMatch(/^[A-Z0-9].*\.$/);
    },
  );

  it('names are unique', () => {
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
  });

  it('labels are those the table names', async () => {
    const stats: Stats = {
      ...emptyStats(),
      targets: [target(3)],
      pools: [pool()],
      routes: [{ route: 'models', by_class: [1, 0, 0, 0, 0] }],
      errors: [{ class: 'x', count: 1 }],
    };
    const names = { provider: String, model: String, target: String };
    for (const { name, labels, samples } of METRICS) {
      const [first] = samples({ stats, recorder, names, version: '1' });
      expect(
        Object.keys(first!.labels).filter((label) => label !== 'le'),
        name,
      ).toEqual([...labels]);
    }
  });
});

describe('metrics of the process', () => {
  let text: string;
  let metrics: Metrics;

  beforeAll(async () => {
    metrics = new Metrics({
      stats: emptyStats,
      recorder: () => recorder,
      labels: async () => [],
      version: '1',
    });
    text = await metrics.render();
  });

  afterAll(() => expect(metrics.contentType).toContain('version=0.0.4'));

  it.each([
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
  ])('include %s', (name) => expect(text).toContain(`# TYPE ${name} `));
});

describe('the reference', () => {
  it('describes exactly the metrics there are', () => {
    const reference = readFileSync(
      resolve(import.meta.dirname, '../../../docs/reference/metrics.md'),
      'utf8',
    );
    const described = [...reference.matchAll(/^\| `(sluice_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$/gm)].map(
      (row) => row.slice(1),
    );
    expect(described).toEqual(
      METRICS.map(({ name, type, labels, help }) => [
        name,
        type,
        labels.map((label) => `\`${label}\``).join(', '),
        help,
      ]),
    );
  });
});
