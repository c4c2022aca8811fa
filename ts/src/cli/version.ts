/** The program's own version and name. */

import { existsSync, readFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Manifests above this file, as built and as source. */
const MANIFESTS = ['../../package.json', '../../../package.json'];

/** Version in the package's manifest. */
export function programVersion(): string {
  for (const place of MANIFESTS) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    const manifest = existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>)
      : {};
    if (manifest['name'] === 'sluice') return String(manifest['version']);
  }
  return '0.0.0';
}

/** How to call this program again from the same place, as it can be pasted. */
export function invocation(script: string | undefined, cwd: string): string {
  if (script === undefined) return 'sluice';
  if (basename(script) !== 'sluice') return `node ${shellQuoted(relative(cwd, script))}`;
  return script.includes('node_modules') ? 'npx sluice' : 'sluice';
}

/** An argument as a POSIX shell takes it literally. */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
