/** Opening the database of a configuration. */

import { openStore, type Store } from '../store/index.js';
import type { ConfigOptions } from './config-options.js';
import { CommandFailed, type Io } from './io.js';
import { localPlace, type LocalPlace } from './keys.js';

/** The place and its open store, which the caller closes. */
export async function openPlace(
  options: ConfigOptions,
  io: Io,
): Promise<{ readonly place: LocalPlace; readonly store: Store }> {
  const place = localPlace(options, io);
  const store = await openStore(place.dataDir, place.postgres).catch((error: unknown) => {
    throw new CommandFailed(`cannot open the database: ${(error as Error).message}`);
  });
  return { place, store };
}
