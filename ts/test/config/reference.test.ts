import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PAGE, renderReference } from '../../../scripts/generate-config-reference.mjs';
import * as providersPage from '../../../scripts/generate-provider-reference.mjs';
import { ConfigSchema } from '../../src/config/schema.js';
import { CATALOGUE } from '../../src/providers/catalogue.js';
import { LEFT_OUT } from '../../src/providers/data/left-out.js';
import { QUIRKS } from '../../src/providers/row.js';

describe('docs/reference/sluice-yaml.md', () => {
  it('is current (node scripts/generate-config-reference.mjs)', () => {
    const render = renderReference as (schema: unknown) => string;
    expect(readFileSync(PAGE, 'utf8')).toBe(render(ConfigSchema));
  });
});

describe('docs/reference/providers.md', () => {
  it('is current (node scripts/generate-provider-reference.mjs)', () => {
    const render = providersPage.renderProviders as (facts: unknown) => string;
    const page = render({ catalogue: CATALOGUE, quirks: QUIRKS, leftOut: LEFT_OUT });
    expect(readFileSync(providersPage.PAGE, 'utf8')).toBe(page);
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
