#!/usr/bin/env node
/** The command line. Each command is a file of its own and adds itself here. */

import { Command, CommanderError } from 'commander';
import { registerAudit } from './audit.js';
import { registerBench } from './bench.js';
import { registerCheck } from './check.js';
import { registerDemoProvider } from './demo-provider.js';
import { CommandFailed, EXIT, PROCESS_IO } from './io.js';
import { registerKeys } from './keys.js';
import { registerSecrets } from './secrets.js';
import { registerStart } from './start.js';
import { programVersion } from './version.js';

const HELP = `
First steps:
  sluice start                     serve on 127.0.0.1:8080, with the admin API on 127.0.0.1:8081
  sluice check                     say what a configuration would serve, or what is wrong with it
  sluice keys create --name app    make a virtual key

Exit codes: 0 done, 1 failed, 2 wrong command line, 128 plus the number of a signal that ended the process.
"sluice COMMAND --help" shows options and examples.
`;

const COMMANDS = [
  registerStart,
  registerCheck,
  registerKeys,
  registerAudit,
  registerSecrets,
  registerDemoProvider,
  registerBench,
];

/** The program with all its commands. */
function buildProgram(): Command {
  const program = new Command('sluice')
    .description('AI gateway: one process between applications and every LLM provider')
    .version(programVersion())
    .showHelpAfterError('(--help shows options and examples)')
    .showSuggestionAfterError()
    .addHelpText('after', HELP);
  for (const register of COMMANDS) register(program);
  for (const command of everyCommand(program)) command.exitOverride();
  return program;
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

async function run(): Promise<number> {
  try {
    await buildProgram().parseAsync();
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof CommandFailed)) throw error;
    PROCESS_IO.err(`sluice: ${error.message}`);
    return error.exitCode;
  }
}

/**
 * Whoever read our output may be gone (`sluice check | head`), and a log may stand on a full disk. Neither ends a gateway
 * that serves. Results that cannot be written are a failure, for they are what was asked for.
 */
function outliveReaders(): void {
  process.stderr.on('error', () => {}); // there is nowhere left to say it
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    PROCESS_IO.err(`sluice: the output could not be written: ${error.message}`);
    process.exit(EXIT.failed);
  });
}

outliveReaders();
process.exitCode = await run();
