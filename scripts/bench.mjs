#!/usr/bin/env node
// `npm run bench`: builds Sluice as it is released and measures it beside nginx. Arguments are those of `sluice bench`:
//
//   npm run bench -- --quick
//   npm run bench -- --rows closed-1k,stream-64 --label t3-xlarge

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { buildAll } from './build.mjs';
import { runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

await runMain(async () => {
  await buildAll();
  const child = spawn(process.execPath, [MAIN, 'bench', ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  // A terminal interrupts the child as well, which then cleans up; this process only waits for it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
});
