/** Everything found wrong with one configuration, gathered so that all of it can be shown at once. */

import type { ConfigProblem } from '../governance/ports.js';
import type { Part, Position, SourceDocument } from './document.js';
import { formatPath, type DocumentPath } from './wording.js';

/** Where a problem is. */
export interface Place {
  readonly path: DocumentPath;
  /** The value unless told otherwise. */
  readonly part?: Part;
}

/** Collects problems and gives each its place in the text. */
export class Problems {
  private readonly found: ConfigProblem[] = [];
  private readonly broken = new Set<string>();

  constructor(
    private readonly file: string | null,
    private readonly document: SourceDocument | null,
  ) {}

  /** Something that makes the configuration unusable. */
  error(place: Place, code: string, message: string): void {
    for (let length = 0; length <= place.path.length; length++) {
      this.broken.add(formatPath(place.path.slice(0, length)));
    }
    this.add('error', place, code, message);
  }

  /** Something that works, but hardly as intended. */
  warning(place: Place, code: string, message: string): void {
    this.add('warning', place, code, message);
  }

  /** Something wrong with the text as such. */
  syntax(position: Position | null, message: string): void {
    this.broken.add('');
    this.push('error', position, '', 'bad_syntax', message);
  }

  /** Whether there is an error at this path or below it. */
  isBroken(path: DocumentPath): boolean {
    return this.broken.has(formatPath(path));
  }

  /** All of them in the order of the text, those without a place last. */
  list(): ConfigProblem[] {
    return [...this.found].sort(
      (a, b) => (a.line ?? Infinity) - (b.line ?? Infinity) || (a.column ?? 0) - (b.column ?? 0) || 0,
    );
  }

  get hasErrors(): boolean {
    return this.broken.size > 0;
  }

  private add(severity: ConfigProblem['severity'], place: Place, code: string, message: string): void {
    const position = this.document?.position(place.path, place.part ?? 'value') ?? null;
    this.push(severity, position, formatPath(place.path), code, message);
  }

  private push(
    severity: ConfigProblem['severity'],
    position: Position | null,
    path: string,
    code: string,
    message: string,
  ): void {
    const line = position?.line ?? null;
    const column = position?.column ?? null;
    const known = this.found.some(
      (other) => other.path === path && other.message === message && other.line === line,
    );
    if (!known) this.found.push({ file: this.file, line, column, path, severity, code, message });
  }
}

/** As `sluice.yaml:12:5: error: models.fast: found …, expected …`. */
export function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file ?? '(built-in defaults)', problem.line, problem.column].filter(
    (part) => part !== null,
  );
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${place.join(':')}: ${problem.severity}: ${path}${problem.message}`;
}
