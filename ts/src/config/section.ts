/** What the sections of a configuration are read with, and the checks they share. */

import type { Problems } from './problems.js';
import type { ReferenceReader, Surroundings } from './references.js';
import type { RawConfig } from './schema.js';
import type { DocumentPath } from './wording.js';

/** One reading of a configuration. A section reads only what the schema accepted: {@link Problems.isBroken}. */
export interface Reading {
  readonly raw: RawConfig;
  readonly problems: Problems;
  readonly references: ReferenceReader;
  readonly surroundings: Surroundings;
}

/** Kinds of the parts of the file. */
const KINDS: Readonly<Record<keyof RawConfig, 'mapping' | 'list' | 'string' | 'number'>> = {
  listeners: 'mapping',
  data_dir: 'string',
  store: 'mapping',
  secrets: 'mapping',
  workers: 'number',
  providers: 'mapping',
  models: 'mapping',
  customers: 'mapping',
  teams: 'mapping',
  users: 'mapping',
  tags: 'mapping',
  keys: 'list',
  limits: 'mapping',
  timeouts: 'mapping',
  translate: 'mapping',
  prices: 'list',
  settings: 'mapping',
};

/** The named part of the file, or undefined where the file has none or it is not of the right kind. */
export function section<K extends keyof RawConfig>(reading: Reading, name: K): RawConfig[K] | undefined {
  const value = reading.raw[name];
  return kindOf(value) === KINDS[name] ? value : undefined;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  return typeof value === 'object' && value !== null ? 'mapping' : typeof value;
}

/** Reports a text that cannot be sent in a header: anything but visible ASCII. */
export function checkHeaderText(text: string, path: DocumentPath, what: string, problems: Problems): boolean {
  if (/^[\x21-\x7e]+$/.test(text)) return true;
  problems.error(
    { path },
    'bad_characters',
    `found spaces, line breaks or other characters than visible ASCII in ${what}`,
  );
  return false;
}

/** Warns of a credential that is written in the file itself. */
export function warnOfPlainSecret(reading: Reading, path: DocumentPath): void {
  if (reading.references.referenceAt(path) !== null) return;
  reading.problems.warning(
    { path },
    'plain_secret',
    'found a secret written in this file, expected env:NAME or file:PATH',
  );
}
