import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';

const FORWARD = new URL('../../../scripts/lib/forward.mjs', import.meta.url).href;

/** Prints each signal it gets, and ends with the number of them when it is told to on SIGHUP. */
const PROGRAM = `
  let count = 0;
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { count += 1; console.log(signal); });
  process.on('SIGHUP', () => process.exit(count));
  setInterval(() => {}, 1000);
  console.log('pid ' + process.pid);
`;

/** Starts the program through `runInOurPlace`; resolves to the process in its place and what it prints. */
async function startForwarding(terminal: boolean) {
  const script = `
    import { runInOurPlace } from ${JSON.stringify(FORWARD)};
    runInOurPlace(process.execPath, ['-e', ${JSON.stringify(PROGRAM)}], { terminal: ${terminal} });
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value);
  const pid = Number((await line()).replace('pid ', ''));
  return { child, pid, line };
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

it('without a terminal, every signal is passed on once, and the exit code comes back', async () => {
  const { child, line } = await startForwarding(false);
  child.kill('SIGTERM');
  expect(await line()).toBe('SIGTERM');
  child.kill('SIGINT');
  expect(await line()).toBe('SIGINT');
  child.kill('SIGHUP');
  expect(await exitCode(child)).toBe(2);
});

it('under a terminal, what the terminal delivers itself is not passed on again', async () => {
  const { child, pid, line } = await startForwarding(true);
  child.kill('SIGINT');
  child.kill('SIGHUP');
  child.kill('SIGTERM');
  expect(await line()).toBe('SIGTERM');
  process.kill(pid, 'SIGHUP');
  expect(await exitCode(child)).toBe(1);
});

it('a program that dies of a signal gives the exit code a shell would give', async () => {
  const { child, pid } = await startForwarding(false);
  process.kill(pid, 'SIGKILL');
  expect(await exitCode(child)).toBe(128 + 9);
});
