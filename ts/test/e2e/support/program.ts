/** The program as `npm run build` leaves it, and processes of it. */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll } from 'vitest';
import { ROOT, fingerprint, readIfPresent } from '../../../../scripts/lib/tree.mjs';

/** What a user runs. */
export const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');

/** The bridge as a library, for scripts that run in a process of their own. */
export const BRIDGE_URL = pathToFileURL(join(ROOT, 'dist', 'bridge', 'index.js')).href;

/** What the TypeScript build takes the fingerprint of; see scripts/build.mjs. */
const COMPILED_FROM = ['package.json', 'package-lock.json', 'tsconfig.json', 'ts/src'];

/** Whether there is a program to run. */
export const isBuilt = hasAddon() && existsSync(PROGRAM);
if (!isBuilt) console.log('skipped: the program is not built (npm run build)');
else if (readIfPresent(join(ROOT, 'dist', 'typescript.stamp')) !== fingerprint(COMPILED_FROM)) {
  throw new Error('dist is not what ts/src says; these tests run the built program. Run `npm run build`.');
}

function hasAddon(): boolean {
  const folder = join(ROOT, 'dist', 'native');
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.node'));
}

/** Nothing of the environment of whoever runs the tests. */
const ENVIRONMENT = { PATH: process.env['PATH'] ?? '' };

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process under test. */
export interface Running {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<Ended>;
}

/** Where and with what a process is started. */
export interface Surroundings {
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
}

const children = new Set<ChildProcess>();
const directories: string[] = [];

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** An empty directory that lives as long as the test file. */
export function emptyDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-e2e-'));
  directories.push(directory);
  return directory;
}

/** Starts a program whose output is collected. It is killed at the end of the test file. */
export function launch(
  command: string,
  args: readonly string[],
  { directory, env = {} }: Surroundings,
): Running {
  const child = spawn(command, args, {
    cwd: directory,
    env: { ...ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  return { child, out: () => out, err: () => err, ended };
}

/** Runs a command of ours to its end. */
export async function runToEnd(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<Ended & { readonly out: string; readonly err: string }> {
  const running = launch(process.execPath, args, surroundings);
  const ended = await running.ended;
  return { ...ended, out: running.out(), err: running.err() };
}
