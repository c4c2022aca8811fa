// The project's tree: where it begins, which files it has, and fingerprints of parts of it.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the project. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const SKIPPED_FOLDERS = new Set(['node_modules', 'target', 'dist', '.git']);

/** Every file under `folder`, sorted, as paths relative to `folder` with `/` between their parts. */
export function listFiles(folder) {
  const found = [];
  const visit = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED_FOLDERS.has(entry.name)) visit(inner);
      } else if (entry.isFile()) {
        found.push(relative(folder, inner).split(sep).join('/'));
      }
    }
  };
  visit(folder);
  return found.sort();
}

/** The text of a file, or undefined where there is none. */
export function readIfPresent(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Writes a file and the folders above it. */
export function writeWithFolders(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Digest over the content of files and folders (paths relative to the root) and of further strings. */
export function fingerprint(paths, extra = []) {
  const hash = createHash('sha256');
  for (const text of extra) hash.update(`extra\0${text}\0`);
  for (const path of paths) {
    const full = join(ROOT, path);
    const names = statSync(full).isDirectory() ? listFiles(full).map((name) => join(path, name)) : [path];
    for (const name of names) {
      const content = readFileSync(join(ROOT, name));
      hash.update(`${name}\0${content.length}\0`).update(content);
    }
  }
  return hash.digest('hex');
}
