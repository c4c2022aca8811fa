import { describe, expect, it } from 'vitest';
import * as script from '../../../scripts/import-prices.mjs';
import { BOOK } from '../../src/prices/data/book.js';

const parseExact = script.parseExact as (json: string) => unknown;
const scaled = script.scaled as (text: string, digits: number) => { value: bigint; rounded: boolean };
const importPrices = script.importPrices as (
  facts: unknown,
  ourName: (name: string) => string | undefined,
) => { found: Map<string, Map<string, string>>; leftOut: Record<string, number>; rounded: number };
const sourceOf = script.sourceOf as (found: Map<string, Map<string, string>>, date: string) => string;

const known = (name: string): string | undefined =>
  ['openai', 'anthropic'].includes(name) ? name : undefined;

function lines(facts: string) {
  const { found, leftOut, rounded } = importPrices(parseExact(facts), known);
  return { lines: [...found.values()].flatMap((models) => [...models.values()]), leftOut, rounded };
}

describe('prices in a file', () => {
  it('are read digit for digit', () => {
    expect(parseExact('{"a": 1.10, "b": [5E-8, -2], "c": "1 \\"2\\" 3"}')).toEqual({
      a: '1.10',
      b: ['5E-8', '-2'],
      c: '1 "2" 3',
    });
  });

  it.each([
    ['0.00000125', 1_250_000n, false],
    ['2.8E-8', 28_000n, false],
    ['3.0001999999999996E-7', 300_020n, true],
    ['0', 0n, false],
    ['12', 12_000_000_000_000n, false],
  ])('%s USD is %s pico-USD', (text, value, rounded) => expect(scaled(text, 12)).toEqual({ value, rounded }));

  it('become a line each, with tiers and what providers publish beside their tables', () => {
    const { lines: read } = lines(`{
      "gpt-x": { "litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
        "input_cost_per_token_flex": 5e-7, "output_cost_per_token_flex": 1e-6,
        "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_reasoning_token": 2e-6,
        "regional_processing_uplift_multiplier_eu": 1.1 },
      "claude-x": { "litellm_provider": "anthropic", "input_cost_per_token": 4e-6, "output_cost_per_token": 2e-5,
        "cache_creation_input_token_cost": 5e-6 } }`);
    expect(read).toEqual([
      'gpt-x|i1000000 o2000000|>200000:i2000000|batch:i500000 o1000000|flex:i500000 o1000000|@eu:11000',
      'claude-x|i4000000 w5000000 h8000000 o20000000|batch:i2000000 w2500000 h4000000 o10000000',
    ]);
  });

  it('are left out where they are gaps or slips', () => {
    const { lines: read, leftOut } = lines(`{
      "sample_spec": {},
      "a": { "litellm_provider": "nobody", "input_cost_per_token": 1, "output_cost_per_token": 1 },
      "b": { "litellm_provider": "openai", "output_cost_per_image": 0.04 },
      "c": { "litellm_provider": "openai", "input_cost_per_token": 0.0, "output_cost_per_token": 0 },
      "d": { "litellm_provider": "openai", "input_cost_per_token": 0.1, "output_cost_per_token": 0.2 } }`);
    expect(read).toEqual([]);
    expect(Object.values(leftOut)).toEqual([1, 1, 1, 1]);
  });

  it('make a source with a version that follows its content', () => {
    const one = sourceOf(new Map([['openai', new Map([['m', 'm|i1 o1']])]]), '2026-06');
    const other = sourceOf(new Map([['openai', new Map([['m', 'm|i1 o2']])]]), '2026-06');
    const version = (source: string) => /BOOK_VERSION = '([^']+)'/.exec(source)?.[1];
    expect(version(one)).toMatch(/^2026-06-[0-9a-f]{8}$/);
    expect(version(one)).not.toBe(version(other));
  });
});

describe('the book', () => {
  it('is made of lines that can be read', () => {
    const all = Object.values(BOOK).flatMap((text) => text.trim().split('\n'));
    const group = String.raw`(i\d+ ?)?(r\d+ ?)?(w\d+ ?)?(h\d+ ?)?(a\d+ ?)?(m\d+ ?)?(o\d+ ?)?(t\d+ ?)?(b\d+ ?)?(n\d+ ?)?(q\d+)?`;
    const line = new RegExp(
      String.raw`^[^\s|]+\|${group}(\|((flex|priority|batch)?(>\d+)?):${group})*(\|@\w+:\d+)*$`,
    );
    expect(all.length).toBeGreaterThan(1_500);
    expect(all.filter((text) => !line.test(text))).toEqual([]);
  });
});
