/** The data plane by way of the bridge, in processes that end in every way a process of Node.js can end. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BRIDGE_URL, emptyDirectory, isBuilt, launch, type Ended } from './support/program.js';

const SCRIPTS = join(import.meta.dirname, 'scripts');

/** Exits in the middle of streams, over all ways. */
const EXITS = 50;
/** How many of them run at once. */
const EXITS_AT_ONCE = 4;

const WAYS = [
  'plainly',
  'in the callback of a stream',
  'after the data plane was stopped',
  'after the provider was stopped',
  'while it drains',
  'with calls in the exit handler',
  'while a load runs',
  'by an exception',
];

/** What a process holds is read from /proc. */
const hasProc = existsSync('/proc/self/task');

/** What a process holds at a moment. */
interface Held {
  readonly fds: number;
  readonly threads: number;
  readonly rssBytes: number;
}

interface Outcome extends Ended {
  readonly out: string;
  readonly err: string;
}

/** A crash in native code must not fill the disk. */
async function runScript(
  name: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<Outcome> {
  const command = ['ulimit -c 0; exec "$@"', 'script', process.execPath, ...nodeOptions];
  const running = launch('sh', ['-c', ...command, join(SCRIPTS, name), BRIDGE_URL, ...args], {
    directory: emptyDirectory(),
  });
  const ended = await running.ended;
  return { ...ended, out: running.out(), err: running.err() };
}

describe.skipIf(!isBuilt)('a process that ends in the middle of 50 streams', () => {
  it('ends with the code it was told to, however it ends', { timeout: 120_000 }, async () => {
    const left = Array.from({ length: EXITS }, (_, at) => WAYS[at % WAYS.length] ?? '');
    const outcomes: [string, Outcome][] = [];
    const runner = async (): Promise<void> => {
      for (let way = left.pop(); way !== undefined; way = left.pop())
        outcomes.push([way, await runScript('exit-in-streams.mjs', [way, '7'])]);
    };
    await Promise.all(Array.from({ length: EXITS_AT_ONCE }, runner));
    expect(outcomes).toHaveLength(EXITS);
    for (const [way, outcome] of outcomes)
      expect(outcome, way).toEqual({ code: 7, signal: null, out: '', err: '' });
  });
});

describe.skipIf(!isBuilt || !hasProc)('a worker thread in which a data plane serves', () => {
  it(
    'is terminated without a crash, and leaves neither threads nor ports behind',
    { timeout: 60_000 },
    async () => {
      const { code, signal, out, err } = await runScript('terminate-workers.mjs', ['10']);
      expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
      const { before, after, open } = JSON.parse(out) as { before: Held; after: Held; open: number };
      expect(open).toBe(0);
      expect(after.threads).toBe(before.threads);
      expect(after.fds).toBeLessThanOrEqual(before.fds + 1); // of the client's own pool
    },
  );
});

describe.skipIf(!isBuilt || !hasProc)('a data plane that is started and stopped 1,000 times', () => {
  /** Allocators keep some of what they got; a leak of a few kilobytes per round would show. */
  const MAX_GROWTH_BYTES = 40 * 1024 * 1024;

  it('leaves no descriptor and no thread behind, and little memory', { timeout: 120_000 }, async () => {
    const { code, signal, out, err } = await runScript('start-stop.mjs', ['1000'], ['--expose-gc']);
    expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
    const { before, after } = JSON.parse(out) as { before: Held; after: Held };
    expect([after.fds, after.threads]).toEqual([before.fds, before.threads]);
    expect(after.rssBytes - before.rssBytes).toBeLessThan(MAX_GROWTH_BYTES);
  });
});
