/**
 * JSON text that is the same for equal values: members sorted by UTF-16 code units, no space, numbers as ECMAScript writes
 * them (RFC 8785). What two programs hash must not depend on the order in which they wrote it.
 */

/** Deepest nesting; our own objects have a handful of levels. */
const MAX_DEPTH = 512;

/** The text. Members that are undefined are left out, as JSON does. */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new RangeError(`a value nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}
