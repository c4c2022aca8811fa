#!/usr/bin/env node
// Checks the direction of dependencies: of the crates by their manifests, of the TypeScript folders by their imports,
// and which of them may open sockets, read clocks, hold SQL or load the addon. One table per language; a crate or
// folder that is not in its table fails, and so does a tree in which nothing is found.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { isMain } from './lib/steps.mjs';
import { ROOT, listFiles } from './lib/tree.mjs';

/**
 * Crate → the crates of ours it may use, and (after `dev`) those its tests may use besides.
 *
 * @type {Record<string, { uses: string[], dev?: string[] }>}
 */
export const CRATES = {
  types: { uses: [] },
  http1: { uses: [] },
  limits: { uses: [] },
  dialects: { uses: ['types'] },
  pipeline: { uses: ['types', 'http1', 'dialects', 'limits'] },
  journal: { uses: ['types'] },
  demo: { uses: ['types', 'http1'] },
  loadgen: { uses: ['http1'], dev: ['demo', 'testkit'] },
  testkit: { uses: ['http1', 'demo'] },
  server: { uses: ['types', 'http1', 'dialects', 'limits', 'pipeline'], dev: ['testkit', 'demo', 'loadgen'] },
  node: { uses: ['types', 'server', 'journal', 'demo', 'loadgen'] },
};

/** Crates that may have sockets; testkit is only ever a dev-dependency. */
const WITH_SOCKETS = ['server', 'demo', 'loadgen', 'testkit'];
/** Crates that may have files; they write them without an event loop. */
const WITH_FILES = ['journal'];
/** Crates whose output depends on their arguments alone: no clock, no IO, no threads, no async. */
const PURE = ['types', 'http1', 'dialects', 'limits', 'pipeline'];

/** External packages → the crates that may depend on them. What is not listed is free. */
const RUST_PACKAGES = {
  napi: ['node'],
  'napi-derive': ['node'],
  'napi-build': ['node'],
  tokio: WITH_SOCKETS,
  hyper: WITH_SOCKETS,
  socket2: WITH_SOCKETS,
  rustls: WITH_SOCKETS,
  'tokio-rustls': WITH_SOCKETS,
  libc: WITH_SOCKETS,
  jiff: ['limits'],
  'portable-atomic': ['limits'],
};

/** What Rust code may say only in some crates. */
const RUST_WORDS = [
  {
    what: 'a socket',
    pattern: /\b(?:TcpStream|TcpListener|UdpSocket|UnixStream|UnixListener|UnixDatagram)\b|\btokio::net\b/,
    allowed: WITH_SOCKETS,
  },
  { what: 'a clock', pattern: /\b(?:Instant|SystemTime)::now\b/, denied: PURE },
  {
    what: 'a file, the environment or a thread',
    pattern: /\bstd::(?:fs|env|process|thread)\b/,
    denied: PURE,
  },
  { what: 'a file', pattern: /\bstd::fs\b|\b(?:File|OpenOptions)::\w/, allowed: WITH_FILES },
  { what: 'async code', pattern: /\basync\s+(?:fn|move|\{)|\.await\b/, denied: [...PURE, ...WITH_FILES] },
];

/**
 * Folder of ts/src → the folders it may import. `main` is ts/src/main.ts, the composition root; `generated` is
 * bridge/generated, types and constants without behaviour.
 *
 * @type {Record<string, string[]>}
 */
export const FOLDERS = {
  generated: [],
  bridge: ['generated'],
  providers: [],
  governance: [],
  prices: ['providers', 'governance'],
  credentials: ['governance'],
  config: ['providers', 'governance', 'prices', 'generated'],
  snapshot: ['config', 'providers', 'governance', 'prices', 'generated'],
  usage: ['prices', 'generated'],
  store: ['governance', 'usage'],
  telemetry: ['governance', 'usage', 'prices', 'generated'],
  secrets: ['governance'],
  admin: ['governance', 'usage', 'prices', 'generated'],
  recording: ['config', 'usage', 'store', 'telemetry', 'generated'],
  main: [
    'bridge',
    'recording',
    'governance',
    'config',
    'credentials',
    'snapshot',
    'prices',
    'usage',
    'store',
    'secrets',
    'telemetry',
    'admin',
    'generated',
  ],
  cli: ['main', 'bridge', 'providers', 'governance', 'config', 'secrets', 'store'],
};

/** npm packages → the folders that may import them. Every package must be listed: none may spread unnoticed. */
const NPM_PACKAGES = {
  kysely: ['store'],
  libsql: ['store'],
  pg: ['store'],
  fastify: ['admin'],
  '@fastify/swagger': ['admin'],
  '@fastify/type-provider-typebox': ['admin'],
  typebox: ['admin', 'config'],
  ajv: ['config', 'admin'],
  yaml: ['config'],
  'prom-client': ['telemetry'],
  pino: ['telemetry'],
  commander: ['cli'],
};

/** Only these folders may open connections: to give out credentials, and for the commands. The admin API listens only. */
const WITH_CONNECTIONS = ['credentials', 'cli'];
const OPENS_CONNECTIONS =
  /\bfetch\s*\(|\bnew WebSocket\b|["']node:(?:http|https|http2|tls|dgram|dns(?:\/promises)?)["']|\bnet\.connect\b|\bcreateConnection\b/;

/** Only this folder may load native code. */
const ADDON_LOADER = 'bridge';
const NATIVE_LOADING = /\bprocess\.dlopen\b|\bcreateRequire\b|["'`][^"'`\n]*\.node["'`]/;

/**
 * The workspace's crates, as cargo reads the manifests.
 *
 * @returns {{ name: string, dependencies: { name: string, kind: string }[] }[]}
 */
export function readCrates(root) {
  const args = ['metadata', '--no-deps', '--format-version', '1', '--offline'];
  const metadata = JSON.parse(execFileSync('cargo', args, { cwd: root, encoding: 'utf8' }));
  return metadata.packages.map(({ name, dependencies }) => ({
    name: ownCrate(name) ?? name,
    dependencies: dependencies.map((dependency) => ({
      name: dependency.name,
      kind: dependency.kind ?? 'normal',
    })),
  }));
}

function ownCrate(packageName) {
  return packageName.startsWith('sluice-') ? packageName.slice('sluice-'.length) : undefined;
}

/** Violations in the manifests. */
export function checkManifests(crates, table = CRATES) {
  const problems = crates.length === 0 ? ['no crates were found'] : [];
  for (const { name, dependencies } of crates) {
    const rule = table[name];
    if (rule === undefined) {
      problems.push(`crate ${name} is not in the table`);
      continue;
    }
    for (const { name: used, kind } of dependencies) {
      const problem = manifestProblem(name, rule, used, kind);
      if (problem !== undefined) problems.push(problem);
    }
  }
  return problems;
}

function manifestProblem(name, rule, used, kind) {
  const own = ownCrate(used);
  if (own !== undefined) {
    const allowed = kind === 'dev' ? [...rule.uses, ...(rule.dev ?? [])] : rule.uses;
    return allowed.includes(own) ? undefined : `crate ${name} may not use ${own} (${kind})`;
  }
  const owners = RUST_PACKAGES[used];
  return owners === undefined || owners.includes(name) || kind === 'dev'
    ? undefined
    : `crate ${name} may not use the package ${used}`;
}

/** Violations in Rust sources: `files` maps `crate/src/….rs` to text. Comments, strings and tests do not count. */
export function checkRustSources(files) {
  const problems = Object.keys(files).length === 0 ? ['no Rust sources were found'] : [];
  for (const [path, text] of Object.entries(files)) {
    const crate = path.split('/')[0];
    for (const { what, pattern, allowed, denied } of RUST_WORDS) {
      const forbidden = denied === undefined ? !allowed.includes(crate) : denied.includes(crate);
      if (forbidden && pattern.test(productCode(text))) {
        problems.push(`crates/${path}: crate ${crate} may not use ${what}`);
      }
    }
  }
  return problems;
}

function productCode(text) {
  const [product] = text.split(/^#\[cfg\(test\)\]\nmod \w+ \{/m, 1);
  return product.replaceAll(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|b?"(?:[^"\\]|\\[\s\S])*"/g, ' ');
}

/** Violations in TypeScript: `files` maps paths below ts/src to text. */
export function checkTypeScript(files, table = FOLDERS) {
  const problems = Object.keys(files).length === 0 ? ['no TypeScript sources were found'] : [];
  problems.push(...findCycles(table));
  for (const [path, text] of Object.entries(files)) {
    const folder = folderOf(path);
    if (table[folder] === undefined) {
      problems.push(`ts/src/${path}: folder ${folder} is not in the table`);
      continue;
    }
    for (const specifier of importsOf(text)) {
      const problem = importProblem(path, folder, specifier, table);
      if (problem !== undefined) problems.push(`ts/src/${path}: ${problem}`);
    }
    if (!WITH_CONNECTIONS.includes(folder) && OPENS_CONNECTIONS.test(withoutComments(text))) {
      problems.push(`ts/src/${path}: only ${WITH_CONNECTIONS.join(' and ')} open connections`);
    }
    if (folder !== ADDON_LOADER && NATIVE_LOADING.test(text)) {
      problems.push(`ts/src/${path}: only ${ADDON_LOADER} loads native code`);
    }
  }
  return problems;
}

function withoutComments(text) {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/[^\n]*/gm, ' ');
}

function folderOf(path) {
  if (path.startsWith('bridge/generated/')) return 'generated';
  const slash = path.indexOf('/');
  return slash < 0 ? path.replace(/\.[cm]?[jt]s$/, '') : path.slice(0, slash);
}

/** Every module a text imports, re-exports or loads dynamically, types included. */
export function importsOf(text) {
  const pattern = /\b(?:from|import|require)\s*\(?\s*(["'])([^"'\n]+)\1/g;
  return [...text.replaceAll(/\/\*[\s\S]*?\*\//g, ' ').matchAll(pattern)].map((match) => match[2]);
}

function importProblem(path, folder, specifier, table) {
  if (specifier.startsWith('node:')) return undefined;
  if (!specifier.startsWith('.')) {
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    const owners = NPM_PACKAGES[name];
    if (owners === undefined) return `the package ${name} is not in the table`;
    return owners.includes(folder) ? undefined : `${folder} may not import the package ${name}`;
  }
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  if (target.startsWith('..')) return `${specifier} leaves ts/src`;
  const other = folderOf(target);
  return other === folder || table[folder].includes(other) ? undefined : `${folder} may not import ${other}`;
}

/** Cycles in a table that maps names to the names they may use. */
export function findCycles(table) {
  const problems = [];
  const done = new Set();
  const visit = (name, above) => {
    if (above.includes(name)) {
      problems.push(`the table has a cycle: ${[...above.slice(above.indexOf(name)), name].join(' → ')}`);
      return;
    }
    if (done.has(name)) return;
    for (const used of table[name] ?? []) visit(used, [...above, name]);
    done.add(name);
  };
  for (const name of Object.keys(table)) visit(name, []);
  return problems;
}

/** Files below `folder` whose name ends so, as a map from path to text; none where there is no such folder. */
export function readSources(folder, ending) {
  if (!existsSync(folder)) return {};
  const names = listFiles(folder).filter((name) => name.endsWith(ending));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

/** Every violation in the project at `root`. */
export function checkProject(root) {
  const rust = Object.entries(readSources(join(root, 'crates'), '.rs')).filter(([path]) =>
    /^[^/]+\/src\//.test(path),
  );
  return [
    ...checkManifests(readCrates(root)),
    ...findCycles(Object.fromEntries(Object.entries(CRATES).map(([name, { uses }]) => [name, uses]))),
    ...checkRustSources(Object.fromEntries(rust)),
    ...checkTypeScript(readSources(join(root, 'ts', 'src'), '.ts')),
  ];
}

if (isMain(import.meta.url)) {
  const problems = checkProject(ROOT);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
