#!/usr/bin/env node
// `npm test`: installs, builds, and runs every check and every test of both languages. The last line sums the tests.
//
//   node scripts/test.mjs [--only NAME[,NAME]] [--profile release|quick] [--list]
//
// Two lanes run side by side until there is something to test: one compiles the tests in cargo's dev profile (with
// overflow checks), the other builds the addon as it is shipped. Tests then run one suite at a time, so that what they
// measure is not disturbed by a compiler.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAddon, buildTypeScript } from './build.mjs';
import { installPackages, requireNode } from './lib/install.mjs';
import { countMatrix } from './matrix.mjs';
import { StepError, formatDuration, isMain, run, runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const BIN = join(ROOT, 'node_modules');
const VITEST_REPORT = join(ROOT, 'target', 'vitest.json');

/** Programs that some tests need, and the Debian package each comes in. Tests skip without them, except in CI. */
const OPTIONAL_PROGRAMS = { nginx: 'nginx-light', valgrind: 'valgrind' };

/** All crates, with the panics on request that prove one bad request harms no other; no release has these. */
const WORKSPACE = ['--workspace', '--locked', '--features', 'sluice-server/fault-injection'];

const node = (...args) => [process.execPath, args];
const cargo = (...args) => ['cargo', args];

/** What is run, by lane. A check either has a command or does its own work and resolves to `{ code, output }`. */
const LANES = {
  rust: [
    { name: 'rustfmt', command: cargo('fmt', '--all', '--check') },
    {
      name: 'clippy',
      command: cargo('clippy', ...WORKSPACE, '--all-targets', '--', '-D', 'warnings'),
    },
    { name: 'cargo-deny', work: cargoDeny },
    { name: 'generated', command: node('scripts/generate.mjs', '--check') },
    { name: 'cargo-compile', command: cargo('test', ...WORKSPACE, '--no-run') },
  ],
  typescript: [
    { name: 'dependencies', command: node('scripts/check-dependencies.mjs') },
    { name: 'cases', command: node('scripts/check-cases.mjs') },
    {
      name: 'prettier',
      command: node(join(BIN, 'prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'),
    },
    { name: 'tsc', work: () => asCheck(buildTypeScript) },
    { name: 'tsc-tests', command: node(join(BIN, 'typescript', 'bin', 'tsc'), '--project', 'ts/test') },
    { name: 'oxlint', command: node(join(BIN, 'oxlint', 'bin', 'oxlint')) },
    { name: 'knip', command: node(join(BIN, 'knip', 'bin', 'knip.js')) },
    { name: 'addon', work: ({ profile }) => asCheck(() => buildAddon({ profile })) },
    { name: 'instructions', work: countInstructions },
  ],
  tests: [
    { name: 'pack', command: node('scripts/pack-check.mjs') },
    {
      name: 'cargo-test',
      command: cargo('test', ...WORKSPACE, '--no-fail-fast'),
      count: countCargo,
    },
    { name: 'vitest', work: runVitest, count: countVitest },
    { name: 'matrix', command: node('scripts/matrix.mjs', '--built'), count: countMatrix },
    { name: 'race', command: node('scripts/race.mjs', '--built') },
  ],
};

/** Runs a build step as a check: its message is the output, and its failure is one failure like any other. */
async function asCheck(work) {
  try {
    await work();
    return { code: 0, output: '' };
  } catch (error) {
    return { code: 1, output: error instanceof StepError ? error.message : String(error.stack) };
  }
}

async function cargoDeny() {
  if (spawnSync('cargo', ['deny', '--version']).status !== 0) {
    return { code: 0, output: '', skipped: 'cargo-deny is not installed (cargo install cargo-deny)' };
  }
  return run('cargo', ['deny', '--locked', 'check', 'bans', 'licenses', 'sources'], {
    cwd: ROOT,
    capture: true,
  });
}

async function countInstructions() {
  if (spawnSync('valgrind', ['--version']).status !== 0) {
    return { code: 0, output: '', skipped: 'valgrind is not installed' };
  }
  return run(...node('scripts/instructions.mjs'), { cwd: ROOT, capture: true });
}

async function runVitest() {
  mkdirSync(join(ROOT, 'target'), { recursive: true });
  rmSync(VITEST_REPORT, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${VITEST_REPORT}`];
  const [command, args] = node(join(BIN, 'vitest', 'vitest.mjs'), 'run', ...reporters);
  return run(command, args, { cwd: ROOT, capture: true });
}

/** `{ passed, failed, skipped }` summed over the test binaries of a cargo run. */
export function countCargo(output) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return counts;
}

function countVitest() {
  try {
    const report = JSON.parse(readFileSync(VITEST_REPORT, 'utf8'));
    return { passed: report.numPassedTests, failed: report.numFailedTests, skipped: report.numPendingTests };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }; // it did not come that far; its exit code says so
  }
}

/** Runs one check and prints its section: one line when all is well, everything it said when it is not. */
async function runCheck(check, options) {
  const begun = performance.now();
  const { code, output, skipped } = await (check.work === undefined
    ? run(...check.command, { cwd: ROOT, capture: true })
    : check.work(options));
  const counts = check.count?.(output) ?? { passed: 0, failed: 0, skipped: 0 };
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  const ok = code === 0 && counts.failed === 0;
  if (!ok) console.log(`\n──── ${check.name} ────\n${output.trimEnd()}\n`);
  console.log(
    `${ok ? '✔' : '✘'} ${check.name.padEnd(14)} ${describe(check, counts, skipped, performance.now() - begun)}`,
  );
  return counts;
}

function describe(check, counts, skipped, ms) {
  if (skipped !== undefined) return `skipped: ${skipped}`;
  const tests = `, ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  return `${formatDuration(ms)}${check.count === undefined ? '' : tests}`;
}

async function runLane(checks, options) {
  const all = [];
  for (const check of checks) all.push(await runCheck(check, options)); // one after the other is what a lane is
  return all;
}

/** Where Debian puts nginx, which is not on the path of ordinary users. */
const SYSTEM_PROGRAMS = '/usr/sbin';

/** Says which optional programs are missing; in CI that is an error, since tests would silently not run. */
function checkPrograms() {
  const missing = Object.keys(OPTIONAL_PROGRAMS).filter(
    (name) => spawnSync(name, ['-v']).error !== undefined,
  );
  for (const name of missing) console.log(`- ${name} is not installed: the tests that need it are skipped`);
  if (missing.length > 0 && process.env.CI === 'true') {
    const packages = missing.map((name) => OPTIONAL_PROGRAMS[name]).join(' ');
    throw new StepError(`CI=true, and tests would be skipped. Install: apt-get install ${packages}`);
  }
}

function selectLanes(only) {
  const names = Object.values(LANES).flatMap((checks) => checks.map(({ name }) => name));
  const wanted = only?.split(',') ?? names;
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new StepError(`No such check: ${unknown.join(', ')}. There are: ${names.join(', ')}`);
  return Object.fromEntries(
    Object.entries(LANES).map(([lane, checks]) => [lane, checks.filter(({ name }) => wanted.includes(name))]),
  );
}

/** Prints the last line and sets the exit code. A run without a single test or check is a failure too. */
function conclude(all, begun) {
  const sum = (field) => all.reduce((total, counts) => total + counts[field], 0);
  if (all.length === 0) throw new StepError('Nothing was run.');
  console.log(`\n${formatDuration(performance.now() - begun)}`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  if (sum('failed') > 0) process.exitCode = 1;
}

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      profile: { type: 'string', default: 'release' },
      list: { type: 'boolean' },
    },
  });
  const lanes = selectLanes(values.only);
  if (values.list) {
    for (const checks of Object.values(lanes)) for (const { name } of checks) console.log(name);
    return;
  }
  const begun = performance.now();
  process.env.PATH = `${process.env.PATH}:${SYSTEM_PROGRAMS}`;
  requireNode();
  await installPackages();
  checkPrograms();
  const prepared = await Promise.all([runLane(lanes.rust, values), runLane(lanes.typescript, values)]);
  conclude([...prepared.flat(), ...(await runLane(lanes.tests, values))], begun);
}

if (isMain(import.meta.url)) await runMain(main);
