/**
 * Drives every documented operation with requests made from its own schemas: fitting ones, and ones with wrong types,
 * missing and unknown members and strange texts. Whatever comes back must be documented, and never our fault.
 */
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Harness, harness, TOKEN } from './harness.js';

/** Requests per operation. */
const ROUNDS = 40;

const SEED = Number(process.env['SLUICE_FUZZ_SEED'] ?? 20_260_301);

interface Schema {
  $ref?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  format?: string;
  examples?: unknown[];
}

interface Operation {
  responses: Record<string, unknown>;
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

let h: Harness;
let document: Document;

beforeAll(async () => {
  h = await harness();
  document = h.app.swagger() as unknown as Document;
});

afterAll(() => h.close());

/** Numbers from a seed (mulberry32), so that what fails can be run again. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const TEXTS = [
  '',
  ' ',
  'a',
  'search',
  '*',
  '%',
  "' or 1=1 --",
  '../../etc/passwd',
  '\u0000',
  '\ud800',
  'é'.repeat(100),
  'x'.repeat(5_000),
  '1970-01-01T00:00:00Z',
  '2999-12-31T23:59:59.999Z',
  '0',
  '-1',
  '1e400',
  'null',
  'true',
  '__proto__',
  'constructor',
];

const STRANGE: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  [],
  {},
  [[]],
  { a: 1 },
  JSON.parse('{"__proto__": {"a": 1}}'),
  ...TEXTS,
];

class Generator {
  constructor(private readonly next: () => number) {}

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)] as T;
  }

  /** A value for the schema, which in a part of the cases does not fit it. */
  value(schema: Schema, wrong: number): unknown {
    if (this.chance(wrong)) return this.pick(STRANGE);
    if (schema.$ref !== undefined) return this.value(this.resolved(schema.$ref), wrong);
    if (schema.anyOf) return this.value(this.pick(schema.anyOf), wrong);
    if (schema.enum) return this.pick(schema.enum);
    if (schema.const !== undefined) return schema.const;
    if (schema.type === 'object') return this.object(schema, wrong);
    if (schema.type === 'array') return this.list(schema, wrong);
    if (schema.type === 'boolean') return this.chance(0.5);
    if (schema.type === 'integer' || schema.type === 'number') return this.integer(schema);
    return schema.type === 'null' ? null : this.text(schema);
  }

  private object({ properties = {}, required = [] }: Schema, wrong: number): unknown {
    const entries = Object.entries(properties)
      .filter(([name]) => (required.includes(name) ? !this.chance(wrong / 2) : this.chance(0.5)))
      .map(([name, schema]): [string, unknown] => [name, this.value(schema, wrong)]);
    if (this.chance(wrong / 2)) entries.push([this.pick(TEXTS), this.pick(STRANGE)]);
    return Object.fromEntries(entries);
  }

  private list({ items = {} }: Schema, wrong: number): unknown[] {
    const length = this.pick([0, 1, 2, 3]);
    return Array.from({ length }, () => this.value(items, wrong));
  }

  private integer({ minimum = 0, maximum = 1_000 }: Schema): number {
    return this.pick([minimum, maximum, minimum + Math.floor(this.next() * Math.min(10, maximum - minimum))]);
  }

  private text({ format, examples = [] }: Schema): unknown {
    if (examples.length > 0 && this.chance(0.5)) return this.pick(examples);
    if (format === 'date-time')
      return this.pick(['2999-01-01T00:00:00Z', '2026-02-28T23:59:59+01:00', '2026-01-01T00:00:00Z']);
    return this.chance(0.7)
      ? this.pick(['search', 'a', 'openai', 'viewer', 'gpt-4o', `n${this.next()}`])
      : this.pick(TEXTS);
  }

  private resolved(ref: string): Schema {
    return document.components.schemas[ref.replace('#/components/schemas/', '')] ?? {};
  }
}

/** The text without halves of characters, which no URL can hold. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

interface FuzzRequest extends InjectOptions {
  readonly url: string;
  readonly payload?: string;
}

function requestOf(generator: Generator, method: string, path: string, operation: Operation): FuzzRequest {
  const wrong = generator.pick([0, 0.05, 0.3]);
  const { url, headers } = addressed(generator, path, operation, wrong);
  const schema = operation.requestBody?.content['application/json']?.schema;
  const request = { method: method as 'GET', url, headers };
  if (schema === undefined) return request;
  headers['content-type'] = 'application/json';
  const body = JSON.stringify(generator.value(schema, wrong));
  return { ...request, payload: generator.chance(wrong / 3) ? body.slice(0, -1) : body };
}

/** Path, query and headers. */
function addressed(generator: Generator, path: string, { parameters = [] }: Operation, wrong: number) {
  let url = path;
  const query = new URLSearchParams();
  const headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` };
  for (const { name, in: place, required = false, schema } of parameters) {
    if (!required && generator.chance(0.5)) continue;
    const text = wellFormed(String(generator.value(schema, wrong)));
    if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(text) || 'x');
    if (place === 'query') query.append(name, text);
    if (place === 'header' && /^[\x20-\x7e]*$/.test(text)) headers[name] = text;
  }
  if (generator.chance(wrong / 2)) query.append(wellFormed(generator.pick(TEXTS)), 'x');
  return { url: `${url}?${query.toString()}`, headers };
}

it(
  'no request gets an answer that is not documented, or that is our fault',
  { timeout: 120_000 },
  async () => {
    const generator = new Generator(numbers(SEED));
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method: method.toUpperCase(),
        operation,
      })),
    );
    const complaints: string[] = [];
    const seen = new Set<number>();
    for (let round = 0; round < ROUNDS * operations.length; round += 1) {
      const { path, method, operation } = operations[round % operations.length]!;
      const request = requestOf(generator, method, path, operation);
      const { statusCode, body } = await h.app.inject(request);
      seen.add(statusCode);
      if (statusCode < 500 && String(statusCode) in operation.responses) continue;
      const said = request.payload?.slice(0, 300) ?? '';
      complaints.push(`${method} ${request.url} ${said} → ${statusCode} ${body.slice(0, 200)}`);
    }
    expect(complaints.slice(0, 10), `seed ${SEED}: ${complaints.length} complaints`).toEqual([]);
    const reached = [200, 201, 400, 404, 409, 412];
    expect([...seen], 'the requests reach further than the checks').toEqual(expect.arrayContaining(reached));
  },
);
