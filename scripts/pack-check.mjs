#!/usr/bin/env node
// Freezes what the npm package holds, and asserts that installing it runs nothing. Used by `npm test`, after the build.
//
// A file that slips into a package is public for good, and a script that runs at install is how packages are abused.
// So the content is a rule without a list to keep: the documents below, and the compiled form of each source file.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StepError, isMain, run, runMain } from './lib/steps.mjs';
import { ROOT, listFiles } from './lib/tree.mjs';

const DOCUMENTS = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];
const INSTALL_SCRIPTS = [
  'preinstall',
  'install',
  'postinstall',
  'preprepare',
  'prepare',
  'postprepare',
  'prepublish',
];

/** What the package must hold, given the files of ts/src. */
export function expectedFiles(sources) {
  const compiled = sources
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => ['.js', '.d.ts'].map((ending) => `dist/${name.slice(0, -'.ts'.length)}${ending}`));
  return [...DOCUMENTS, ...compiled].sort();
}

/** What was added to and what is missing from an expected list of files. */
export function compareLists(expected, actual) {
  return [
    ...actual.filter((name) => !expected.includes(name)).map((name) => `${name} would be published`),
    ...expected.filter((name) => !actual.includes(name)).map((name) => `${name} would be missing`),
  ];
}

/** Scripts of a package.json that npm would run on a user's machine. */
export function installScripts(manifest) {
  return INSTALL_SCRIPTS.filter((name) => name in (manifest.scripts ?? {}));
}

/** Packages of a lock file that users get and that run a script at install. */
export function dependenciesWithScripts(lock) {
  const marker = 'node_modules/';
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true && entry.hasInstallScript === true)
    .map(([path]) => path.slice(path.lastIndexOf(marker) + marker.length));
}

/** Dependencies of a package.json that are not one exact version. */
export function inexactVersions(manifest) {
  const all = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies };
  return Object.entries(all)
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}@${version}`);
}

async function packedFiles() {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const { code, output } = await run('npm', args, { cwd: ROOT, capture: true });
  if (code !== 0) throw new StepError(`npm pack failed:\n${output}`);
  return JSON.parse(output)[0]
    .files.map(({ path }) => path)
    .sort();
}

async function main() {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const problems = [
    ...installScripts(manifest).map(
      (name) => `package.json has the script ${name}, which npm runs at install`,
    ),
    ...dependenciesWithScripts(lock).map((name) => `the dependency ${name} runs a script at install`),
    ...inexactVersions(manifest).map((name) => `${name} is not one exact version`),
    ...compareLists(expectedFiles(listFiles(join(ROOT, 'ts', 'src'))), await packedFiles()),
  ];
  if (problems.length > 0) throw new StepError(problems.join('\n'));
}

if (isMain(import.meta.url)) await runMain(main);
