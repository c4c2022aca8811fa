// Installs the npm packages of the lock file, when they are not installed already. Uses nothing but Node itself.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StepError, mustRun } from './steps.mjs';
import { ROOT, readIfPresent } from './tree.mjs';

const MIN_NODE = [20, 19];

/** Fails with advice where this Node is too old. */
export function requireNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  throw new StepError(
    `Sluice needs Node ${MIN_NODE.join('.')} or newer; this is ${version}.\nGet one from https://nodejs.org/ and try again.`,
  );
}

/**
 * Whether node_modules holds what the lock file asks for.
 *
 * npm leaves a copy of the lock file in node_modules. Packages that are optional may be missing from it: they are for
 * other platforms.
 */
export function isInstalled(lockText, installedText) {
  if (installedText === undefined) return false;
  const installed = JSON.parse(installedText).packages ?? {};
  return Object.entries(JSON.parse(lockText).packages).every(([path, wanted]) => {
    if (path === '' || wanted.link === true) return true;
    const present = installed[path];
    return present === undefined ? wanted.optional === true : present.version === wanted.version;
  });
}

/** Installs if need be; returns false when there was nothing to do. */
export async function installPackages() {
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  if (isInstalled(lock, readIfPresent(join(ROOT, 'node_modules', '.package-lock.json')))) return false;
  await mustRun(
    'npm',
    ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: ROOT },
    'npm could not install the packages. Behind a proxy or a mirror, set `registry` or `proxy` in your ~/.npmrc and try again.',
  );
  return true;
}
