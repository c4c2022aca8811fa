/** Measures rows: runs of all lanes of a row in turn, round after round, so that a disturbance falls on all alike. */

import { asMb, cpuBetween, cpuTimes, residentKb, type CpuSource } from './cpu.js';
import type { Endpoint, Lab } from './lab.js';
import { load, type LoadMode, type LoadOptions, type LoadReport } from './load.js';
import type { Lane, Row, Subject } from './rows.js';
import { modelOf } from './sluice.js';

/** How long a request may take: far above the slowest upstream. */
const TIMEOUT_MS = 30_000;
const WARMUP_SECONDS = 0.5;
/** Length of the run before the first round, whose figures are thrown away. */
const FIRST_RUN_SECONDS = 0.3;
/** Length of a turn of a paired run. */
const SLICE_MS = 200;
/** How often memory is looked at under load. */
const MEMORY_POLL_MS = 200;
const NS_PER_US = 1000;

/** One run of one lane. */
export interface Run {
  readonly row: string;
  readonly lane: Lane;
  readonly round: number;
  readonly report: LoadReport;
  /** Processor time of the whole process per answered request, microseconds; absent for the upstream itself. */
  readonly cpuUsPerRequest: number | undefined;
  /** The same by thread name. */
  readonly cpuUsByThread: Readonly<Record<string, number>>;
  readonly rssIdleMb: number | undefined;
  /** Largest resident memory seen during the run. */
  readonly rssLoadedMb: number | undefined;
}

/** How long and how often. */
export interface Effort {
  /** Measured seconds of a run. */
  readonly seconds: number;
  /** Runs per lane. */
  readonly rounds: number;
  /** Whether rows that ask for lengths and rounds of their own get them. */
  readonly asRowsSay: boolean;
  /** Threads of the generator. */
  readonly loadThreads: number;
}

/** What measuring needs besides the row. */
export interface Bench {
  readonly lab: Lab;
  readonly effort: Effort;
  readonly source: CpuSource;
}

/** Measures one row; `onRun` is told of every run. */
export async function measureRow(bench: Bench, row: Row, onRun: (run: Run) => void): Promise<void> {
  const { effort } = bench;
  const rounds = effort.asRowsSay ? (row.rounds ?? effort.rounds) : effort.rounds;
  const first: Bench = { ...bench, effort: { ...effort, seconds: FIRST_RUN_SECONDS, asRowsSay: false } };
  for (const lane of row.lanes) await measure(first, row, lane, 0);
  for (let round = 1; round <= rounds; round += 1) {
    for (const lane of turned(row.lanes, round)) onRun(await measure(bench, row, lane, round));
  }
}

/** The lanes beginning with another one each round, so that none always runs after the same one. */
export function turned<T>(lanes: readonly T[], round: number): T[] {
  return lanes.map((_, index) => lanes[(index + round) % lanes.length] as T);
}

async function measure({ lab, effort, source }: Bench, row: Row, lane: Lane, round: number): Promise<Run> {
  const endpoint = await lab.endpoint(subjectOf(lane), row.workers);
  const options = loadOptions(row, lane, endpoint, await lab.endpoint('direct', 'one'), effort);
  const memory = watchMemory(endpoint);
  const before = cpuTimes(endpoint.pids(), source);
  const report = await load(options);
  const { total, byThread } = cpuBetween(before, cpuTimes(endpoint.pids(), source));
  lab.check();
  const perRequest = (nanoseconds: number): number => nanoseconds / NS_PER_US / Math.max(report.answered, 1);
  return {
    row: row.name,
    lane,
    round,
    report,
    cpuUsPerRequest: before.size === 0 ? undefined : perRequest(total),
    cpuUsByThread: Object.fromEntries([...byThread].map(([name, spent]) => [name, perRequest(spent)])),
    rssIdleMb: endpoint.idleMb,
    rssLoadedMb: memory.stop(),
  };
}

/** What answers on a lane. */
export function subjectOf(lane: Lane): Subject {
  return lane === 'sluice_identity' ? 'sluice' : lane;
}

function loadOptions(row: Row, lane: Lane, to: Endpoint, direct: Endpoint, effort: Effort): LoadOptions {
  const path = '/v1/chat/completions';
  const model = modelOf(row.upstream, row.alias && lane === 'sluice');
  return {
    url: `${to.url(row.upstream)}${path}`,
    headers: row.metered && lane === 'sluice' ? to.meteredHeaders : to.headers,
    body: { kind: 'chat', bytes: row.bodyBytes, model },
    stream: row.stream,
    mode: modeOf(row, `${direct.url(row.upstream)}${path}`),
    duration_ms: Math.round(secondsOf(row, effort) * 1000),
    warmup_ms: (row.warmupSeconds ?? WARMUP_SECONDS) * 1000,
    timeout_ms: TIMEOUT_MS,
    threads: Math.min(effort.loadThreads, row.connections),
  };
}

function secondsOf(row: Row, effort: Effort): number {
  if (effort.asRowsSay && row.seconds !== undefined) return row.seconds;
  return Math.max(effort.seconds, row.leastSeconds ?? 0);
}

function modeOf(row: Row, directUrl: string): LoadMode {
  const { mode: kind, connections } = row;
  if (kind === 'open') return { kind, requests_per_second: row.rate ?? 1, max_connections: connections };
  if (kind === 'paired') return { kind, direct_url: directUrl, direct_headers: {}, slice_ms: SLICE_MS };
  return { kind, connections };
}

/** Looks at the resident memory of an endpoint until it is stopped, and then says the most there was. */
function watchMemory(endpoint: Endpoint): { stop(): number | undefined } {
  const pids = endpoint.pids();
  let most = 0;
  const look = (): void => {
    most = Math.max(most, residentKb(pids) ?? 0);
  };
  const timer = setInterval(look, MEMORY_POLL_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
      return most === 0 ? undefined : asMb(most);
    },
  };
}
