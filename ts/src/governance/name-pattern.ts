/** Names of models, and patterns with one `*` that stand for many. */

/** Longest accepted model name or pattern, in characters. */
export const MAX_NAME_CHARACTERS = 256;

const NAME = /^[^\s\p{Cc}]+$/u;

/** Whether this is an exact name or a pattern with a single `*`, without white space, and short enough. */
export function isNamePattern(text: string): boolean {
  return text.length <= MAX_NAME_CHARACTERS && NAME.test(text) && text.split('*').length <= 2;
}

/** Whether the text is a pattern rather than an exact name. */
export function isPattern(text: string): boolean {
  return text.includes('*');
}

/** Whether the pattern (or exact name) covers the name. `*` stands for any number of characters, none included. */
export function covers(pattern: string, name: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === name;
  const head = pattern.slice(0, star);
  const tail = pattern.slice(star + 1);
  return name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
}

/** Whether an allow list covers the name: an empty list covers nothing, `['*']` everything. */
export function allows(list: readonly string[], name: string): boolean {
  return list.some((pattern) => covers(pattern, name));
}

/** Whether some name is covered by both. */
export function overlaps(a: string, b: string): boolean {
  if (!isPattern(a)) return covers(b, a);
  if (!isPattern(b)) return covers(a, b);
  const [headA = '', tailA = ''] = a.split('*');
  const [headB = '', tailB = ''] = b.split('*');
  const heads = headA.startsWith(headB) || headB.startsWith(headA);
  return heads && (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}
