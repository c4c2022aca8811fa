/** Child processes of a bench run. None outlives it: they are stopped in the end, at a signal, and when it crashes. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a child has to say that it is ready, or to end when it is told to. */
const PATIENCE_MS = 20_000;
/** Characters of a child's output that are kept to explain its end. */
const KEPT_OUTPUT = 4_000;
const POLL_MS = 20;
/** Of util-linux: runs a program on some processors only. */
export const TASKSET = 'taskset';

/** A running child. */
export interface Child {
  readonly pid: number;
  /** Resolves to the first line it writes to standard output. */
  firstLine(): Promise<string>;
  /** Throws, with its last words, if it has ended. */
  check(): void;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Where a child runs. */
export interface Place {
  /** Processors, as `taskset` takes them; all unless given. */
  readonly pin?: string | undefined;
  /** Variables besides those of this process. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Starts a program. */
export function launch(command: string, args: readonly string[], { pin, variables = {} }: Place = {}): Child {
  const [program, ...rest] = pin === undefined ? [command, ...args] : [TASKSET, '-c', pin, command, ...args];
  const env = { ...process.env, ...variables };
  const child = spawn(program ?? command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
  running.add(child);
  let output = '';
  let errors = '';
  let ended: string | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, KEPT_OUTPUT);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-KEPT_OUTPUT);
  });
  child.on('error', (error) => {
    running.delete(child);
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    running.delete(child);
    ended = `${command} ended with ${String(signal ?? code)}`;
  });
  const check = (): void => {
    if (ended !== undefined) throw new Error(`${ended}\n${errors || output}`.trimEnd());
  };
  return {
    pid: child.pid ?? -1,
    check,
    firstLine: () => until(`a line from ${command}`, check, () => /^(.*)\n/.exec(output)?.[1]),
    stop: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  const deadline = Date.now() + PATIENCE_MS;
  while (running.has(child)) {
    if (Date.now() > deadline) child.kill('SIGKILL');
    await sleep(POLL_MS);
  }
}

/** Asks again and again until there is an answer; `check` throws when there can be none any more. */
export async function until<T>(
  what: string,
  check: () => void,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    check();
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(POLL_MS);
  }
  throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${what}`);
}

/** A port of the loopback address that is free at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a listening socket has no port');
  return address.port;
}

/** Resolves when a server answers on the URL. */
export async function answering(url: string, child: Child): Promise<void> {
  await until(
    `an answer from ${url}`,
    () => child.check(),
    async () => {
      try {
        const response = await fetch(url);
        return response.ok ? true : undefined;
      } catch {
        return undefined;
      }
    },
  );
}
