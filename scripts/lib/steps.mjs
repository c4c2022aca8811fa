// Steps of a script: each is announced, timed and, where asked, quiet unless it fails.

import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Longest captured output of one command; what came first is dropped beyond it. */
const MAX_CAPTURED_BYTES = 8 * 1024 * 1024;

/** A failure whose message says all that a user needs; printed without a stack. */
export class StepError extends Error {}

/** `1.4 s`, `2 min 05 s` */
export function formatDuration(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/** Announces a step, runs it and prints how long it took. A step that returns false had nothing to do. */
export async function step(title, work) {
  const begun = performance.now();
  process.stderr.write(`▸ ${title}\n`);
  const result = await work();
  const note = result === false ? 'up to date' : formatDuration(performance.now() - begun);
  process.stderr.write(`  ${title}: ${note}\n`);
  return result;
}

/**
 * Runs a command to its end and resolves to `{ code, output, ms }`.
 *
 * With `capture` the output of both streams is collected instead of shown. A command that cannot be started at all
 * counts as exit code 127, as in a shell.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, capture?: boolean }} [options]
 * @returns {Promise<{ code: number, output: string, ms: number }>}
 */
export function run(command, args, { cwd, env, capture = false } = {}) {
  const begun = performance.now();
  return new Promise((resolve) => {
    const stdio = capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', process.stderr, process.stderr];
    const child = spawn(command, args, { cwd, env: env ?? process.env, stdio });
    const collected = collect(capture ? [child.stdout, child.stderr] : []);
    const finish = (code) => resolve({ code, output: collected.text(), ms: performance.now() - begun });
    child.on('error', (error) => {
      collected.add(Buffer.from(`${command}: ${error.message}\n`));
      finish(127);
    });
    child.on('close', (code, signal) => finish(code ?? (signal === null ? 1 : 128)));
  });
}

function collect(streams) {
  const chunks = [];
  let bytes = 0;
  const add = (chunk) => {
    chunks.push(chunk);
    bytes += chunk.length;
    while (bytes > MAX_CAPTURED_BYTES && chunks.length > 1) bytes -= chunks.shift().length;
  };
  for (const stream of streams) stream.on('data', add);
  return { add, text: () => Buffer.concat(chunks).toString('utf8') };
}

/** Runs a command with its output shown, and fails with `advice` when it fails. */
export async function mustRun(command, args, options, advice) {
  const { code } = await run(command, args, options);
  if (code !== 0) throw new StepError(advice ?? `${command} ${args.join(' ')} failed with exit code ${code}`);
}

/** Whether the module of this URL is the script that Node was asked to run, and not one imported by it. */
export function isMain(url) {
  return process.argv[1] !== undefined && fileURLToPath(url) === realpathSync(process.argv[1]);
}

/** Runs a script's main function: a StepError is a message, anything else a stack; both are exit code 1. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(error instanceof StepError ? `\n${error.message}\n` : `\n${error.stack}\n`);
    process.exitCode = 1;
  }
}
