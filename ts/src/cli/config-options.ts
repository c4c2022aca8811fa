/** Options that name a configuration, shared by the commands that read one. */

import { resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { CONFIG_VARIABLE, findConfigFile, processSurroundings } from '../config/disk.js';
import type { Overrides } from '../config/overrides.js';
import type { Surroundings } from '../config/references.js';
import type { ConfigProblem } from '../governance/ports.js';
import { formatProblem } from '../config/problems.js';
import type { Io } from './io.js';
import { shellQuoted } from './version.js';

/** Values of the options. */
export interface ConfigOptions {
  readonly config?: string;
  readonly dataDir?: string;
}

/** Adds `--config` and `--data-dir`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', `configuration file (default: $${CONFIG_VARIABLE}, or sluice.yaml here)`)
    .addOption(new Option('--data-dir <directory>', 'directory of the database, in place of data_dir'));
}

/** The file the options lead to; null for the built-in defaults. */
export function configFileOf(options: ConfigOptions): string | null {
  return findConfigFile(options.config, process.env, process.cwd());
}

/** Surroundings of this moment with the overrides of the command line. */
export function surroundingsOf(overrides: Overrides): Surroundings {
  return { ...processSurroundings(), overrides };
}

/** The overrides that `--data-dir` stands for. */
export function dataDirOverride({ dataDir }: ConfigOptions): Overrides {
  return dataDir === undefined ? {} : { dataDir: resolve(dataDir) };
}

/** The options again, as they can be pasted behind another command. */
export function repeated(options: ConfigOptions): string {
  const config = options.config === undefined ? '' : ` --config ${shellQuoted(options.config)}`;
  const dataDir = options.dataDir === undefined ? '' : ` --data-dir ${shellQuoted(options.dataDir)}`;
  return config + dataDir;
}

/** Reads a whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

/** Writes problems, one per line. */
export function printProblems(problems: readonly ConfigProblem[], io: Io): void {
  for (const problem of problems) io.err(formatProblem(problem));
}

/** `2 errors and 1 warning`. */
export function countProblems(problems: readonly ConfigProblem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const warnings = problems.length - errors;
  const parts = [errors > 0 && plural(errors, 'error'), warnings > 0 && plural(warnings, 'warning')];
  return parts.filter((part) => part !== false).join(' and ') || 'no problems';
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
