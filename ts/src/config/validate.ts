/**
 * Checks data against the schema and words what is wrong: ajv finds the errors, this file says what was found and what
 * was expected in their place.
 */

import { Ajv, type ErrorObject } from 'ajv';
import type { Problems } from './problems.js';
import { EXPECTED, FORMATS, type Format } from './schema-scalars.js';
import { ConfigSchema } from './schema.js';
import {
  describeKind,
  describeValue,
  listChoices,
  quoteName,
  suggestion,
  type DocumentPath,
} from './wording.js';

/** What the messages need of a part of the schema. */
interface SchemaPart {
  readonly expected?: string;
  readonly secret?: boolean;
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly properties?: Readonly<Record<string, SchemaPart>>;
}

const validate = compile();

function compile() {
  const ajv = new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true, strict: true });
  ajv.addKeyword('expected');
  ajv.addKeyword('secret');
  for (const [name, check] of Object.entries(FORMATS))
    ajv.addFormat(name, { type: 'string', validate: check });
  return ajv.compile(ConfigSchema);
}

/** Tells which reference (`env:NAME`) a value came from; null where it is written in the file itself. */
type ReferenceAt = (path: DocumentPath) => string | null;

/** Reports every place where the data departs from the schema. */
export function validateShape(data: unknown, referenceAt: ReferenceAt, problems: Problems): void {
  if (validate(data)) return;
  for (const error of relevant(validate.errors ?? [])) report(error, data, referenceAt, problems);
}

/**
 * Of a value that fits no branch of a union, keeps the errors of the one branch that is of its kind (a mapping, say), so
 * that a misspelt key is named; where there is no such branch, keeps the error of the union alone.
 */
function relevant(errors: readonly ErrorObject[]): ErrorObject[] {
  const dropped = new Set<ErrorObject>();
  const unions = errors.filter((error) => error.keyword === 'anyOf');
  for (const union of unions.sort((a, b) => a.schemaPath.length - b.schemaPath.length)) {
    const inside = errors.filter((error) => error !== union && isInside(error, union));
    const branch = branchOfKind(inside, union);
    if (branch !== null) dropped.add(union);
    for (const error of inside) if (branch === null || branchOf(error, union) !== branch) dropped.add(error);
  }
  return errors.filter((error) => !dropped.has(error) && error.keyword !== 'propertyNames');
}

function isInside(error: ErrorObject, union: ErrorObject): boolean {
  const under =
    error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`);
  return under && error.schemaPath.startsWith(`${union.schemaPath}/`);
}

function branchOf(error: ErrorObject, union: ErrorObject): string {
  return error.schemaPath.slice(union.schemaPath.length + 1).split('/')[0] ?? '';
}

function branchOfKind(inside: readonly ErrorObject[], union: ErrorObject): string | null {
  const ofOtherKind = inside.filter(
    ({ keyword, instancePath }) => keyword === 'type' && instancePath === union.instancePath,
  );
  const refused = new Set(ofOtherKind.map((error) => branchOf(error, union)));
  const left = [...new Set(inside.map((error) => branchOf(error, union)))].filter(
    (branch) => !refused.has(branch),
  );
  return left.length === 1 ? (left[0] ?? null) : null;
}

function report(error: ErrorObject, data: unknown, referenceAt: ReferenceAt, problems: Problems): void {
  const path = pathOf(error.instancePath, data);
  const schema = (error.parentSchema ?? {}) as SchemaPart;
  if (error.keyword === 'additionalProperties') return reportUnknownKey(error, path, schema, problems);
  if (error.keyword === 'required') return reportMissingKey(error, path, schema, problems);
  if (error.propertyName !== undefined) return reportBadName(error.propertyName, path, schema, problems);
  if (problems.isBroken(path)) return;
  const code = error.keyword === 'type' || error.keyword === 'anyOf' ? 'wrong_type' : 'wrong_value';
  const reference = referenceAt(path);
  const found = reference === null ? foundBy(error, schema) : `the value of ${reference}`;
  const nearby = reference === null ? hint(error, schema) : '';
  problems.error({ path }, code, `found ${found}, expected ${schema.expected ?? 'something else'}${nearby}`);
}

function reportUnknownKey(
  error: ErrorObject,
  path: DocumentPath,
  schema: SchemaPart,
  problems: Problems,
): void {
  const key = String(error.params['additionalProperty']);
  const known = Object.keys(schema.properties ?? {});
  const message = `found the unknown key ${quoteName(key)}, expected ${listChoices(known)}${suggestion(key, known)}`;
  problems.error({ path: [...path, key], part: 'key' }, 'unknown_key', message);
}

function reportMissingKey(
  error: ErrorObject,
  path: DocumentPath,
  schema: SchemaPart,
  problems: Problems,
): void {
  const key = String(error.params['missingProperty']);
  const place = [...path, key];
  if (problems.isBroken(place)) return;
  problems.error(
    { path: place },
    'missing_key',
    `found nothing, expected ${schema.properties?.[key]?.expected ?? 'a value'}`,
  );
}

function reportBadName(name: string, path: DocumentPath, schema: SchemaPart, problems: Problems): void {
  const expected = EXPECTED[schema.format as Format];
  problems.error(
    { path: [...path, name], part: 'key' },
    'bad_name',
    `found the name ${quoteName(name)}, expected ${expected}`,
  );
}

function foundBy(error: ErrorObject, schema: SchemaPart): string {
  if (error.keyword === 'minItems' || error.keyword === 'maxItems') return countOf(error.data as unknown[]);
  if (error.keyword === 'maxLength') return 'a longer string';
  const quotable = schema.secret !== true && error.keyword !== 'anyOf';
  return quotable ? describeValue(error.data) : describeKind(error.data);
}

function countOf(items: readonly unknown[]): string {
  return items.length === 0 ? 'an empty list' : `a list of ${items.length}`;
}

function hint(error: ErrorObject, schema: SchemaPart): string {
  const free = schema.type === 'string' && (schema.format === undefined || schema.format === 'sha256');
  if (error.keyword === 'type' && free && typeof error.data === 'number')
    return '; a string of digits needs quotes';
  const written = error.keyword === 'enum' && typeof error.data === 'string';
  return written ? suggestion(error.data as string, schema.enum ?? []) : '';
}

/** ajv's pointer as a path; a step into a list becomes a number. */
function pathOf(pointer: string, data: unknown): DocumentPath {
  let here = data;
  return pointer
    .split('/')
    .slice(1)
    .map((escaped) => {
      const step = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
      const at = Array.isArray(here) ? Number(step) : step;
      here = (here as Record<string | number, unknown> | undefined)?.[at];
      return at;
    });
}
