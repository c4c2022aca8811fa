/**
 * A configuration text as data with positions. JSON is read by the same parser: it is a subset of YAML.
 *
 * The parser's own messages quote the text around an error, which may be a credential; the code of the error alone is
 * used, with words from the table below.
 */

import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLError,
  type YAMLWarning,
} from 'yaml';
import type { DocumentPath } from './wording.js';

/** Largest configuration text, in characters. */
export const MAX_CONFIG_CHARACTERS = 4_194_304;

/** Most uses of YAML aliases, so that a few lines cannot unfold into gigabytes. */
const MAX_ALIASES = 1_000;

/** A place in a text, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Whether a key or its value is meant. */
export type Part = 'key' | 'value';

/** Something wrong with the text itself. */
export interface SyntaxProblem {
  readonly position: Position | null;
  readonly message: string;
}

/** A text, read. */
export interface SourceDocument {
  /** Plain data; undefined when there are problems. An empty text is an empty mapping. */
  readonly value: unknown;
  readonly problems: readonly SyntaxProblem[];
  /** Where a path is, or the closest thing above it that exists. */
  position(path: DocumentPath, part: Part): Position | null;
}

/** Reads YAML or JSON. */
export function readDocument(text: string): SourceDocument {
  if (text.length > MAX_CONFIG_CHARACTERS) {
    const message = `found more than ${MAX_CONFIG_CHARACTERS} characters, expected a configuration`;
    return { value: undefined, problems: [{ position: null, message }], position: () => null };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true });
  const problems = [
    ...[...document.errors, ...document.warnings].map((error) => syntaxProblem(error, lines)),
    ...unknownAliases(document, lines),
  ];
  const position = (path: DocumentPath, part: Part): Position | null => locate(document, lines, path, part);
  if (problems.length > 0) return { value: undefined, problems, position };
  return { ...plainData(document), position };
}

function plainData(document: Document): Pick<SourceDocument, 'value' | 'problems'> {
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    JSON.stringify(value); // refuses a mapping that contains itself through an alias
    return { value: value ?? {}, problems: [] };
  } catch {
    const message = `found aliases that contain themselves or unfold more than ${MAX_ALIASES} times, expected plain data`;
    return { value: undefined, problems: [{ position: null, message }] };
  }
}

const UNKNOWN_ALIAS =
  'found an alias (*name) without its anchor (&name) before it; text that begins with * needs quotes';

const SYNTAX: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_ALIAS: UNKNOWN_ALIAS,
  ALIAS_PROPS: 'found an alias with a tag or an anchor, expected the alias alone',
  BAD_INDENT:
    'found wrong indentation or an unclosed bracket or brace, expected every entry of one mapping in the same column',
  BAD_DQ_ESCAPE: 'found an unknown escape in double quotes; single quotes take everything as it is',
  BAD_SCALAR_START: 'found a character that cannot begin a plain value, expected quotes around the value',
  BLOCK_AS_IMPLICIT_KEY:
    'found a second key on the same line, expected it on a line of its own; a value with ": " needs quotes',
  BLOCK_IN_FLOW: 'found a block inside brackets or braces, expected commas between entries',
  DUPLICATE_KEY: 'found a key twice, expected it once',
  KEY_OVER_1024_CHARS: 'found a key of more than 1024 characters',
  MISSING_CHAR: 'found no closing quote, bracket, brace or comma where one was expected',
  MULTILINE_IMPLICIT_KEY: 'found a line without a colon, expected "key: value"',
  MULTIPLE_DOCS: 'found a second document (---), expected one',
  TAB_AS_INDENT: 'found a tab as indentation, expected spaces',
  TAG_RESOLVE_FAILED: 'found an unknown tag (!name), expected plain values',
  UNEXPECTED_TOKEN:
    'found something that does not belong here, expected "key: value"; text that begins with *, &, !, % or @ needs quotes',
};

function syntaxProblem(error: YAMLError | YAMLWarning, lines: LineCounter): SyntaxProblem {
  const message = SYNTAX[error.code] ?? 'found text that is not YAML, expected "key: value"';
  return { position: at(lines, error.pos[0]), message };
}

function unknownAliases(document: Document, lines: LineCounter): SyntaxProblem[] {
  const found: SyntaxProblem[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) === undefined) {
        found.push({ position: at(lines, rangeStart(alias) ?? 0), message: UNKNOWN_ALIAS });
      }
    },
  });
  return found;
}

/** Follows the path through the parsed nodes; stops at the last node that exists. */
function locate(document: Document, lines: LineCounter, path: DocumentPath, part: Part): Position | null {
  let node: unknown = document.contents;
  let found = rangeStart(node);
  for (const [depth, step] of path.entries()) {
    const entry = child(resolved(node, document), step);
    if (entry === null) break;
    const wanted = depth === path.length - 1 && part === 'key' ? entry.key : entry.value;
    found = rangeStart(wanted) ?? rangeStart(entry.key) ?? found;
    node = entry.value;
  }
  return found === null ? null : at(lines, found);
}

function child(node: unknown, step: string | number): { key: unknown; value: unknown } | null {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
    return pair === undefined ? null : { key: pair.key, value: pair.value };
  }
  if (!isSeq(node) || typeof step !== 'number' || step >= node.items.length) return null;
  return { key: node.items[step], value: node.items[step] };
}

function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function rangeStart(node: unknown): number | null {
  return (node as Node | null | undefined)?.range?.[0] ?? null;
}

function at(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}
