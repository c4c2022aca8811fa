/** Surroundings of a configuration without a file system: variables and files as tables. */

import type { FileContent, Surroundings } from '../../src/config/references.js';

/** The present in these tests. */
export const NOW = Date.parse('2026-06-01T00:00:00Z');

/** A file: its text, or text and permission bits. */
export type FileTable = Readonly<Record<string, string | FileContent>>;

export function surroundings(variables: Record<string, string> = {}, files: FileTable = {}): Surroundings {
  return { variables, readFile: (path) => read(files, path), now: NOW };
}

function read(files: FileTable, path: string): FileContent {
  const found = files[path];
  if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
  return typeof found === 'string' ? { text: found, mode: 0o600 } : found;
}
