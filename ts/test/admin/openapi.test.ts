import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_ERRORS } from '../../src/admin/errors.js';
import { type Harness, harness } from './harness.js';

const ROOT = resolve(import.meta.dirname, '../../..');

interface Operation {
  operationId?: string;
  summary?: string;
  security?: unknown[];
  responses: Record<string, { description: string; content?: unknown }>;
  requestBody?: { content: Record<string, unknown> };
}
interface Document {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}

let h: Harness;
let document: Document;

beforeAll(async () => {
  h = await harness();
  document = h.app.swagger() as unknown as Document;
});

afterAll(() => h.close());

function operations(): [string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method} ${path}`,
      operation,
    ]),
  );
}

describe('the OpenAPI document', () => {
  it('is served, to holders of the token', async () => {
    expect((await h.call('GET', '/admin/v1/openapi.json')).json()).toEqual(
      JSON.parse(JSON.stringify(document)),
    );
  });

  it('is the one in docs/reference; run `node scripts/generate-openapi.mjs` after a change', () => {
    const committed = JSON.parse(
      readFileSync(resolve(ROOT, 'docs/reference/openapi.json'), 'utf8'),
    ) as Document;
    const { version } = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(committed.info.version).toBe(version);
    const current = JSON.parse(JSON.stringify(document)) as Document;
    expect(committed).toEqual({ ...current, info: { ...current.info, version } });
  });

  it('describes every operation, what it answers, and every refusal', () => {
    expect(document.openapi).toBe('3.1.0');
    const ids = new Set<string>();
    for (const [name, operation] of operations()) {
      expect(operation.summary, name).toBeTruthy();
      ids.add(operation.operationId ?? '');
      const statuses = Object.keys(operation.responses);
      expect(
        statuses.some((status) => status.startsWith('2')),
        name,
      ).toBe(true);
      if (!operation.security)
        expect(statuses, name).toEqual(expect.arrayContaining(['401', '403', '500', '503']));
      if (operation.requestBody) {
        expect(Object.keys(operation.requestBody.content), name).toEqual(['application/json']);
        expect(statuses, name).toEqual(expect.arrayContaining(['400', '413', '415']));
      }
      for (const [status, { content }] of Object.entries(operation.responses))
        expect(content, `${name} ${status}`).toBeDefined();
    }
    expect(ids.size).toBe(operations().length);
  });

  it('leaves only the probes without a token', () => {
    const open = operations().filter(([, operation]) => operation.security?.length === 0);
    expect(open.map(([name]) => name)).toEqual(['get /healthz', 'get /readyz']);
  });

  it('refers only to schemas it has, by readable names', () => {
    const used = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
      (match) => match[1],
    );
    expect(used.length).toBeGreaterThan(20);
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining([...new Set(used)]));
    expect(Object.keys(document.components.schemas).filter((name) => !/^[A-Z]\w+$/.test(name))).toEqual([]);
    expect(JSON.stringify(document).match(/"\$ref":"(?!#\/components\/schemas\/)/)).toBeNull();
  });
});

describe('the guide', () => {
  const guide = readFileSync(resolve(ROOT, 'docs/guide/admin-api.md'), 'utf8');

  it('names every operation', () => {
    const missing = operations().filter(([name]) => {
      const [method, path] = name.split(' ') as [string, string];
      return !guide.includes(`\`${method.toUpperCase()} ${path.replace('/admin/v1', '')}\``);
    });
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  it('lists every error code with its status', () => {
    const listed = [...guide.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map((row) => [row[1], Number(row[2])]);
    expect(Object.fromEntries(listed)).toEqual(ADMIN_ERRORS);
  });
});
