/** Reads an access key from Amazon's shared credentials file. */

import { join } from 'node:path';
import type { Reading } from './section.js';

/** What a profile holds. */
export type AwsProfile =
  | {
      readonly kind: 'keys';
      readonly name: string;
      readonly id: string;
      readonly secret: string;
      readonly token: string | undefined;
    }
  | {
      readonly kind: 'none';
      /** In words, after "found". */
      readonly problem: string;
    };

/** Looks the profile up. The file is watched like every other that a configuration reads. */
export function awsProfile(reading: Reading, name: string): AwsProfile {
  const { variables } = reading.surroundings;
  const home = variables['HOME'] ?? variables['USERPROFILE'] ?? '';
  const file = variables['AWS_SHARED_CREDENTIALS_FILE'] ?? join(home, '.aws', 'credentials');
  if (home === '' && variables['AWS_SHARED_CREDENTIALS_FILE'] === undefined) {
    return { kind: 'none', problem: `the profile ${name} and no home directory to look for it in` };
  }
  const text = reading.references.readIfPresent(file);
  if (text === null) return { kind: 'none', problem: `the profile ${name} and no shared credentials file` };
  const settings = section(text, name);
  if (settings === null)
    return { kind: 'none', problem: `no profile ${name} in the shared credentials file` };
  const id = settings.get('aws_access_key_id');
  const secret = settings.get('aws_secret_access_key');
  if (id === undefined || secret === undefined)
    return {
      kind: 'none',
      problem: `a profile ${name} without an access key in the shared credentials file`,
    };
  return { kind: 'keys', name, id, secret, token: settings.get('aws_session_token') };
}

/** The settings under `[name]`; null where there is no such heading. */
function section(text: string, name: string): ReadonlyMap<string, string> | null {
  let found: Map<string, string> | null = null;
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line);
    if (heading !== null) {
      inside = heading[1] === name;
      if (inside) found ??= new Map();
      continue;
    }
    const setting = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/i.exec(line);
    if (inside && setting !== null) found?.set((setting[1] ?? '').toLowerCase(), setting[2] ?? '');
  }
  return found;
}
