/** Reads where the calls of a provider go that do not go where its dialect has them. */

import { CALLS_OF, type Call, type CatalogueRow, type Dialect, type Paths } from '../providers/row.js';
import type { ProviderConfig } from './config.js';
import type { RawProvider } from './schema-routing.js';
import type { Reading } from './section.js';
import type { DocumentPath } from './wording.js';

/** A provider whose paths are read. */
interface PathsPlace {
  readonly dialect: Dialect;
  readonly row: CatalogueRow | undefined;
  readonly path: DocumentPath;
}

/** The paths of the file, or those that are known of a provider that is spoken to in its own dialect. */
export function readPaths(
  reading: Reading,
  raw: RawProvider,
  { dialect, row, path }: PathsPlace,
): Pick<ProviderConfig, 'paths' | 'modelInBody'> {
  const known = dialect === row?.dialect ? row : undefined;
  const paths: Paths = raw.paths ?? known?.paths ?? {};
  checkCalls(reading, raw, dialect, path);
  const namesModel = Object.values(paths).some((written) => written.includes('{model}'));
  if (raw.model_in_body !== undefined && !namesModel) {
    reading.problems.error(
      { path: [...path, 'model_in_body'], part: 'key' },
      'unused_model_in_body',
      'found a name for the model in bodies, expected one only where a path has {model}',
    );
  }
  const modelInBody = raw.model_in_body ?? (namesModel ? known?.modelInBody : undefined);
  return { paths, modelInBody: modelInBody ?? null };
}

function checkCalls({ problems }: Reading, raw: RawProvider, dialect: Dialect, path: DocumentPath): void {
  for (const call of Object.keys(raw.paths ?? {}) as Call[]) {
    if (CALLS_OF[dialect].includes(call)) continue;
    problems.error(
      { path: [...path, 'paths', call], part: 'key' },
      'unknown_call',
      `found a call that the dialect ${dialect} has not, expected one of ${CALLS_OF[dialect].join(', ')}`,
    );
  }
}
