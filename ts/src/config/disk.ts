/** Where a configuration comes from outside tests: the file system and the environment. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Variables } from '../providers/catalogue.js';
import type { FileContent, Surroundings } from './references.js';

/** Files looked for in the working directory when none is named, in this order. */
export const CONFIG_FILES = ['sluice.yaml', 'sluice.yml', 'sluice.json'] as const;

/** Environment variable that names the file. */
export const CONFIG_VARIABLE = 'SLUICE_CONFIG';

/** Whether permission bits mean anything here. */
const HAS_MODES = process.platform !== 'win32';

/** The file to use: the one named, that of `SLUICE_CONFIG`, or one in the working directory; null for the defaults. */
export function findConfigFile(
  named: string | undefined,
  variables: Variables,
  directory: string,
): string | null {
  const chosen = named ?? variables[CONFIG_VARIABLE];
  if (chosen !== undefined && chosen !== '') return chosen;
  return CONFIG_FILES.find((name) => existsSync(resolve(directory, name))) ?? null;
}

/** The process's surroundings at this moment. */
export function processSurroundings(variables: Variables = process.env): Surroundings {
  return { variables, readFile, now: Date.now() };
}

function readFile(path: string): FileContent {
  return { text: readFileSync(path, 'utf8'), mode: HAS_MODES ? statSync(path).mode & 0o777 : null };
}
