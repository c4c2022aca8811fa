import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CRATES,
  FOLDERS,
  checkManifests,
  checkRustSources,
  checkTypeScript,
  findCycles,
  importsOf,
  readCrates,
  readSources,
} from '../../../scripts/check-dependencies.mjs';

const depends = (name: string, on: string, kind = 'normal') => [{ name, dependencies: [{ name: on, kind }] }];

describe('manifests', () => {
  const cases: [string, ReturnType<typeof depends>, string[]][] = [
    ['a direction in the table', depends('pipeline', 'sluice-types'), []],
    [
      'a direction against it',
      depends('types', 'sluice-pipeline'),
      ['crate types may not use pipeline (normal)'],
    ],
    ['tests may use what the table says', depends('server', 'sluice-testkit', 'dev'), []],
    [
      'the product may not',
      depends('server', 'sluice-testkit'),
      ['crate server may not use testkit (normal)'],
    ],
    ['napi outside node', depends('server', 'napi'), ['crate server may not use the package napi']],
    ['napi in node', depends('node', 'napi'), []],
    ['tokio in a pure crate', depends('limits', 'tokio'), ['crate limits may not use the package tokio']],
    ['a crate nobody knows', depends('misc', 'serde'), ['crate misc is not in the table']],
    ['nothing at all', [], ['no crates were found']],
  ];
  it.each(cases)('%s', (_name, crates, problems) => {
    expect(checkManifests(crates)).toEqual(problems);
  });
});

describe('Rust sources', () => {
  const cases: [string, Record<string, string>, string[]][] = [
    ['a socket in the server', { 'server/src/lib.rs': 'let a = TcpStream::connect(b);' }, []],
    [
      'a socket in a pure crate',
      { 'http1/src/lib.rs': 'use std::net::TcpStream;' },
      ['crates/http1/src/lib.rs: crate http1 may not use a socket'],
    ],
    ['an address is not a socket', { 'limits/src/lib.rs': 'use std::net::IpAddr;' }, []],
    [
      'a clock in a pure crate',
      { 'limits/src/lib.rs': 'let now = std::time::Instant::now();' },
      ['crates/limits/src/lib.rs: crate limits may not use a clock'],
    ],
    [
      'async code in a pure crate',
      { 'dialects/src/lib.rs': 'pub async fn f() {}' },
      ['crates/dialects/src/lib.rs: crate dialects may not use async code'],
    ],
    ['comments', { 'limits/src/lib.rs': '//! never calls Instant::now()\n/* TcpStream */' }, []],
    ['strings', { 'limits/src/lib.rs': 'const A: &str = "TcpStream \\" Instant::now";' }, []],
    ['tests', { 'limits/src/lib.rs': '#[cfg(test)]\nmod tests {\n use std::fs;\n}' }, []],
    ['nothing at all', {}, ['no Rust sources were found']],
  ];
  it.each(cases)('%s', (_name, files, problems) => {
    expect(checkRustSources(files)).toEqual(problems);
  });
});

describe('TypeScript imports', () => {
  const cases: [string, Record<string, string>, string[]][] = [
    ['a direction in the table', { 'snapshot/a.ts': "import { b } from '../config/index.js';" }, []],
    ['within a folder', { 'config/a.ts': "import './b.js';" }, []],
    ['node itself', { 'config/a.ts': "import fs from 'node:fs';" }, []],
    [
      'a direction against it',
      { 'config/a.ts': "import type { S } from '../store/index.js';" },
      ['ts/src/config/a.ts: config may not import store'],
    ],
    [
      'a dynamic import against it',
      { 'config/a.ts': "const s = await import('../store/index.js');" },
      ['ts/src/config/a.ts: config may not import store'],
    ],
    [
      'a re-export against it',
      { 'config/a.ts': "export * from '../store/index.js';" },
      ['ts/src/config/a.ts: config may not import store'],
    ],
    [
      'generated types are not the bridge',
      { 'snapshot/a.ts': "import '../bridge/generated/record.js';" },
      [],
    ],
    [
      'the bridge from below',
      { 'snapshot/a.ts': "import '../bridge/index.js';" },
      ['ts/src/snapshot/a.ts: snapshot may not import bridge'],
    ],
    [
      'SQL outside the store',
      { 'admin/a.ts': "import { Kysely } from 'kysely';" },
      ['ts/src/admin/a.ts: admin may not import the package kysely'],
    ],
    ['a part of a scoped package', { 'admin/a.ts': "import s from '@fastify/swagger/lib/x.js';" }, []],
    [
      'a package nobody knows',
      { 'admin/a.ts': "import x from 'left-pad';" },
      ['ts/src/admin/a.ts: the package left-pad is not in the table'],
    ],
    [
      'the addon outside the bridge',
      { 'main.ts': "const addon = createRequire(import.meta.url)('x');" },
      ['ts/src/main.ts: only bridge loads native code'],
    ],
    [
      'a connection opened elsewhere',
      { 'usage/a.ts': "// fetch(url) is fine in words\nawait fetch('https://example');" },
      ['ts/src/usage/a.ts: only credentials and cli open connections'],
    ],
    [
      'a path out of the tree',
      { 'main.ts': "import '../../scripts/build.mjs';" },
      ['ts/src/main.ts: ../../scripts/build.mjs leaves ts/src'],
    ],
    [
      'a folder nobody knows',
      { 'common/a.ts': '' },
      ['ts/src/common/a.ts: folder common is not in the table'],
    ],
    ['nothing at all', {}, ['no TypeScript sources were found']],
  ];
  it.each(cases)('%s', (_name, files, problems) => {
    expect(checkTypeScript(files)).toEqual(problems);
  });

  it('finds every form of import and leaves comments alone', () => {
    const text = `import a from 'a';\nimport {\n  b,\n} from "b";\nimport 'c';\nexport { d } from 'd';
      await import('e');\nrequire('f');\n/* import x from 'x'; */`;
    expect(importsOf(text)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });
});

describe('the tables themselves', () => {
  it('have no cycles', () => {
    expect(findCycles(FOLDERS)).toEqual([]);
    expect(
      findCycles(Object.fromEntries(Object.entries(CRATES).map(([name, { uses }]) => [name, uses]))),
    ).toEqual([]);
  });

  it('would be refused with one', () => {
    expect(findCycles({ a: ['b'], b: ['c'], c: ['a'] })).toEqual(['the table has a cycle: a → b → c → a']);
    expect(checkTypeScript({ 'a/x.ts': '' }, { a: ['a'] })).toEqual(['the table has a cycle: a → a']);
  });
});

describe('a tree on disk', () => {
  let root: string;
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sluice-dependencies-'));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  it('has its manifests read by cargo', () => {
    write('Cargo.toml', '[workspace]\nresolver = "3"\nmembers = ["crates/*"]\n');
    for (const name of ['types', 'limits']) {
      write(
        `crates/${name}/Cargo.toml`,
        `[package]\nname = "sluice-${name}"\nversion = "0.1.0"\nedition = "2024"\n`,
      );
      write(`crates/${name}/src/lib.rs`, '');
    }
    write(
      'crates/limits/Cargo.toml',
      '[package]\nname = "sluice-limits"\nversion = "0.1.0"\nedition = "2024"\n[dev-dependencies]\nsluice-types = { path = "../types" }\n',
    );
    const crates = readCrates(root);
    expect(crates).toHaveLength(2);
    expect(checkManifests(crates)).toEqual(['crate limits may not use types (dev)']);
  });

  it('has its sources read, and none where there is no folder', () => {
    write('ts/src/a/b.ts', 'text');
    write('ts/src/node_modules/c.ts', 'text');
    expect(readSources(join(root, 'ts', 'src'), '.ts')).toEqual({ 'a/b.ts': 'text' });
    expect(readSources(join(root, 'nowhere'), '.ts')).toEqual({});
  });
});
