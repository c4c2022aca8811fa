/** Reads `customers`, `teams`, `users` and `tags`. */

import {
  ENTITY_KINDS,
  PARENT_KINDS,
  type Entity,
  type EntityKind,
  type EntityRef,
  type Owner,
  type OwnerKind,
} from '../governance/entity.js';
import type { ModelConfig } from './config.js';
import type { RawEntity, RawKeyOwner } from './schema-governance.js';
import { checkModelList, checkProviderList } from './section-allow.js';
import { readRules } from './section-rules.js';
import { section, type Reading } from './section.js';
import { listChoices, quoteName, suggestion, type DocumentPath } from './wording.js';

/** The part of the file that declares each kind. */
export const SECTIONS = { customer: 'customers', team: 'teams', user: 'users', tag: 'tags' } as const;

/** What allow lists are checked against. */
export interface Served {
  readonly models: readonly ModelConfig[];
  /** Names of providers; null where they are not all known. */
  readonly providers: ReadonlySet<string> | null;
}

/** Every entity that can be read. */
export function readEntities(reading: Reading, served: Served): Entity[] {
  return ENTITY_KINDS.flatMap((kind) => {
    const entries: [string, RawEntity][] = Object.entries(section(reading, SECTIONS[kind]) ?? {});
    return entries.flatMap(([name, raw]) => {
      const path = [SECTIONS[kind], name];
      return reading.problems.isBroken(path) ? [] : [readEntity(reading, { kind, name }, raw, served)];
    });
  });
}

/** Names of a kind that are declared, rightly or not. */
export function declaredNames(reading: Reading, kind: EntityKind): string[] {
  return Object.keys(section(reading, SECTIONS[kind]) ?? {});
}

/** The one owner that is named; null for none. */
export function readOwner(
  reading: Reading,
  raw: RawKeyOwner,
  kinds: readonly OwnerKind[],
  path: DocumentPath,
): Owner | null {
  const given = kinds.flatMap((kind) => {
    const name = raw[kind];
    return name === undefined ? [] : [{ kind, name }];
  });
  const [owner] = given;
  if (given.length > 1) {
    const found = listChoices(
      given.map(({ kind }) => kind),
      'and',
    );
    reading.problems.error({ path }, 'two_owners', `found ${found}, expected one of them`);
  }
  for (const { kind, name } of given) checkDeclared(reading, { kind, name }, [...path, kind]);
  return owner ?? null;
}

/** Reports a name that no entity has. */
export function checkDeclared(reading: Reading, { kind, name }: EntityRef, path: DocumentPath): void {
  const names = declaredNames(reading, kind);
  if (names.includes(name)) return;
  const expected = names.length === 0 ? `one that ${SECTIONS[kind]} declares` : listChoices(names);
  const message = `found the ${kind} ${quoteName(name)}, expected ${expected}${suggestion(name, names)}`;
  reading.problems.error({ path }, 'unknown_entity', message);
}

function readEntity(reading: Reading, { kind, name }: EntityRef, raw: RawEntity, served: Served): Entity {
  const path = [SECTIONS[kind], name];
  checkModelList(reading, raw.models ?? [], served.models, path);
  checkProviderList(reading, raw.providers ?? [], served.providers, path);
  return {
    kind,
    name,
    parent: readOwner(reading, raw, PARENT_KINDS[kind], path),
    models: raw.models ?? null,
    providers: raw.providers ?? null,
    routes: raw.routes ?? null,
    rules: readRules(reading, raw, path),
    metadata: raw.metadata ?? {},
    disabled: raw.disabled ?? false,
    source: 'config',
  };
}
