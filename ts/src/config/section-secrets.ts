/** Reads `secrets`. */

import { MasterKey } from '../governance/envelope.js';
import type { SecretsConfig } from './config.js';
import { section, warnOfPlainSecret, type Reading } from './section.js';
import type { DocumentPath } from './wording.js';

/** The master keys that stored secrets are sealed with. */
export function readSecrets(reading: Reading): SecretsConfig {
  const none = { masterKey: null, previous: [] };
  if (reading.problems.isBroken(['secrets'])) return none;
  const raw = section(reading, 'secrets');
  if (raw === undefined) return none;
  const previous = (raw.previous ?? []).map((text, at) => keyOf(reading, text, ['secrets', 'previous', at]));
  const masterKey = keyOf(reading, raw.master_key, ['secrets', 'master_key']);
  return { masterKey, previous: previous.filter((key) => key !== null) };
}

function keyOf(reading: Reading, text: string, path: DocumentPath): MasterKey | null {
  warnOfPlainSecret(reading, path);
  const key = MasterKey.parse(text);
  if (key === null) {
    const message = 'found no master key, expected 32 random bytes as base64 or as 64 hexadecimal digits';
    reading.problems.error({ path }, 'bad_master_key', message);
  }
  return key;
}
