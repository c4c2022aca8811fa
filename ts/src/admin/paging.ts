/** Lists by page, and asking what a change would do: the query parameters that every resource has in common. */
import { type TSchema, Type } from 'typebox';

/** Most entries of a page. */
export const MAX_PAGE = 500;
const DEFAULT_PAGE = 100;

/** `limit` and `after`, to be spread into the query of a list. `after` is the schema of the entries' id. */
export function pageQuery<T extends TSchema>(after: T) {
  return {
    limit: Type.Integer({
      minimum: 1,
      maximum: MAX_PAGE,
      default: DEFAULT_PAGE,
      description: 'Most entries to answer.',
    }),
    after: Type.Optional(after),
  };
}

/**
 * The first page of entries that are sorted and already lie behind `after`, and the `after` of the next page: null on
 * the last one.
 */
export function pageOf<T, Id>(
  entries: readonly T[],
  limit: number,
  idOf: (entry: T) => Id,
): { entries: T[]; nextAfter: Id | null } {
  const page = entries.slice(0, limit);
  const last = page.at(-1);
  return { entries: page, nextAfter: entries.length > page.length && last !== undefined ? idOf(last) : null };
}

/**
 * `dry_run`, to be spread into the query of a change: everything is checked, nothing is stored, nothing is logged.
 */
export const dryRunQuery = {
  dry_run: Type.Boolean({
    default: false,
    description: 'Check the change and answer what it would lead to, without making it.',
  }),
};
