import { Command } from 'commander';
import { expect, it } from 'vitest';
import { registerBench } from '../../../src/cli/bench.js';
import { demoOptions, registerDemoProvider } from '../../../src/cli/demo-provider.js';

/** What the program says to a command line that is wrong. */
async function refusal(...args: string[]): Promise<string> {
  let said = '';
  const program = new Command().exitOverride().configureOutput({ writeErr: (text) => (said += text) });
  registerBench(program);
  registerDemoProvider(program);
  await expect(program.parseAsync(['node', 'sluice', ...args])).rejects.toThrow();
  return said;
}

it.each([
  ['bench', '--rows', 'nonsense', 'no row "nonsense"'],
  ['bench', '--rows', 'closed-1k,', 'no row ""'],
  ['bench', '--subjects', 'apache', 'some of direct, nginx, sluice'],
  ['bench', '--pin-load', '0;rm', 'list of processors'],
  ['bench', '--seconds', '0', 'above 0'],
  ['bench', '--rounds', '1.5', 'whole number'],
  ['bench', '--label', '../', 'letter or a digit'],
  ['demo-provider', '--port', '65536', 'from 0 to 65535'],
  ['demo-provider', '--delay-ms', '-1', 'whole number'],
  ['demo-provider', '--error-rate', '2', 'from 0 to 1'],
  ['demo-provider', '--error-rate', '', 'from 0 to 1'],
  ['demo-provider', '--threads', '0', 'from 1 to 64'],
])('%s %s %s is refused', async (command, flag, value, message) => {
  expect(await refusal(command, `${flag}=${value}`)).toContain(message);
});

it.each([
  ['127.0.0.1', '127.0.0.1:9090'],
  ['::1', '[::1]:9090'],
])('a demo provider on %s listens on %s', (host, address) => {
  const flags = {
    host,
    port: 9090,
    threads: 2,
    delayMs: 5,
    chunks: 3,
    chunkGapMs: 7,
    responseBytes: 11,
    errorRate: 0.5,
    seed: 13,
    stampChunks: true,
    tls: true,
    json: false,
  };
  expect(demoOptions(flags)).toEqual({
    address,
    threads: 2,
    delay_ms: 5,
    chunks: 3,
    chunk_gap_ms: 7,
    response_bytes: 11,
    error_rate: 0.5,
    seed: 13,
    stamp_chunks: true,
    tls: 'self_signed',
  });
});
