/**
 * Allow lists that hold together: what a team may use is what its customer may use as well. Lists are of exact names and
 * patterns with one `*`; their intersection is such a list again, so that the data plane has one list per key to look at.
 */

import { covers, isPattern } from './name-pattern.js';

/** Exact names and patterns; null allows everything. */
export type AllowList = readonly string[] | null;

/** Most entries of an intersection. Only lists of many patterns that overlap in part can come to more. */
export const MAX_INTERSECTION = 8_192;

/** Names allowed by both, exactly. Throws {@link RangeError} beyond {@link MAX_INTERSECTION} entries. */
export function intersect(a: AllowList, b: AllowList): AllowList {
  if (a === null || isEverything(a)) return b ?? a;
  if (b === null || isEverything(b)) return a;
  const found = new Set<string>();
  for (const one of a) {
    for (const other of b) for (const entry of common(one, other)) found.add(entry);
    if (found.size > MAX_INTERSECTION)
      throw new RangeError(`allow lists overlap in more than ${MAX_INTERSECTION} entries; shorten them`);
  }
  return [...found];
}

/** Entries of `inner` that allow more than `outer` does. Empty where `outer` allows all that `inner` allows. */
export function exceeding(inner: readonly string[], outer: AllowList): string[] {
  if (outer === null) return [];
  return inner.filter((entry) => !outer.some((pattern) => coversAll(pattern, entry)));
}

function isEverything(list: readonly string[]): boolean {
  return list.includes('*');
}

/** Whether the pattern covers every name that the other covers. */
function coversAll(pattern: string, other: string): boolean {
  if (!isPattern(other)) return covers(pattern, other);
  if (!isPattern(pattern)) return false;
  const [head, tail] = halves(pattern);
  const [otherHead, otherTail] = halves(other);
  return otherHead.startsWith(head) && otherTail.endsWith(tail);
}

/** A list of the names that two entries have in common. */
function common(a: string, b: string): string[] {
  if (coversAll(a, b)) return [b];
  if (coversAll(b, a)) return [a];
  if (!isPattern(a) || !isPattern(b)) return [];
  const [headA, tailA] = halves(a);
  const [headB, tailB] = halves(b);
  const head = longer(headA, headB);
  const tail = longer(tailA, tailB);
  const meet =
    head.startsWith(headA) && head.startsWith(headB) && tail.endsWith(tailA) && tail.endsWith(tailB);
  return meet ? [`${head}*${tail}`, ...shorterThanBoth(a, b, head, tail)] : [];
}

/** `gpt-*` and `*-mini` have `gpt-mini` in common, in which head and tail share letters. */
function shorterThanBoth(a: string, b: string, head: string, tail: string): string[] {
  const names = Array.from(
    { length: Math.min(head.length, tail.length) },
    (_, at) => head + tail.slice(at + 1),
  );
  return names.filter((name) => name.endsWith(tail) && covers(a, name) && covers(b, name));
}

function halves(pattern: string): [head: string, tail: string] {
  const star = pattern.indexOf('*');
  return [pattern.slice(0, star), pattern.slice(star + 1)];
}

function longer(a: string, b: string): string {
  return a.length >= b.length ? a : b;
}
