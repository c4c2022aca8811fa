/** `sluice bench`: Sluice as shipped beside nginx and the bare upstream, in one run on this machine. */

import { spawnSync } from 'node:child_process';
import { availableParallelism, constants } from 'node:os';
import { InvalidArgumentError, type Command } from 'commander';
import { cpuSource } from './bench/cpu.js';
import { Lab, type Pins } from './bench/lab.js';
import { defaultLabel, describeCommit, describeMachine, loadAverage, slug } from './bench/machine.js';
import { measureRow, type Bench, type Effort, type Run } from './bench/measure.js';
import { findNginx } from './bench/nginx.js';
import { TASKSET } from './bench/processes.js';
import { ROWS, SUBJECTS, upstreamsOf, type Row, type Subject } from './bench/rows.js';
import { aligned, streamLines, tableLines } from './bench/table.js';
import { folderFor, writeOutcome, type Outcome } from './bench/write.js';
import { CommandFailed, PROCESS_IO, type Io } from './io.js';
import { programVersion } from './version.js';

/** What the command line gave. */
export interface BenchFlags {
  readonly quick: boolean;
  readonly rows?: readonly Row[];
  readonly subjects?: readonly Subject[];
  readonly seconds?: number;
  readonly rounds?: number;
  readonly out: string;
  readonly label?: string;
  readonly loadThreads: number;
  readonly pinProxy?: string;
  readonly pinUpstream?: string;
  readonly pinLoad?: string;
}

const USUAL_SECONDS = 4;
const USUAL_ROUNDS = 5;
/** `--quick`: long enough to see whether everything works, not to be quoted. */
const QUICK_SECONDS = 1;
const QUICK_ROUNDS = 1;

const HELP = `
Rows:
${ROWS.map((row) => `  ${row.name.padEnd(20)}${row.title}`).join('\n')}

A whole run takes about a quarter of an hour and wants an idle machine. It writes summary.json, raw.csv and README.md
into a folder of its own. Exit code 1 when any request failed. Examples:

  $ sluice bench --quick
  $ sluice bench --rows closed-1k,stream-64 --seconds 10
  $ sluice bench --label t3-xlarge --pin-proxy 0 --pin-upstream 1 --pin-load 2,3
`;

/** Adds the command. */
export function registerBench(program: Command, io: Io = PROCESS_IO): void {
  program
    .command('bench')
    .description('measure Sluice beside nginx and the bare upstream on this machine')
    .option('--quick', 'a minute instead of a quarter of an hour; figures are rough', false)
    .option('--rows <names>', 'rows to measure, separated by commas', rowsNamed)
    .option('--subjects <names>', `what to measure (${SUBJECTS.join(',')})`, subjectsNamed)
    .option('--seconds <number>', `length of one run (${USUAL_SECONDS})`, positive)
    .option('--rounds <number>', `runs of each kind (${USUAL_ROUNDS})`, positiveWhole)
    .option('--out <folder>', 'where to put the folder of the run', 'bench/runs')
    .option('--label <name>', 'name of this kind of machine, in place of its processor', slugged)
    .option('--load-threads <number>', 'threads of the load generator', positiveWhole, 1)
    .option('--pin-proxy <cpus>', 'processors for nginx and Sluice, as taskset takes them', cpuList)
    .option('--pin-upstream <cpus>', 'processors for the upstreams', cpuList)
    .option('--pin-load <cpus>', 'processors for the load generator', cpuList)
    .addHelpText('after', HELP)
    .action(async (flags: BenchFlags) => {
      const failed = await bench(flags, io);
      if (failed > 0) throw new CommandFailed(`${failed} requests failed; the table and raw.csv say which`);
    });
}

/** Runs the bench and returns how many requests failed. Progress goes to standard error, the tables to standard output. */
export async function bench(flags: BenchFlags, io: Io): Promise<number> {
  const startedAt = new Date();
  const nginx = findNginx();
  if (nginx === undefined && subjectsOf(flags).includes('nginx')) {
    io.err('nginx is not installed, so there is nothing to compare with: apt-get install nginx');
  }
  const rows = chosenRows(flags, nginx !== undefined);
  const source = cpuSource();
  if (source === 'none') io.err('This system has no /proc: processor time and memory are left out.');
  const effort = effortOf(flags);
  const about = {
    label: flags.label ?? defaultLabel(),
    startedAt,
    command: commandLine(process.argv.slice(2)),
    version: programVersion(),
    machine: describeMachine(nginx?.version, source),
    commit: describeCommit(),
    loadAverage: loadAverage(),
    effort,
  };
  let folder: string | undefined;
  let outcome: Outcome = { ...about, rows: [], runs: [] };
  // Written after every row: a run that is broken off keeps the rows it has finished.
  await measureAll(rows, flags, { effort, source }, io, (measured, runs) => {
    outcome = { ...about, rows: measured, runs };
    folder ??= folderFor(flags.out, about);
    writeOutcome(folder, outcome);
  });
  show(outcome, io);
  io.err(`Written to ${folder ?? 'no folder: nothing was measured'}`);
  return outcome.runs.reduce((total, run) => total + run.report.failed, 0);
}

async function measureAll(
  rows: readonly Row[],
  flags: BenchFlags,
  how: Omit<Bench, 'lab'>,
  io: Io,
  onRow: (measured: readonly Row[], runs: readonly Run[]) => void,
): Promise<void> {
  const lab = new Lab(upstreamsOf(rows), pinsOf(flags));
  const stopAtSignal = (signal: NodeJS.Signals): never => {
    lab.abandon();
    return process.exit(128 + constants.signals[signal]);
  };
  process.once('SIGINT', stopAtSignal).once('SIGTERM', stopAtSignal);
  if (flags.pinLoad !== undefined) pinMyself(flags.pinLoad);
  const runs: Run[] = [];
  try {
    for (const [index, row] of rows.entries()) {
      io.err(`${row.name}: ${row.title}`);
      await measureRow({ lab, ...how }, row, (run) => {
        runs.push(run);
        io.err(`  ${progress(run)}`);
      });
      onRow(rows.slice(0, index + 1), runs);
    }
  } finally {
    await lab.stop();
    process.off('SIGINT', stopAtSignal).off('SIGTERM', stopAtSignal);
  }
}

/** The rows asked for, less the lanes that are not measured, less the rows that are left without any. */
export function chosenRows(flags: BenchFlags, withNginx: boolean): Row[] {
  const measured = subjectsOf(flags).filter((subject) => subject !== 'nginx' || withNginx);
  const isMeasured = (lane: string): boolean => measured.some((subject) => lane.startsWith(subject));
  const rows = (flags.rows ?? ROWS).map((row) => ({ ...row, lanes: row.lanes.filter(isMeasured) }));
  return rows.filter((row) => row.lanes.length > 0);
}

function subjectsOf(flags: BenchFlags): readonly Subject[] {
  return flags.subjects ?? SUBJECTS;
}

export function effortOf(flags: BenchFlags): Effort {
  return {
    seconds: flags.seconds ?? (flags.quick ? QUICK_SECONDS : USUAL_SECONDS),
    rounds: flags.rounds ?? (flags.quick ? QUICK_ROUNDS : USUAL_ROUNDS),
    asRowsSay: !flags.quick,
    loadThreads: Math.min(flags.loadThreads, availableParallelism()),
  };
}

function pinsOf(flags: BenchFlags): Pins {
  return {
    ...(flags.pinProxy === undefined ? {} : { proxy: flags.pinProxy }),
    ...(flags.pinUpstream === undefined ? {} : { upstream: flags.pinUpstream }),
  };
}

/** Moves all threads of this process, among them those that generate the load. */
function pinMyself(cpus: string): void {
  const result = spawnSync(TASKSET, ['-a', '-c', '-p', cpus, String(process.pid)], { encoding: 'utf8' });
  if (result.status !== 0)
    throw new Error(`taskset could not pin the generator: ${result.stderr ?? 'not installed'}`);
}

function progress(run: Run): string {
  const { report } = run;
  const cpu = run.cpuUsPerRequest === undefined ? '' : `, ${run.cpuUsPerRequest.toFixed(1)} µs CPU/request`;
  const failed = report.failed === 0 ? '' : `, ${report.failed} FAILED (${report.first_failure ?? ''})`;
  return `round ${run.round} ${run.lane}: ${report.requests_per_second.toFixed(0)} rps${cpu}${failed}`;
}

function show(outcome: Outcome, io: Io): void {
  io.out(aligned(tableLines(outcome.rows, outcome.runs)));
  const streams = streamLines(outcome.rows, outcome.runs);
  if (streams.length > 1) io.out(aligned(streams));
  for (const { row, lane, report } of outcome.runs) {
    if (report.first_failure !== null)
      io.err(`${row}, ${lane}: ${report.failed} failed, first ${report.first_failure}`);
  }
}

/** The command as it can be repeated; folders are left out, since they are nobody else's. */
function commandLine(args: readonly string[]): string {
  const kept = args.filter(
    (arg, index) => arg !== '--out' && args[index - 1] !== '--out' && !arg.startsWith('--out='),
  );
  return ['sluice', ...kept].join(' ');
}

function rowsNamed(text: string): Row[] {
  return text.split(',').map((name) => {
    const row = ROWS.find((candidate) => candidate.name === name.trim());
    if (row === undefined) throw new InvalidArgumentError(`There is no row "${name}"; --help lists them.`);
    return row;
  });
}

function subjectsNamed(text: string): Subject[] {
  return text.split(',').map((name) => {
    const subject = SUBJECTS.find((candidate) => candidate === name.trim());
    if (subject === undefined) throw new InvalidArgumentError(`It must be some of ${SUBJECTS.join(', ')}.`);
    return subject;
  });
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 3600) return value;
  throw new InvalidArgumentError('It must be a number above 0, at most 3600.');
}

function positiveWhole(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
}

function cpuList(text: string): string {
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return text;
  throw new InvalidArgumentError('It must be a list of processors such as 0 or 2,3 or 4-7.');
}

function slugged(text: string): string {
  const name = slug(text);
  if (name !== '') return name;
  throw new InvalidArgumentError('It must hold a letter or a digit.');
}
