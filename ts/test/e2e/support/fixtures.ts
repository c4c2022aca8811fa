/** Recorded traffic of providers. It belongs to others and lies beside a developer's checkout, not in it. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../../../../scripts/lib/tree.mjs';

/** The folder of recordings, `shared/fixtures` beside the checkout or further up; null, with the reason said, without one. */
export const FIXTURES = find(ROOT);
if (FIXTURES === null) console.log('skipped: no shared/fixtures with recorded traffic beside the checkout');

function find(folder: string): string | null {
  const here = join(folder, 'shared', 'fixtures');
  if (existsSync(here)) return here;
  const above = dirname(folder);
  return above === folder ? null : find(above);
}

/** Headers as recorded: several values make several lines. */
export type RecordedHeaders = Readonly<Record<string, readonly string[]>>;

/** One recorded request and its answer. */
export interface Cassette {
  /** File name without extension. */
  readonly name: string;
  /** Path of the URL, without the query. */
  readonly path: string;
  readonly request: { readonly body: Buffer; readonly headers: RecordedHeaders };
  readonly response: { readonly status: number; readonly body: Buffer; readonly headers: RecordedHeaders };
}

interface CassetteFile {
  readonly interactions: readonly {
    readonly request: Side & { readonly url: string };
    readonly response: Side & { readonly code: number };
  }[];
}

interface Side {
  readonly content_length: number;
  readonly body: string;
  readonly headers: RecordedHeaders;
}

/** Names of the files of a folder with one of the extensions, in order. */
export function fixtureFiles(folder: string, ...extensions: string[]): string[] {
  if (FIXTURES === null) return [];
  const names = readdirSync(join(FIXTURES, folder));
  return names.filter((name) => extensions.some((extension) => name.endsWith(extension))).sort();
}

/** The bytes of a file. */
export function fixture(folder: string, name: string): Buffer {
  return readFileSync(join(FIXTURES ?? '', folder, name));
}

/** Every cassette of a folder. */
export function cassettes(folder: string): Cassette[] {
  return fixtureFiles(folder, '.yaml').map((file) => cassetteOf(folder, file));
}

function cassetteOf(folder: string, file: string): Cassette {
  const { interactions } = parse(fixture(folder, file).toString()) as CassetteFile;
  const [interaction, ...others] = interactions;
  if (interaction === undefined || others.length > 0) throw new Error(`${file} has not one exchange`);
  const { request, response } = interaction;
  const { headers, code: status } = response;
  return {
    name: file.replace(/\.yaml$/, ''),
    path: new URL(request.url).pathname,
    request: { body: Buffer.from(request.body), headers: request.headers },
    response: { status, body: Buffer.from(response.body), headers },
  };
}
