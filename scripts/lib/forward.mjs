// Runs a program as if it had been started in our place: same streams, each signal once, its exit code.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';

const FORWARDED_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'];

/** Whether a terminal controls this process. */
export function hasTerminal() {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program and sets our exit code to its own.
 *
 * A terminal sends SIGINT and SIGHUP to every process in the foreground, the program included, and npm passes SIGINT on
 * to us as well. Forwarding it too would let one Ctrl-C arrive twice, and the second one means "do not drain". So under
 * a terminal only SIGTERM is forwarded, which no terminal sends.
 */
export function runInOurPlace(command, args, { terminal = hasTerminal() } = {}) {
  const child = spawn(command, args, { stdio: 'inherit' });
  for (const signal of FORWARDED_SIGNALS) {
    process.on(signal, () => {
      if (signal === 'SIGTERM' || !terminal) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`${command}: ${error.message}\n`);
    process.exit(127);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
