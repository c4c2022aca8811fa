/** Writes a run down: `summary.json` for programs, `raw.csv` for doubt, `README.md` for people. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Commit, Machine } from './machine.js';
import type { Effort, Run } from './measure.js';
import { nginxConfig, type Ports, type UpstreamAt, type Upstreams } from './nginx.js';
import { upstreamsOf, type Row, type UpstreamName } from './rows.js';
import { sluiceConfig } from './sluice.js';
import { summarise, type RowSummary } from './summary.js';
import { csv, markdown, streamLines, tableLines } from './table.js';

/** Ports in the nginx configuration as it is shown; those of a run are free ones. */
const FIRST_PORT_SHOWN = 9001;

/** Everything there is to write. */
export interface Outcome {
  readonly label: string;
  readonly startedAt: Date;
  readonly command: string;
  readonly version: string;
  readonly machine: Machine;
  readonly commit: Commit;
  readonly loadAverage: number | null;
  readonly effort: Effort;
  readonly rows: readonly Row[];
  readonly runs: readonly Run[];
}

/** What `summary.json` holds. */
export interface Summary extends Commit {
  readonly label: string;
  readonly started_at: string;
  readonly command: string;
  readonly version: string;
  readonly machine: Machine;
  readonly load_average_before: number | null;
  readonly seconds: number;
  readonly rounds: number;
  readonly rows: readonly RowSummary[];
}

/** Writes the three files into a folder that `folderFor` made, over those of the rows before. */
export function writeOutcome(folder: string, outcome: Outcome): void {
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('summary.json', `${JSON.stringify(summaryOf(outcome), null, 2)}\n`);
  write('raw.csv', csv(outcome.runs));
  write('README.md', readme(outcome));
}

/** A new folder for a run below `out`. */
export function folderFor(out: string, { startedAt, label }: Pick<Outcome, 'startedAt' | 'label'>): string {
  return newFolder(join(out, `${startedAt.toISOString().slice(0, 10)}-${label}`));
}

/** A folder that did not exist: a run never overwrites another. */
function newFolder(wanted: string): string {
  let folder = wanted;
  for (let number = 2; existsSync(folder); number += 1) folder = `${wanted}-${number}`;
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function summaryOf(outcome: Outcome): Summary {
  const rows = outcome.rows.map((row) =>
    summarise(
      row,
      outcome.runs.filter((run) => run.row === row.name),
    ),
  );
  return {
    label: outcome.label,
    started_at: outcome.startedAt.toISOString(),
    command: outcome.command,
    version: outcome.version,
    ...outcome.commit,
    machine: outcome.machine,
    load_average_before: outcome.loadAverage,
    seconds: outcome.effort.seconds,
    rounds: outcome.effort.rounds,
    rows: rows.filter((row) => row !== null),
  };
}

function readme(outcome: Outcome): string {
  const { machine, commit, effort } = outcome;
  const changed = commit.uncommitted_changes === true ? ', with uncommitted changes' : '';
  const streams = streamLines(outcome.rows, outcome.runs);
  return [
    `# ${outcome.startedAt.toISOString().slice(0, 10)}, ${outcome.label}`,
    '',
    `\`${outcome.command}\`, ${effort.rounds} interleaved rounds of ${effort.seconds} s unless a row asks for others.`,
    '',
    `- Sluice ${outcome.version}${commit.commit === null ? '' : `, commit ${commit.commit}${changed}`}`,
    `- ${machine.cpu_model}, ${machine.cpus} processors, ${machine.memory_mb} MiB, ${machine.os}, ${machine.arch}`,
    `- Node.js ${machine.node}, nginx ${machine.nginx ?? 'not installed'}`,
    `- Processor time from ${machine.cpu_time_from}; load average before the run ${outcome.loadAverage ?? 'unknown'}`,
    '',
    'Medians over the rounds; "added" is the difference to the direct run of the same round. The generator, the upstream',
    'and what is measured share the processors. What each column means, and how to repeat the run: `bench/README.md`.',
    '',
    markdown(tableLines(outcome.rows, outcome.runs)),
    '',
    ...(streams.length > 1 ? ['Streams:', '', markdown(streams), ''] : []),
    ...outcome.rows.map((row) => `- \`${row.name}\`: ${row.title}`),
    '',
    ...configurations(outcome.rows),
  ].join('\n');
}

/** The configurations, with places in place of the ports and paths that differ from run to run. */
function configurations(rows: readonly Row[]): string[] {
  const names = upstreamsOf(rows);
  const at = (name: UpstreamName): UpstreamAt => ({
    address: `UPSTREAM_${name.toUpperCase()}`,
    certificateFile: name === 'tls' ? 'FOLDER/tls.pem' : null,
  });
  const upstreams: Upstreams = new Map(names.map((name) => [name, at(name)]));
  const ports: Ports = new Map(names.map((name, index) => [name, FIRST_PORT_SHOWN + index]));
  const setup = {
    folder: 'FOLDER',
    dataPort: 8080,
    adminPort: 8081,
    workers: 'one' as const,
  };
  return [
    'nginx:',
    '',
    '```nginx',
    nginxConfig('FOLDER', 1, ports, upstreams).trimEnd(),
    '```',
    '',
    'Sluice, everything else as it is by default:',
    '',
    '```json',
    JSON.stringify(sluiceConfig(setup, upstreams), null, 2),
    '```',
    '',
  ];
}
