/** Shapes the config schema is built from. A mapping takes the keys it names and no others. */

import { Type, type Static, type TProperties, type TSchema } from 'typebox';

/** Most listeners, targets of one model, aliases of one model, and keys of one provider. */
export const MAX_ENTRIES = 64;

/** May be left out. */
export const optional = <T extends TSchema>(schema: T) => Type.Optional(schema);

/** A mapping with these keys and no others. */
export function mapping<T extends TProperties>(properties: T, description: string) {
  return Type.Object(properties, { additionalProperties: false, expected: 'a mapping', description });
}

/** A mapping from names of one format to values of one schema. */
export function named<T extends TSchema>(format: string, values: T, expected: string, description: string) {
  const propertyNames = { type: 'string', format };
  const schema = { type: 'object', propertyNames, additionalProperties: values, expected, description };
  return Type.Unsafe<Record<string, Static<T>>>(schema);
}

/** A list with bounds on its length. */
export function list<T extends TSchema>(items: T, most: number, expected: string, description: string) {
  return Type.Array(items, { minItems: 1, maxItems: most, expected, description });
}
