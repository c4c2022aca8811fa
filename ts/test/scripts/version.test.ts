import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };

it('the version is the same wherever it stands', () => {
  const lock = JSON.parse(read('package-lock.json')) as { version: string };
  const cargo = /^\[workspace\.package\]\nversion = "([^"]+)"/m.exec(read('Cargo.toml'))?.[1];
  expect({ lock: lock.version, cargo }).toEqual({ lock: version, cargo: version });
});

it('the changelog has a section for it', () => {
  expect(read('CHANGELOG.md')).toContain(`## [${version}]`);
});
