/** Words for messages about a configuration. Nothing that could be a credential is ever quoted. */

/** A place in a document: keys and indexes from the top. */
export type DocumentPath = readonly (string | number)[];

/** Longest text quoted in a message, in characters. */
const MAX_QUOTED_CHARACTERS = 80;

/** Most choices listed in a message. */
const MAX_LISTED = 20;

/** Beginnings of well-known kinds of credentials. */
const KNOWN_PREFIX =
  /(^|[^A-Za-z0-9])(sk|pk|rk|gsk|csk|xai|hf|nvapi|pplx|ghp|glpat|fw|sluice-admin|AIza|eyJ)[-_A-Za-z0-9]/;

/** A run that no readable name has: long, with digits among letters of both cases, or a digest. */
const RANDOM_RUN =
  /(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{16,}|[0-9a-fA-F]{32,}/;

/** Whether a text might be a credential that ended up in the wrong place. */
export function looksSecret(text: string): boolean {
  return KNOWN_PREFIX.test(text) || RANDOM_RUN.test(text);
}

/** As `models.fast.targets[0].provider`; keys with other characters in brackets and quotes. */
export function formatPath(path: DocumentPath): string {
  const parts = path.map((part, at) => {
    if (typeof part === 'number') return `[${part}]`;
    if (/^[A-Za-z_][\w-]*$/.test(part) && !looksSecret(part)) return at === 0 ? part : `.${part}`;
    return `[${quoteName(part)}]`;
  });
  return parts.join('');
}

/** A name in quotes, shortened, and masked where it looks like a credential. */
export function quoteName(name: string): string {
  if (looksSecret(name)) return '"***"';
  return JSON.stringify(
    name.length > MAX_QUOTED_CHARACTERS ? `${name.slice(0, MAX_QUOTED_CHARACTERS)}…` : name,
  );
}

/** What was found, in words: the kind of thing it is. */
export function describeKind(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return value === '' ? 'an empty string' : 'a string';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

/** What was found, in words: itself where it is short and harmless, its kind otherwise. */
export function describeValue(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || value === '') return describeKind(value);
  return looksSecret(value) ? 'a string' : quoteName(value);
}

/** `a, b and c`, cut off where they are many. */
export function listChoices(choices: readonly string[], conjunction: 'and' | 'or' = 'or'): string {
  const shown = choices.slice(0, MAX_LISTED);
  if (choices.length > shown.length)
    return `${shown.join(', ')} ${conjunction} ${choices.length - shown.length} more`;
  return shown.length < 2
    ? shown.join('')
    : `${shown.slice(0, -1).join(', ')} ${conjunction} ${shown.at(-1)}`;
}

/** `; did you mean x?` where one of the choices is close to what was written, and nothing otherwise. */
export function suggestion(written: string, choices: Iterable<string>): string {
  const close = nearest(written, choices);
  return close === null ? '' : `; did you mean ${close}?`;
}

/** The choice that is at most a third of its letters away; null when none is. */
function nearest(written: string, choices: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const choice of choices) {
    const distance = editDistance(written.toLowerCase(), choice.toLowerCase());
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(choice.length / 3))) {
      best = choice;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one text into the other. */
function editDistance(a: string, b: string): number {
  if (a.length > MAX_QUOTED_CHARACTERS || b.length > MAX_QUOTED_CHARACTERS) return Infinity;
  const first = Array.from({ length: b.length + 1 }, (_, at) => at);
  const rows = [first];
  for (let i = 1; i <= a.length; i++) rows.push(distanceRow(a, b, i, rows));
  return rows[a.length]?.[b.length] ?? Infinity;
}

/** Distances of the first `i` letters of `a` to every beginning of `b`, from the rows before. */
function distanceRow(a: string, b: string, i: number, rows: readonly number[][]): number[] {
  const before = (up: number, at: number): number => rows[i - up]?.[at] ?? Infinity;
  const row = [i];
  for (let j = 1; j <= b.length; j++) {
    const replaced = before(1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
    const swappable = j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
    const swapped = swappable ? before(2, j - 2) + 1 : Infinity;
    row.push(Math.min(replaced, swapped, before(1, j) + 1, (row[j - 1] ?? Infinity) + 1));
  }
  return row;
}
