#!/usr/bin/env node
// `npm start`: from a fresh clone to a running gateway. Installs and builds what is missing, then runs
// `sluice start` with the arguments given (`npm start -- --config sluice.yaml`).

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { buildAll } from './build.mjs';
import { runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const FORWARDED_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'];

/**
 * Whether a terminal controls this process. A terminal sends SIGINT and SIGHUP to every process in the foreground, the
 * gateway included, and npm passes SIGINT on as well; if we forwarded it too, one Ctrl-C would arrive twice, and the
 * second one means "do not drain".
 */
function hasTerminal() {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

function runGateway(args) {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), 'start', ...args], {
    stdio: 'inherit',
  });
  const terminal = hasTerminal();
  for (const signal of FORWARDED_SIGNALS) {
    process.on(signal, () => {
      if (signal === 'SIGTERM' || !terminal) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

await runMain(async () => {
  await buildAll();
  runGateway(process.argv.slice(2));
});
