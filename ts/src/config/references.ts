/**
 * `env:NAME` and `file:PATH` in place of a value, so that secrets stay out of the file. Any string value may be one;
 * keys may not. What a reference led to is remembered, and messages name the reference instead of the value.
 */

import { dirname, resolve } from 'node:path';
import type { Variables } from '../providers/catalogue.js';
import type { Overrides } from './overrides.js';
import type { Problems } from './problems.js';
import { formatPath, quoteName, type DocumentPath } from './wording.js';

/** Largest file behind a reference, in characters; secrets and certificate chains are far smaller. */
const MAX_REFERENCED_CHARACTERS = 1_048_576;

/** Permission bits that let others than the owner read a file. */
const READABLE_BY_OTHERS = 0o044;

/** A file as read. */
export interface FileContent {
  readonly text: string;
  /** Permission bits; null where the system has none. */
  readonly mode: number | null;
}

/** What a configuration may read besides its own text. */
export interface Surroundings {
  readonly variables: Variables;
  /** Throws what `node:fs` throws. */
  readonly readFile: (path: string) => FileContent;
  /** The present, milliseconds since 1970. */
  readonly now: number;
  /** Settings of the command line, which win over the file. */
  readonly overrides?: Overrides;
}

/** Reads files named in a configuration, relative to it. */
export class ReferenceReader {
  /** References by the path of the value they stand for. */
  private readonly used = new Map<string, string>();
  private readonly looked = new Set<string>();

  constructor(
    private readonly surroundings: Surroundings,
    private readonly configFile: string | null,
    private readonly problems: Problems,
  ) {}

  /** The data with every reference replaced by what it leads to. */
  resolveAll(value: unknown, path: DocumentPath = []): unknown {
    if (typeof value === 'string') return this.resolveText(value, path);
    if (Array.isArray(value)) return value.map((item, at) => this.resolveAll(item, [...path, at]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.resolveAll(item, [...path, key])]),
    );
  }

  /** The reference a value came from; null where it is written in the file itself. */
  referenceAt(path: DocumentPath): string | null {
    return this.used.get(formatPath(path)) ?? null;
  }

  /** The text of a file named at `path`; null after reporting why it cannot be read. */
  readFile(file: string, path: DocumentPath, secret: boolean): string | null {
    const shown = this.referenceAt(path) ?? quoteName(file);
    const content = this.tryRead(file, path, shown);
    if (content === null) return null;
    if (secret && content.mode !== null && (content.mode & READABLE_BY_OTHERS) !== 0) {
      const mode = (content.mode & 0o777).toString(8).padStart(4, '0');
      this.problems.warning(
        { path },
        'file_mode',
        `found mode ${mode} on the file ${shown}, expected one that only its owner can read (chmod 600)`,
      );
    }
    return content.text;
  }

  /** The text of a file that need not be there; relative paths start from the working directory. */
  readIfPresent(file: string): string | null {
    const absolute = resolve(file);
    this.looked.add(absolute);
    try {
      const { text } = this.surroundings.readFile(absolute);
      return text.length <= MAX_REFERENCED_CHARACTERS ? text : null;
    } catch {
      return null;
    }
  }

  /** Every file looked for so far, absolute. */
  get files(): string[] {
    return [...this.looked];
  }

  /** An absolute path for one that is relative to the config file. */
  absolute(file: string): string {
    return resolve(this.configFile === null ? '.' : dirname(this.configFile), file);
  }

  private resolveText(text: string, path: DocumentPath): string | undefined {
    const match = /^(env|file):(.*)$/s.exec(text);
    if (match === null) return text;
    this.used.set(formatPath(path), `${match[1]}:${match[2]}`);
    return match[1] === 'env'
      ? this.fromEnvironment(match[2] ?? '', path)
      : this.fromFile(match[2] ?? '', path);
  }

  private fromEnvironment(name: string, path: DocumentPath): string | undefined {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      this.problems.error(
        { path },
        'bad_reference',
        'found env: without the name of an environment variable, expected env:NAME',
      );
      return undefined;
    }
    const value = this.surroundings.variables[name];
    if (value !== undefined && value.trim() !== '') return value.trim();
    const state = value === undefined ? 'is not set' : 'is empty';
    this.problems.error(
      { path },
      'missing_variable',
      `found env:${name}, but the environment variable ${name} ${state}`,
    );
    return undefined;
  }

  private fromFile(name: string, path: DocumentPath): string | undefined {
    const content = this.readFile(name, path, true)?.trim();
    if (content === '')
      this.problems.error({ path }, 'empty_file', `found file:${name}, but the file is empty`);
    return content === '' ? undefined : content;
  }

  private tryRead(file: string, path: DocumentPath, shown: string): FileContent | null {
    const absolute = this.absolute(file);
    this.looked.add(absolute);
    try {
      const content = this.surroundings.readFile(absolute);
      if (content.text.length <= MAX_REFERENCED_CHARACTERS) return content;
      this.problems.error(
        { path },
        'file_too_large',
        `found a file of more than ${MAX_REFERENCED_CHARACTERS} characters, expected a secret or a certificate`,
      );
    } catch (error) {
      this.problems.error({ path }, 'unreadable_file', `cannot read the file ${shown}: ${reasonOf(error)}`);
    }
    return null;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is not a directory',
  ELOOP: 'too many symbolic links',
};

/** Why a file could not be read, in words. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return REASONS[code] ?? code;
}
