/**
 * From a text to a {@link Config}: syntax, references, schema, then what no schema can say (a target names a provider
 * that exists). Everything wrong is reported, not only the first thing, and nothing is used unless all of it is right.
 */

import { resolve } from 'node:path';
import type { ConfigProblem } from '../governance/ports.js';
import type { Config } from './config.js';
import { DEFAULTS } from './defaults.js';
import { readDocument, type Position } from './document.js';
import { Problems } from './problems.js';
import { overridden } from './overrides.js';
import { reasonOf, ReferenceReader, type Surroundings } from './references.js';
import { readBounds, readProcess } from './section-bounds.js';
import { readEntities } from './section-entities.js';
import { readKeys } from './section-keys.js';
import { readListeners } from './section-listeners.js';
import { readModels } from './section-models.js';
import { readPrices } from './section-prices.js';
import { providerNames, readProviders } from './section-providers.js';
import { readSecrets } from './section-secrets.js';
import { readStore } from './section-store.js';
import { section, type Reading } from './section.js';
import { validateShape } from './validate.js';
import type { DocumentPath } from './wording.js';

/** What came of reading a configuration. */
export interface LoadResult {
  /** Null when there are errors. */
  readonly config: Config | null;
  /** What could be read, errors or not, for tools that need only a part of it; null when nothing could. */
  readonly draft: Config | null;
  /** Errors and warnings in the order of the text. */
  readonly problems: readonly ConfigProblem[];
  /** Every file that was read or looked for, the configuration included, absolute. */
  readonly files: readonly string[];
  /** Where a path of the configuration is in its text. */
  readonly position: (path: DocumentPath) => Position | null;
}

/** Reads a file, or the built-in defaults when there is none. */
export function loadConfig(file: string | null, surroundings: Surroundings): LoadResult {
  if (file === null) return parseConfig('', null, surroundings);
  try {
    return parseConfig(surroundings.readFile(resolve(file)).text, file, surroundings);
  } catch (error) {
    const problems = new Problems(file, null);
    problems.error({ path: [] }, 'unreadable_file', `cannot read the file: ${reasonOf(error)}`);
    return {
      config: null,
      draft: null,
      problems: problems.list(),
      files: [resolve(file)],
      position: () => null,
    };
  }
}

/** Reads a text; `file` names it in messages, and relative paths start from its directory. */
export function parseConfig(text: string, file: string | null, surroundings: Surroundings): LoadResult {
  const document = readDocument(text);
  const problems = new Problems(file, document);
  const references = new ReferenceReader(surroundings, file, problems);
  for (const { position, message } of document.problems) problems.syntax(position, message);
  const draft = problems.hasErrors ? null : readData(document.value, { problems, references, surroundings });
  return {
    config: problems.hasErrors ? null : draft,
    draft,
    problems: problems.list(),
    files: file === null ? references.files : [resolve(file), ...references.files],
    position: (path) => document.position(path, 'value'),
  };
}

function readData(value: unknown, reading: Omit<Reading, 'raw'>): Config {
  const { problems, references, surroundings } = reading;
  const written = overridden(withoutEmptySections(value), surroundings.overrides ?? {});
  const data = references.resolveAll(written);
  validateShape(data, (path) => references.referenceAt(path), problems);
  const isMapping = typeof data === 'object' && data !== null && !Array.isArray(data);
  return readSections({ ...reading, raw: isMapping ? data : {} });
}

function readSections(reading: Reading): Config {
  const { data, admin } = readListeners(reading);
  const providers = readProviders(reading);
  const known = providerNames(reading, providers);
  const models = readModels(reading, providers, known);
  const served = { models, providers: known };
  const { keys, keyDefaults } = readKeys(reading, served);
  const { workers, maxConnections, ...rest } = readProcess(reading);
  return {
    start: { listeners: data, workers, maxConnections },
    admin,
    providers,
    models,
    entities: readEntities(reading, served),
    keys,
    prices: readPrices(reading, known),
    keyDefaults,
    settings: readBounds(reading),
    dataDir: dataDir(reading),
    postgres: readStore(reading),
    secrets: readSecrets(reading),
    ...rest,
  };
}

/** A path in the file is relative to the file; the default is relative to the working directory. */
function dataDir(reading: Reading): string {
  const written = section(reading, 'data_dir');
  return typeof written === 'string' ? reading.references.absolute(written) : resolve(DEFAULTS.dataDir);
}

/** Sections whose entries may stand without settings. */
const NAMED_SECTIONS: ReadonlySet<string> = new Set(['providers', 'customers', 'teams', 'users', 'tags']);

/** `keys:` with nothing after it means none, `openai:` a provider without settings, and `batch:` a tag without. */
function withoutEmptySections(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const sections = Object.entries(value).filter(([, part]) => part !== null);
  return Object.fromEntries(
    sections.map(([name, part]) => [name, NAMED_SECTIONS.has(name) ? filled(part) : part]),
  );
}

function filled(part: unknown): unknown {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([name, settings]) => [name, settings ?? {}]));
}
