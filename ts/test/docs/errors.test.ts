import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERRORS } from '../../src/bridge/generated/record.js';

const rows = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const match = /^\| (\d{3}) \| `(\w+)` \|/.exec(line);
    return match === null ? [] : [`${match[1]} ${match[2]}`];
  });

it('the page lists every error once, with its status', () => {
  const defined = new Set(ERRORS.map(({ status, code }) => `${status} ${code}`));
  expect(rows.toSorted()).toEqual([...defined].toSorted());
});
