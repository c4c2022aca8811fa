import { expect, it } from 'vitest';
import { TABLES, checkCases, rustTests } from '../../../scripts/check-cases.mjs';

/** A page on which every row says the same, but for those given. */
function pageWith(rows: Readonly<Record<string, string>>, otherwise = '`some_test`'): string {
  const lines = Object.entries(TABLES).flatMap(([table, numbers]) =>
    numbers.map((number) => {
      const label = `${table} ${number}`;
      return `| ${label} | what | ${rows[label] ?? otherwise} |`;
    }),
  );
  return lines.join('\n');
}

const tests = new Set(['some_test']);
const check = (page: string) =>
  checkCases(page, tests, (path: string) => (path === 'ts/test/a.test.ts' ? "it('works', …)" : undefined));

it('takes tests, and reasons', () => {
  const reason = 'None: the gateway has nothing of the kind yet.';
  expect(check(pageWith({ 'edge 3': reason, 'edge 4': '`ts/test/a.test.ts: works`' }))).toEqual([]);
});

it.each([
  ['edge 3', 'None', 'edge 3 names no test and gives no reason ("None: …")'],
  ['edge 4', '`no_test`', 'edge 4 names `no_test`, which is no test'],
  ['edge 5', '`ts/test/a.test.ts: fails`', 'edge 5 names `ts/test/a.test.ts: fails`, which is no test'],
  ['edge 6', '`ts/test/b.test.ts: works`', 'edge 6 names `ts/test/b.test.ts: works`, which is no test'],
])('finds what is wrong in %s: %s', (row, cell, problem) => {
  expect(check(pageWith({ [row]: cell }))).toEqual([problem]);
});

it('misses rows, and finds those that are twice', () => {
  const page = pageWith({});
  expect(check(page.replace(/^\| edge 9 .*\n/m, ''))).toEqual(['edge 9 has 0 rows']);
  expect(check(page.replace('| edge 9 ', '| edge 10 '))).toEqual(['edge 9 has 0 rows', 'edge 10 has 2 rows']);
});

it('has every check of authentication, of the admin API, of secrets, and of money', () => {
  expect(TABLES['check']).toHaveLength(13 + 33);
  const page = pageWith({});
  expect(check(page.replace(/^\| check 44 .*\n/m, ''))).toEqual(['check 44 has 0 rows']);
  expect(check(page.replace('| check 52 ', '| check 53 '))).toEqual([
    'check 52 has 0 rows',
    'check 53 is no number',
  ]);
  expect(check(pageWith({ 'check 94': '`no_test`' }))).toEqual([
    'check 94 names `no_test`, which is no test',
  ]);
});

it('finds tests by their attribute', () => {
  const text =
    '#[test]\nfn one() {}\n#[tokio::test(flavor = "x")]\n#[cfg(unix)]\nasync fn two() {}\nfn three() {}';
  expect(rustTests(text)).toEqual(['one', 'two']);
});
