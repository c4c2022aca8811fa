import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PAGE, renderReference } from '../../../scripts/generate-config-reference.mjs';
import { ConfigSchema } from '../../src/config/schema.js';
import { CATALOGUE } from '../../src/providers/catalogue.js';

describe('docs/reference/sluice-yaml.md', () => {
  it('is current (node scripts/generate-config-reference.mjs)', () => {
    const render = renderReference as (schema: unknown, catalogue: unknown) => string;
    expect(readFileSync(PAGE, 'utf8')).toBe(render(ConfigSchema, CATALOGUE));
  });
});

/** A part of the schema with what the page shows of it. */
interface Part {
  readonly description?: string;
  readonly expected?: string;
  readonly properties?: Record<string, Part>;
  readonly additionalProperties?: Part | boolean;
  readonly items?: Part;
  readonly anyOf?: Part[];
}

describe('the schema', () => {
  it('describes every key and says what it expects', () => {
    const bare: string[] = [];
    walk(ConfigSchema as Part, '', (part, path) => {
      if (!part.description || !part.expected) bare.push(path);
    });
    expect(bare).toEqual([]);
  });

  it('refuses unknown keys in every mapping', () => {
    const open: string[] = [];
    walk(ConfigSchema as Part, '', (part, path) => {
      if (part.properties !== undefined && part.additionalProperties !== false) open.push(path);
    });
    expect(open).toEqual([]);
  });
});

/** Visits every value that has a key of its own. */
function walk(part: Part, path: string, visit: (part: Part, path: string) => void): void {
  for (const [name, property] of Object.entries(part.properties ?? {})) {
    visit(property, `${path}.${name}`);
    walk(property, `${path}.${name}`, visit);
  }
  if (part.items) walk(part.items, `${path}[]`, visit);
  for (const branch of part.anyOf ?? []) walk(branch, path, visit);
  if (typeof part.additionalProperties === 'object') walk(part.additionalProperties, `${path}.NAME`, visit);
}
