/** Runs a command with its output collected. */

import { Command, CommanderError } from 'commander';
import { CommandFailed, EXIT, type Io } from '../../src/cli/io.js';

/** What a command said, and the exit code it asked for. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Adds one command to a program of its own and runs it. */
export async function runCommand(
  register: (program: Command, io: Io) => void,
  args: readonly string[],
): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const program = new Command('sluice').configureOutput({
    writeOut: (text) => out.push(text.trimEnd()),
    writeErr: (text) => err.push(text.trimEnd()),
  });
  register(program, { out: (text) => out.push(text), err: (text) => err.push(text) });
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  for (const command of all(program)) command.exitOverride().copyInheritedSettings(program);
  let code: number = EXIT.ok;
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommandFailed) {
      code = error.exitCode;
      err.push(error.message);
    } else if (error instanceof CommanderError) code = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    else throw error;
  }
  return { code, out: out.join('\n'), err: err.join('\n') };
}
