/** `sluice start`: runs the gateway until it is told to stop. */

import { constants } from 'node:os';
import { Option, type Command } from 'commander';
import { ConfigRefused } from '../config/manager.js';
import type { Gateway } from '../main.js';
import { banner } from './banner.js';
import {
  addConfigOptions,
  configFileOf,
  countProblems,
  dataDirOverride,
  printProblems,
  repeated,
  surroundingsOf,
  wholeNumber,
  type ConfigOptions,
} from './config-options.js';
import { CommandFailed, EXIT, PROCESS_IO, type Io } from './io.js';
import { conciseLine } from './log-lines.js';
import { invocation, programVersion } from './version.js';

/** Most worker threads that can be asked for. */
const MAX_WORKERS = 1_024;

const HELP = `
Without a configuration file, providers are found from environment variables (OPENAI_API_KEY, GROQ_API_KEY,
MISTRAL_API_KEY, ...); with none set, a built-in demo provider answers. The first start makes an admin token and a
virtual key and shows each once.

Signals: SIGTERM and SIGINT let running requests finish (timeouts.drain, 30s) and end with 0; a second one ends at
once. SIGHUP reads the configuration again, as does a change of the file; a wrong one changes nothing.

Exit codes: 0 stopped in order, 1 could not start, 2 wrong command line, 130 or 143 stopped by a second signal.

Examples:
  sluice start
  OPENAI_API_KEY=sk-... sluice start
  sluice start --config prod.yaml --log-format json
  sluice start --listen 127.0.0.1:9000 --admin-listen 127.0.0.1:9001
`;

interface StartOptions extends ConfigOptions {
  readonly listen?: string;
  readonly adminListen?: string;
  readonly workers?: number;
  readonly logFormat: 'auto' | 'json' | 'text';
}

/** Adds the command. */
export function registerStart(program: Command, io: Io = PROCESS_IO): void {
  addConfigOptions(program.command('start'))
    .description('run the gateway')
    .option('--listen <address>', 'address for clients, in place of listeners.data')
    .option('--admin-listen <address>', 'address of the admin API, in place of listeners.admin.address')
    .option('--workers <count>', 'worker threads, 0 for one per core', wholeNumber(0, MAX_WORKERS))
    .addOption(
      new Option('--log-format <format>', 'log lines on standard error: auto is text at a terminal')
        .choices(['auto', 'json', 'text'])
        .default('auto'),
    )
    .addHelpText('after', HELP)
    .action((options: StartOptions) => start(options, io));
}

async function start(options: StartOptions, io: Io): Promise<void> {
  const configFile = configFileOf(options);
  const version = programVersion();
  const gateway = await startOrExplain(options, configFile, version, io);
  printProblems(gateway.warnings, io);
  const { config, dataAddresses, adminUrl, generatedAdminToken, firstKeySecret } = gateway;
  const program = invocation(process.argv[1], process.cwd());
  const seen = { version, config, configFile, dataAddresses, adminUrl, generatedAdminToken, firstKeySecret };
  const stopped = untilStopped(gateway, io); // signals are heard before anybody is told that it serves
  io.out(banner({ ...seen, program, options: repeated(options) }));
  await stopped;
}

async function startOrExplain(
  options: StartOptions,
  configFile: string | null,
  version: string,
  io: Io,
): Promise<Gateway> {
  const overrides = {
    ...dataDirOverride(options),
    ...(options.listen !== undefined && { dataAddress: options.listen }),
    ...(options.adminListen !== undefined && { adminAddress: options.adminListen }),
    ...(options.workers !== undefined && { workers: options.workers }),
  };
  try {
    // Loaded only here: the other commands need none of it, and start faster without.
    const { startGateway } = await import('../main.js');
    const surroundings = () => surroundingsOf(overrides);
    return await startGateway({ configFile, surroundings, version, log: logTo(options.logFormat) });
  } catch (error) {
    if (error instanceof ConfigRefused) {
      printProblems(error.problems, io);
      throw new CommandFailed(
        `${configFile ?? 'the built-in defaults'}: ${countProblems(error.problems)}, not started`,
      );
    }
    throw new CommandFailed(`could not start: ${explain(error)}`);
  }
}

/** The usual reasons in words; anything else in its own. */
function explain(error: unknown): string {
  const { code, message, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (code === 'EADDRINUSE')
    return `the admin listener's address ${address}:${port} is in use by another program`;
  if (code === 'EADDRNOTAVAIL')
    return `the admin listener's address ${address}:${port} is not one of this machine`;
  if (code === 'EACCES' && port !== undefined) return `port ${port} may not be opened by this user`;
  return message;
}

function logTo(format: StartOptions['logFormat']): { write(line: string): void } {
  const asText = format === 'text' || (format === 'auto' && process.stderr.isTTY);
  return { write: (json) => void process.stderr.write(asText ? `${conciseLine(json)}\n` : json) };
}

/** Resolves when the gateway has drained; a second signal ends the process where it is. */
function untilStopped(gateway: Gateway, io: Io): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const stop = (signal: 'SIGINT' | 'SIGTERM'): void => {
      if (stopping) process.exit(128 + constants.signals[signal]);
      stopping = true;
      io.err('stopping: running requests may finish; a second signal stops at once');
      drain(gateway, io).then(resolve, reject);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    process.on('SIGHUP', () => void gateway.reload());
  });
}

async function drain(gateway: Gateway, io: Io): Promise<void> {
  const { cutOff } = await gateway.drain();
  io.err(cutOff === 0 ? 'stopped' : `stopped; ${cutOff} requests ran into the deadline and were cut off`);
  process.exitCode = EXIT.ok;
}
