/** The figures as text: the table on the terminal and in the README of a run, and the raw runs as CSV. */

import type { Run } from './measure.js';
import type { Lane, Row } from './rows.js';
import { summariseLane, type LaneSummary } from './summary.js';

const HEADINGS = [
  'row',
  'through',
  'rps',
  'CPU µs/req',
  '× nginx',
  'p50 µs',
  'p99 µs',
  'added p50',
  'added p99',
  'RSS MiB',
  'failed',
] as const;
const NOTHING = '–';

/** Lines of a table: one per lane of each row. `nginx` in the ratio column is the lane of that name of the same row. */
export function tableLines(rows: readonly Row[], runs: readonly Run[]): string[][] {
  const lines = rows.flatMap((row) => {
    const own = runs.filter((run) => run.row === row.name);
    const nginx = summariseLane(own, 'nginx')?.cpu_us_per_request ?? null;
    return row.lanes.flatMap((lane) => {
      const summary = summariseLane(own, lane);
      return summary === null ? [] : [cells(row, lane, summary, nginx)];
    });
  });
  return [[...HEADINGS], ...lines];
}

function cells(row: Row, lane: Lane, summary: LaneSummary, nginx: number | null): string[] {
  const cpu = summary.cpu_us_per_request;
  const ratio = cpu === null || nginx === null ? null : cpu / nginx;
  return [
    row.name,
    lane.replace('_', ' '),
    shown(summary.rps, 0),
    shown(cpu, 1),
    shown(ratio, 2),
    shown(summary.p50_us, 0),
    shown(summary.p99_us, 0),
    shown(summary.added_p50_us, 0),
    shown(summary.added_p99_us, 0),
    shown(summary.rss_loaded_mb, 0),
    String(summary.failures),
  ];
}

/** Streams have figures of their own: the first event, and how long a chunk is under way. */
export function streamLines(rows: readonly Row[], runs: readonly Run[]): string[][] {
  const lines = rows
    .filter((row) => row.stream)
    .flatMap((row) =>
      row.lanes.flatMap((lane) => {
        const summary = summariseLane(
          runs.filter((run) => run.row === row.name),
          lane,
        );
        return summary === null ? [] : [streamCells(row, lane, summary)];
      }),
    );
  const headings = ['row', 'through', 'first p50 µs', 'first p99', 'added first p99', 'gap p50', 'gap p99'];
  return [[...headings, 'added gap p99', 'transit p50', 'transit p99', 'added transit p99'], ...lines];
}

function streamCells(row: Row, lane: Lane, summary: LaneSummary): string[] {
  const figures = [
    summary.first_event_p50_us,
    summary.first_event_p99_us,
    summary.added_first_event_p99_us,
    summary.gap_p50_us,
    summary.gap_p99_us,
    summary.added_gap_p99_us,
    summary.transit_p50_us,
    summary.transit_p99_us,
    summary.added_transit_p99_us,
  ];
  return [row.name, lane.replace('_', ' '), ...figures.map((figure) => shown(figure, 0))];
}

function shown(value: number | null, digits: number): string {
  return value === null
    ? NOTHING
    : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The table for a terminal: columns aligned, numbers to the right. */
export function aligned(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
  return `${text.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** The table for Markdown. */
export function markdown(lines: readonly (readonly string[])[]): string {
  const [headings = [], ...rest] = lines;
  const rule = headings.map((_, column) => (column < 2 ? '---' : '---:'));
  return [headings, rule, ...rest].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

type Column = readonly [name: string, value: (run: Run) => string | number | null | undefined];

const COLUMNS: readonly Column[] = [
  ['row', (run) => run.row],
  ['lane', (run) => run.lane],
  ['round', (run) => run.round],
  ['requests', (run) => run.report.requests],
  ['failed', (run) => run.report.failed],
  ['rps', (run) => run.report.requests_per_second],
  ['answered', (run) => run.report.answered],
  ['cpu_us_per_request', (run) => run.cpuUsPerRequest?.toFixed(3)],
  ['p50_us', (run) => run.report.latency.p50_us],
  ['p99_us', (run) => run.report.latency.p99_us],
  ['p999_us', (run) => run.report.latency.p999_us],
  ['max_us', (run) => run.report.latency.max_us],
  ['paired_added_p50_us', (run) => run.report.paired?.added_p50_us],
  ['paired_added_p99_us', (run) => run.report.paired?.added_p99_us],
  ['first_event_p50_us', (run) => run.report.first_event?.p50_us],
  ['first_event_p99_us', (run) => run.report.first_event?.p99_us],
  ['gap_p50_us', (run) => run.report.gap?.p50_us],
  ['gap_p99_us', (run) => run.report.gap?.p99_us],
  ['transit_p50_us', (run) => run.report.transit?.p50_us],
  ['transit_p99_us', (run) => run.report.transit?.p99_us],
  ['rss_idle_mb', (run) => run.rssIdleMb],
  ['rss_loaded_mb', (run) => run.rssLoadedMb],
  ['cpu_us_by_thread', (run) => threads(run)],
];

/** All runs, one per line. */
export function csv(runs: readonly Run[]): string {
  const lines = runs.map((run) => COLUMNS.map(([, value]) => String(value(run) ?? '')).join(','));
  return `${[COLUMNS.map(([name]) => name).join(','), ...lines].join('\n')}\n`;
}

/** Threads that took time, the busiest first. Names may hold neither commas nor line ends. */
function threads(run: Run): string {
  const busy = Object.entries(run.cpuUsByThread).filter(([, time]) => time >= 0.001);
  const sorted = busy.sort(([, a], [, b]) => b - a);
  return sorted.map(([name, time]) => `${name.replaceAll(/[,;\s]/g, '_')}=${time.toFixed(3)}`).join(' ');
}
