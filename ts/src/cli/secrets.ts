/** `sluice secrets`: the master key that stored secrets are sealed with. */

import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { UnusableSecret } from '../governance/envelope.js';
import { ADMIN_URL_FACT } from '../governance/ports.js';
import { SecretKeeper } from '../secrets/index.js';
import type { Store } from '../store/index.js';
import { commandEntry } from './audit-entry.js';
import { addConfigOptions, type ConfigOptions } from './config-options.js';
import { CommandFailed, PROCESS_IO, type Io } from './io.js';
import { isAdminThere, rotateSecretsAt } from './keys-api.js';
import type { LocalPlace } from './keys.js';
import { openPlace } from './place.js';

const HELP = `
Wraps the data key of every stored secret with the current master key. Where secrets.master_key is configured, put the new
key there and the old one under secrets.previous, reload, run this, and take the old one out. Where it is not, a fresh
master.key takes the place of the one in the data directory.

A gateway that runs on the database does it itself, which takes an admin token (SLUICE_ADMIN_TOKEN, or
listeners.admin.token) of an owner.

Exit codes: 0 done, 1 refused, 2 wrong command line.
`;

/** Adds the command. */
export function registerSecrets(program: Command, io: Io = PROCESS_IO): void {
  const secrets = program.command('secrets').description('the master key').addHelpText('after', HELP);
  addConfigOptions(
    secrets.command('rotate').description('seal every stored secret with a new master key'),
  ).action((options: ConfigOptions) => rotate(options, io));
}

async function rotate(options: ConfigOptions, io: Io): Promise<void> {
  const { place, store } = await openPlace(options, io);
  try {
    const running = await runningAt(place, store);
    const { masterKey, sealed } =
      running === null ? await rotateStored(place, store) : await rotateSecretsAt(running, tokenOf(place));
    io.out(`sealed ${sealed} secrets with the master key ${masterKey}`);
  } finally {
    await store.close();
  }
}

/** The admin listener of a gateway that runs on this store, or at the configured address. */
async function runningAt(place: LocalPlace, store: Store): Promise<string | null> {
  const urls = [place.adminUrl, await store.fact(ADMIN_URL_FACT)];
  for (const url of urls) if (url !== null && (await isAdminThere(url))) return url;
  return null;
}

function tokenOf({ token }: LocalPlace): string {
  if (token !== null) return token;
  throw new CommandFailed(
    'a gateway runs: set SLUICE_ADMIN_TOKEN to the token of an owner, or stop it first',
  );
}

async function rotateStored({ dataDir, secrets }: LocalPlace, store: Store) {
  const source = () => ({ dataDir, secrets });
  const keeper = new SecretKeeper({
    store: store.providerKeys,
    source,
    random: randomBytes,
    onNewFile: () => {},
  });
  try {
    return await keeper.rotate(({ masterKey, sealed }) => {
      const after = { fingerprint: masterKey, secrets: sealed };
      const act = { action: 'rotateSecrets', object: 'master_key', objectId: masterKey, before: null, after };
      return commandEntry(act, Date.now());
    });
  } catch (error) {
    if (error instanceof UnusableSecret) throw new CommandFailed(error.message);
    throw error;
  }
}
