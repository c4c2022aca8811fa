/** The `/metrics` page: a prom-client registry whose values are read from the data plane when it is scraped. */
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import type { Stats } from '../bridge/generated/snapshot.js';
import type { Label, LabelKind } from '../governance/ports.js';
import type { RecorderCounters } from '../usage/index.js';
import {
  type MetricDefinition,
  type MetricNames,
  METRICS,
  type Reading,
  type Sample,
} from './definitions.js';

/** Resolution of the event-loop lag; each step wakes the process, so it is coarser than the default. */
const EVENT_LOOP_PRECISION_MS = 50;

/** End of the label of a target that belongs to a model a pattern stands for: the model's name at the provider. */
const OF_PATTERN = / \(\S+\)$/;

/** What the page is made from. */
export interface MetricsSources {
  readonly stats: () => Stats;
  readonly recorder: () => RecorderCounters;
  /** Every label ever given. */
  readonly labels: () => Promise<readonly Label[]>;
  readonly version: string;
  /** Whether to add the metrics of the process itself; off in tests that compare whole pages. */
  readonly processMetrics?: boolean;
}

/** The page. */
export class Metrics {
  private readonly registry = new Registry();
  private readonly names: CachedNames;
  private reading: Reading | null = null;

  constructor(private readonly sources: MetricsSources) {
    this.names = new CachedNames(sources.labels);
    for (const definition of METRICS) this.registry.registerMetric(this.metric(definition));
    if (sources.processMetrics === false) return;
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** The page as text. All metrics of one page come from one reading, so they fit together. */
  async render(): Promise<string> {
    const stats = this.sources.stats();
    const recorder = this.sources.recorder();
    await this.names.learn(stats, recorder);
    this.reading = {
      stats: { ...stats, targets: stats.targets.filter((target) => this.names.isShown(target)) },
      recorder,
      names: this.names,
      version: this.sources.version,
    };
    return this.registry.metrics();
  }

  /**
   * prom-client's own classes count for themselves; a metric that is only read needs no more than its shape, which is
   * all the registry asks of one.
   */
  private metric({ name, help, type, samples }: MetricDefinition): Metric {
    const get = async () => ({ name, help, type, values: this.reading ? merged(samples(this.reading)) : [] });
    return { name, help, type, get, reset: () => undefined } as unknown as Metric;
  }
}

/**
 * Adds up samples with the same name and labels. Two error kinds share a code, and two targets of different times can
 * share all names; a page with the same series twice is refused whole.
 */
function merged(samples: readonly Sample[]): Sample[] {
  const series = new Map<string, Sample>();
  for (const sample of samples) {
    const key = JSON.stringify([sample.metricName, sample.labels]);
    series.set(key, { ...sample, value: sample.value + (series.get(key)?.value ?? 0) });
  }
  return [...series.values()];
}

/** The id of the model and the target in calls that name none. */
const NONE = 0;

/** Names are read again only when an id turns up that was not known: labels are added to, never changed. */
class CachedNames implements MetricNames {
  private known = new Map<number, { kind: LabelKind; name: string }>();

  constructor(private readonly labels: () => Promise<readonly Label[]>) {}

  async learn(stats: Stats, { costs }: RecorderCounters): Promise<void> {
    const targets = stats.targets.flatMap(({ target_id, provider_id, model_id }) => [
      target_id,
      provider_id,
      model_id,
    ]);
    const spent = costs.flatMap(({ providerId, modelId }) => [providerId, modelId]);
    const ids = [...targets, ...spent, ...stats.pools.map(({ provider_id }) => provider_id)];
    if (ids.every((id) => id === NONE || this.known.has(id))) return;
    this.known = new Map((await this.labels()).map(({ id, kind, name }) => [id, { kind, name }]));
  }

  provider(id: number): string {
    return this.name('provider', id);
  }

  model(id: number): string {
    return this.name('model', id);
  }

  /** Of a model that a pattern stands for, the target of the pattern: hundreds of them would be too many series. */
  target(id: number): string {
    return this.name('target', id).replace(OF_PATTERN, '');
  }

  /** Targets of models that a pattern stands for are left out until they are used. */
  isShown({ target_id: id, attempts }: Stats['targets'][number]): boolean {
    return !OF_PATTERN.test(this.name('target', id)) || Object.values(attempts).some((count) => count > 0);
  }

  private name(kind: LabelKind, id: number): string {
    if (id === NONE) return '';
    const known = this.known.get(id);
    return known?.kind === kind ? known.name : `#${id}`;
  }
}
