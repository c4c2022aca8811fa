/** `sluice check`: reads a configuration and says what is wrong with it, or what it would serve. Offline. */

import type { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import {
  addConfigOptions,
  configFileOf,
  countProblems,
  dataDirOverride,
  printProblems,
  surroundingsOf,
  type ConfigOptions,
} from './config-options.js';
import { CommandFailed, PROCESS_IO, type Io } from './io.js';
import { summaryLines } from './summary.js';

const HELP = `
Everything is checked that can be without the network: syntax, unknown keys, values, references (env:NAME and
file:PATH are read), and whether targets, aliases, weights and keys fit together. All problems are printed at once:

  sluice.yaml:12:5: error: models.fast: found the provider "grok", expected groq or openai; did you mean groq?

Exit codes: 0 usable (there may be warnings), 1 not usable, 2 wrong command line.

Examples:
  sluice check                         the file in this directory, or the built-in defaults
  sluice check --config prod.yaml
  sluice check --json | jq .problems   for editors and pipelines
`;

interface CheckOptions extends ConfigOptions {
  readonly json?: boolean;
}

/** Adds the command. */
export function registerCheck(program: Command, io: Io = PROCESS_IO): void {
  addConfigOptions(program.command('check'))
    .description('check a configuration without starting anything')
    .option('--json', 'print the problems as JSON on standard output')
    .addHelpText('after', HELP)
    .action((options: CheckOptions) => check(options, io));
}

function check(options: CheckOptions, io: Io): void {
  const file = configFileOf(options);
  const { config, problems } = loadConfig(file, surroundingsOf(dataDirOverride(options)));
  const name = file ?? 'the built-in defaults';
  if (options.json === true) io.out(JSON.stringify({ ok: config !== null, file, problems }, null, 2));
  else printProblems(problems, io);
  if (config === null) throw new CommandFailed(`${name}: ${countProblems(problems)}, not usable`);
  if (options.json === true) return;
  io.out(`${name}: usable, ${countProblems(problems)}`);
  for (const text of summaryLines(config)) io.out(text);
}
