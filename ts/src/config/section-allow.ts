/** Checks allow lists against what is served: an entry that matches nothing is most likely misspelt. */

import { overlaps } from '../governance/name-pattern.js';
import type { ModelConfig } from './config.js';
import type { Reading } from './section.js';
import { quoteName, suggestion, type DocumentPath } from './wording.js';

/** Warns of entries of `models` that no served model can match. */
export function checkModelList(
  reading: Reading,
  list: readonly string[],
  models: readonly ModelConfig[],
  path: DocumentPath,
): void {
  if (reading.problems.isBroken(['models']) || reading.problems.isBroken(['providers'])) return;
  const served = models.flatMap(({ name, aliases }) => [name, ...aliases]);
  for (const [at, entry] of list.entries()) {
    if (served.some((name) => overlaps(entry, name))) continue;
    const message = `found ${quoteName(entry)}, which no model that is served matches`;
    reading.problems.warning({ path: [...path, 'models', at] }, 'allows_nothing', message);
  }
}

/** Warns of entries of `providers` that no provider matches. */
export function checkProviderList(
  reading: Reading,
  list: readonly string[],
  providers: ReadonlySet<string> | null,
  path: DocumentPath,
): void {
  if (providers === null) return;
  for (const [at, entry] of list.entries()) {
    if ([...providers].some((name) => overlaps(entry, name))) continue;
    const message = `found ${quoteName(entry)}, which no provider matches${suggestion(entry, providers)}`;
    reading.problems.warning({ path: [...path, 'providers', at] }, 'allows_nothing', message);
  }
}
