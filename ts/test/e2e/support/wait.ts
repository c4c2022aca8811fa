/** Waiting for what another process does. */

import { setTimeout as sleep } from 'node:timers/promises';

/** Longest wait for something that takes milliseconds on an idle machine. */
const PATIENCE_MS = 15_000;

const POLL_MS = 10;

/** Asks until the answer is neither undefined nor false, and returns it. `why` tells what is known when it never is. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  why: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await sleep(POLL_MS);
  }
  throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${what}\n${why()}`);
}
