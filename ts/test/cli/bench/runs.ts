/** Runs made up for tests. */
import type { LoadReport, Times } from '../../../src/cli/bench/load.js';
import type { Run } from '../../../src/cli/bench/measure.js';
import type { Lane } from '../../../src/cli/bench/rows.js';

export function times(p50: number, p99: number): Times {
  return { count: 10, mean_us: p50, p50_us: p50, p99_us: p99, p999_us: p99, max_us: p99 };
}

export function run(lane: Lane, round: number, cpu: number | undefined, more: Partial<LoadReport> = {}): Run {
  const report: LoadReport = {
    requests: 100,
    failed: 0,
    failures: {},
    first_failure: null,
    requests_per_second: 1000 * round,
    answered: 120,
    latency: times(10 * round, 100 * round),
    first_event: null,
    gap: null,
    transit: null,
    peak_in_flight: 1,
    paired: null,
    ...more,
  };
  const byThread: Record<string, number> = cpu === undefined ? {} : { worker: cpu - 1, 'a, b': 1 };
  return {
    row: 'closed-1k',
    lane,
    round,
    report,
    cpuUsPerRequest: cpu,
    cpuUsByThread: byThread,
    rssIdleMb: cpu === undefined ? undefined : 50,
    rssLoadedMb: cpu === undefined ? undefined : 60,
  };
}
