#!/usr/bin/env node
// Checks docs/quality.md: each table holds every number of its own once, and every row names tests that exist or says why
// there is none.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMain } from './lib/steps.mjs';
import { ROOT, listFiles, readIfPresent } from './lib/tree.mjs';

const PAGE = 'docs/quality.md';

/** Numbers from the first to the last. */
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/**
 * The numbers of each table, by the word that its rows' tests are named after.
 *
 * @type {Record<string, number[]>}
 */
export const TABLES = {
  trap: range(1, 78),
  edge: range(1, 76),
  check: [...range(40, 52), ...range(62, 94)], // the others are of other areas
};

/** A reason is a sentence of its own behind this word. */
const REASON = /^None: \S.{20,}\.$/;

/** Rust tests: functions with the attribute, whatever else stands between. */
export function rustTests(text) {
  const pattern = /#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)/g;
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

/** The rows of a table: lines that begin with its word and a number. */
export function rowsOf(table, page) {
  const pattern = new RegExp(`^\\| ${table} (\\d+) \\| ([^|]+) \\| (.+) \\|$`, 'gm');
  return [...page.matchAll(pattern)].map(([, number, what, tests]) => ({
    number: Number(number),
    what: what.trim(),
    tests: tests.trim(),
  }));
}

/** The tests a row names: of Rust by their name, of TypeScript as `file: words of it`. */
function namesIn(cell) {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
}

function exists(name, rust, read) {
  const inFile = /^(ts\/\S+\.ts): (.+)$/.exec(name);
  return inFile === null ? rust.has(name) : (read(inFile[1])?.includes(inFile[2]) ?? false);
}

function rowProblems(row, label, rust, read) {
  const names = namesIn(row.tests);
  if (names.length === 0) {
    return REASON.test(row.tests) ? [] : [`${label} names no test and gives no reason ("None: …")`];
  }
  return names
    .filter((name) => !exists(name, rust, read))
    .map((name) => `${label} names \`${name}\`, which is no test`);
}

function tableProblems(table, page, rust, read) {
  const rows = rowsOf(table, page);
  const numbers = TABLES[table];
  const counted = numbers.flatMap((number) => {
    const { length } = rows.filter((row) => row.number === number);
    return length === 1 ? [] : [`${table} ${number} has ${length} rows`];
  });
  const strangers = rows
    .filter(({ number }) => !numbers.includes(number))
    .map(({ number }) => `${table} ${number} is no number`);
  const wrong = rows.flatMap((row) => rowProblems(row, `${table} ${row.number}`, rust, read));
  return [...counted, ...strangers, ...wrong];
}

/**
 * What is wrong with the page. `rust` has the names of all Rust tests, `read` the text of a file, if it is there.
 *
 * @returns {string[]}
 */
export function checkCases(page, rust, read) {
  return Object.keys(TABLES).flatMap((table) => tableProblems(table, page, rust, read));
}

/** The names of all Rust tests in the tree. */
export function rustTestsIn(folder) {
  const files = listFiles(join(folder, 'crates')).filter((path) => path.endsWith('.rs'));
  return new Set(files.flatMap((path) => rustTests(readFileSync(join(folder, 'crates', path), 'utf8'))));
}

if (isMain(import.meta.url)) {
  const rust = rustTestsIn(ROOT);
  const problems = checkCases(readFileSync(join(ROOT, PAGE), 'utf8'), rust, (path) =>
    readIfPresent(join(ROOT, path)),
  );
  for (const problem of problems) console.error(`${PAGE}: ${problem}`);
  if (rust.size === 0) console.error('no tests were found');
  process.exitCode = problems.length > 0 || rust.size === 0 ? 1 : 0;
}
