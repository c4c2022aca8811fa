/** From single runs to the figures of a row: medians over the rounds, and differences taken within a round. */

import type { Times } from './load.js';
import type { Run } from './measure.js';
import type { Lane, Row } from './rows.js';

/** The figures of one lane; null where a lane has none of that kind. Times are microseconds, memory MiB. */
export interface LaneSummary {
  readonly requests: number;
  readonly failures: number;
  readonly first_failure: string | null;
  readonly rps: number;
  readonly cpu_us_per_request: number | null;
  readonly cpu_us_by_thread: Readonly<Record<string, number>>;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly added_p50_us: number | null;
  readonly added_p99_us: number | null;
  readonly first_event_p50_us: number | null;
  readonly first_event_p99_us: number | null;
  readonly added_first_event_p50_us: number | null;
  readonly added_first_event_p99_us: number | null;
  readonly gap_p50_us: number | null;
  readonly gap_p99_us: number | null;
  readonly added_gap_p99_us: number | null;
  readonly transit_p50_us: number | null;
  readonly transit_p99_us: number | null;
  readonly added_transit_p50_us: number | null;
  readonly added_transit_p99_us: number | null;
  readonly rss_idle_mb: number | null;
  readonly rss_loaded_mb: number | null;
}

/** A row: Sluice's figures, and those of the others beside them. */
export interface RowSummary extends LaneSummary {
  readonly row: string;
  readonly title: string;
  readonly body_bytes: number;
  readonly stream: boolean;
  readonly alias: boolean;
  readonly metered: boolean;
  readonly workers: Row['workers'];
  readonly mode: Row['mode'];
  readonly connections: number;
  readonly offered_rps: number | null;
  readonly rounds: number;
  /** Processor time per request over nginx's: the median over the rounds of the ratio within a round. */
  readonly ratio_to_nginx: number | null;
  readonly ratio_to_nginx_by_round: readonly number[];
  /** The same over Sluice without the renaming or the budgets, in a row that is about them. */
  readonly ratio_to_identity: number | null;
  readonly direct: LaneSummary | null;
  readonly nginx: LaneSummary | null;
  readonly identity: LaneSummary | null;
}

/** Sums up a row, or returns null when Sluice was not part of it. */
export function summarise(row: Row, runs: readonly Run[]): RowSummary | null {
  const lane = (name: Lane): LaneSummary | null => summariseLane(runs, name);
  const sluice = lane('sluice');
  if (sluice === null) return null;
  const toNginx = ratios(runs, 'nginx');
  return {
    row: row.name,
    title: row.title,
    body_bytes: row.bodyBytes,
    stream: row.stream,
    alias: row.alias,
    metered: row.metered,
    workers: row.workers,
    mode: row.mode,
    connections: row.connections,
    offered_rps: row.rate ?? null,
    rounds: runs.filter((run) => run.lane === 'sluice').length,
    ratio_to_nginx: rounded(median(toNginx), 3),
    ratio_to_nginx_by_round: toNginx.map((ratio) => rounded(ratio, 3) ?? ratio),
    ratio_to_identity: rounded(median(ratios(runs, 'sluice_identity')), 3),
    ...sluice,
    direct: lane('direct'),
    nginx: lane('nginx'),
    identity: lane('sluice_identity'),
  };
}

/** Sums up one lane of a row's runs. */
export function summariseLane(all: readonly Run[], lane: Lane): LaneSummary | null {
  const runs = all.filter((run) => run.lane === lane);
  if (runs.length === 0) return null;
  const middle = (figure: (run: Run) => number | null | undefined): number | null => medianOf(runs, figure);
  const times = (of: (run: Run) => Times | null, key: 'p50_us' | 'p99_us'): number | null =>
    middle((run) => of(run)?.[key]);
  const added = (of: (run: Run) => Times | null, key: 'p50_us' | 'p99_us'): number | null =>
    lane === 'direct' ? null : middle((run) => addedTo(all, run, of, key));
  return {
    requests: sum(runs, (run) => run.report.requests),
    failures: sum(runs, (run) => run.report.failed),
    first_failure: runs.find((run) => run.report.first_failure !== null)?.report.first_failure ?? null,
    rps: middle((run) => run.report.requests_per_second) ?? 0,
    cpu_us_per_request: middle((run) => run.cpuUsPerRequest),
    cpu_us_by_thread: byThread(runs),
    p50_us: times(latency, 'p50_us') ?? 0,
    p99_us: times(latency, 'p99_us') ?? 0,
    added_p50_us: middle((run) => run.report.paired?.added_p50_us) ?? added(latency, 'p50_us'),
    added_p99_us: middle((run) => run.report.paired?.added_p99_us) ?? added(latency, 'p99_us'),
    first_event_p50_us: times(firstEvent, 'p50_us'),
    first_event_p99_us: times(firstEvent, 'p99_us'),
    added_first_event_p50_us: added(firstEvent, 'p50_us'),
    added_first_event_p99_us: added(firstEvent, 'p99_us'),
    gap_p50_us: times(gap, 'p50_us'),
    gap_p99_us: times(gap, 'p99_us'),
    added_gap_p99_us: added(gap, 'p99_us'),
    transit_p50_us: times(transit, 'p50_us'),
    transit_p99_us: times(transit, 'p99_us'),
    added_transit_p50_us: added(transit, 'p50_us'),
    added_transit_p99_us: added(transit, 'p99_us'),
    rss_idle_mb: middle((run) => run.rssIdleMb),
    rss_loaded_mb: middle((run) => run.rssLoadedMb),
  };
}

const latency = (run: Run): Times | null => run.report.latency;
const firstEvent = (run: Run): Times | null => run.report.first_event;
const gap = (run: Run): Times | null => run.report.gap;
const transit = (run: Run): Times | null => run.report.transit;

/** What a run took more than the direct run of its round. */
function addedTo(
  all: readonly Run[],
  run: Run,
  of: (run: Run) => Times | null,
  key: 'p50_us' | 'p99_us',
): number | undefined {
  const direct = all.find((other) => other.lane === 'direct' && other.round === run.round);
  const [through, without] = [of(run)?.[key], direct === undefined ? undefined : of(direct)?.[key]];
  return through === undefined || without === undefined ? undefined : through - without;
}

/** Sluice's processor time per request over that of another lane, round by round. */
function ratios(runs: readonly Run[], to: Lane): number[] {
  return runs.flatMap((run) => {
    const other = runs.find((candidate) => candidate.lane === to && candidate.round === run.round);
    if (run.lane !== 'sluice' || run.cpuUsPerRequest === undefined || !other?.cpuUsPerRequest) return [];
    return [run.cpuUsPerRequest / other.cpuUsPerRequest];
  });
}

/** Median by thread name; threads of the same name count together. */
function byThread(runs: readonly Run[]): Record<string, number> {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.cpuUsByThread)))];
  const times = names.map(
    (name) => [name, medianOf(runs, (run) => run.cpuUsByThread[name] ?? 0) ?? 0] as const,
  );
  return Object.fromEntries(times.filter(([, time]) => time > 0).sort(([, a], [, b]) => b - a));
}

function medianOf(runs: readonly Run[], figure: (run: Run) => number | null | undefined): number | null {
  const known = runs.map(figure).filter((value) => value !== null && value !== undefined);
  return rounded(median(known), 2);
}

/** The middle value, or the mean of the two in the middle; null of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}

function sum(runs: readonly Run[], figure: (run: Run) => number): number {
  return runs.reduce((total, run) => total + figure(run), 0);
}
