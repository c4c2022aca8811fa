/** `sluice audit`: whether the audit log is whole. */

import type { Command } from 'commander';
import { verifyAudit } from '../governance/audit.js';
import { addConfigOptions, type ConfigOptions } from './config-options.js';
import { CommandFailed, PROCESS_IO, type Io } from './io.js';
import { openPlace } from './place.js';

const HELP = `
Reads the database itself, whether or not a gateway runs on it. Every entry has the digest of the one before, so one that
was changed, taken out or put in breaks the chain there. Keep the digest of the newest entry elsewhere, and give it with
--head later: if it is not in the chain any more, the end was cut off or the whole computed anew.

Exit codes: 0 the chain is whole, 1 it is broken, 2 wrong command line.

Examples:
  sluice audit verify
  sluice audit verify --head 4f2a…
`;

interface VerifyOptions extends ConfigOptions {
  readonly head?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerAudit(program: Command, io: Io = PROCESS_IO): void {
  const audit = program.command('audit').description('the log of changes').addHelpText('after', HELP);
  addConfigOptions(audit.command('verify').description('say whether the chain of the log is whole'))
    .option('--head <digest>', 'digest that an entry must have')
    .option('--json', 'print JSON')
    .action((options: VerifyOptions) => verify(options, io));
}

async function verify(options: VerifyOptions, io: Io): Promise<void> {
  const { store } = await openPlace(options, io);
  try {
    const { broken, entries, head } = await verifyAudit(store.audit);
    if (options.json === true)
      io.out(JSON.stringify({ ok: broken === null, entries, head, broken }, null, 2));
    if (broken !== null)
      throw new CommandFailed(`the chain is broken at entry ${broken.sequence}: ${broken.reason}`);
    const { head: wanted } = options;
    if (wanted !== undefined && !(await store.audit.hasHash(wanted)))
      throw new CommandFailed(`no entry has the digest ${wanted}: the log was cut off, or computed anew`);
    if (options.json !== true) io.out(`whole: ${entries} entries, the newest is ${head}`);
  } finally {
    await store.close();
  }
}
