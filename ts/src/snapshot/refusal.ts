/** Where in the configuration a place in the snapshot or the start options comes from. */

import type { Config } from '../config/config.js';
import type { DocumentPath } from '../config/wording.js';

/** `models[2].targets[0]` as `models.fast`; empty where nothing in the file corresponds. */
export function configPathOf(snapshotPath: string, config: Config): DocumentPath {
  const [, list, index] = /^(\w+)\[(\d+)\]/.exec(snapshotPath) ?? [];
  const at = Number(index);
  if (list === 'listeners') return ['listeners', 'data', ...(config.start.listeners.length > 1 ? [at] : [])];
  if (list === 'providers') return entryOf('providers', config.providers[at]?.name);
  if (list === 'models') return entryOf('models', config.models[at]?.name);
  return list === 'keys' && at < config.keys.length ? ['keys', at] : [];
}

function entryOf(section: string, name: string | undefined): DocumentPath {
  return name === undefined ? [] : [section, name];
}
