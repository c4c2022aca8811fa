import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exceeding, intersect, MAX_INTERSECTION, type AllowList } from '../../src/governance/allow-list.js';
import { allows } from '../../src/governance/name-pattern.js';

const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 });
const pattern = fc.oneof(
  letters.filter((text) => text !== ''),
  fc.tuple(letters, letters).map(([head, tail]) => `${head}*${tail}`),
);
const allowList: fc.Arbitrary<AllowList> = fc.option(fc.array(pattern, { maxLength: 4 }));

describe('intersect', () => {
  it('allows exactly the names that both lists allow', () => {
    fc.assert(
      fc.property(
        allowList,
        allowList,
        fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 9 }),
        (a, b, name) => {
          const both = (a === null || allows(a, name)) && (b === null || allows(b, name));
          const list = intersect(a, b);
          expect(list === null || allows(list, name)).toBe(both);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it.each<[AllowList, AllowList, AllowList]>([
    [null, null, null],
    [null, ['a'], ['a']],
    [['*'], ['gpt-*'], ['gpt-*']],
    [['gpt-*'], null, ['gpt-*']],
    [[], ['*'], []],
    [['gpt-*', 'claude-*'], ['gpt-4o', 'o3'], ['gpt-4o']],
    [['gpt-*'], ['*-mini'], ['gpt-*-mini', 'gpt-mini']],
  ])('of %j and %j is %j', (a, b, both) => {
    expect(intersect(a, b)).toEqual(both);
  });

  it('is bounded', () => {
    const heads = Array.from({ length: 200 }, (_, at) => `${at}x*`);
    const tails = Array.from({ length: 200 }, (_, at) => `*y${at}`);
    expect(() => intersect(heads, tails)).toThrow(`more than ${MAX_INTERSECTION} entries`);
  });
});

describe('exceeding', () => {
  it.each<[string[], AllowList, string[]]>([
    [['anything', '*'], null, []],
    [['gpt-4o', 'gpt-4*'], ['gpt-*'], []],
    [['gpt-*', 'o3', '*'], ['gpt-*'], ['o3', '*']],
    [['a*'], ['a'], ['a*']],
    [['a'], [], ['a']],
  ])('of %j beyond %j is %j', (inner, outer, beyond) => {
    expect(exceeding(inner, outer)).toEqual(beyond);
  });
});
