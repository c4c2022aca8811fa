import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows, covers, isNamePattern, overlaps } from '../../src/governance/name-pattern.js';

describe('isNamePattern', () => {
  it.each([
    ['gpt-4o', true],
    ['gpt-*', true],
    ['*', true],
    ['accounts/x/models/y:z@1', true],
    ['', false],
    ['a b', false],
    ['a\tb', false],
    ['a\u0000b', false],
    ['a*b*c', false],
    ['x'.repeat(256), true],
    ['x'.repeat(257), false],
  ])('%j is %s', (text, accepted) => {
    expect(isNamePattern(text)).toBe(accepted);
  });
});

describe('covers', () => {
  it.each([
    ['gpt-4o', 'gpt-4o', true],
    ['gpt-4o', 'gpt-4o-mini', false],
    ['gpt-4o', 'GPT-4o', false],
    ['*', '', true],
    ['*', 'anything/at all', true],
    ['gpt-*', 'gpt-', true],
    ['gpt-*', 'gpt', false],
    ['*-mini', 'gpt-4o-mini', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['.*', 'x', false],
  ])('%s over %s: %s', (pattern, name, expected) => {
    expect(covers(pattern, name)).toBe(expected);
  });

  it('covers whatever stands where the star is', () => {
    const part = fc.string().filter((text) => !text.includes('*'));
    fc.assert(fc.property(part, part, fc.string(), (a, b, middle) => covers(`${a}*${b}`, a + middle + b)));
  });
});

describe('allows', () => {
  it.each([
    [[], 'gpt-4o', false],
    [['*'], 'gpt-4o', true],
    [['o1', 'gpt-*'], 'gpt-4o', true],
    [['o1', 'gpt-*'], 'o1-mini', false],
  ])('%j for %s: %s', (list, name, expected) => {
    expect(allows(list, name)).toBe(expected);
  });
});

describe('overlaps', () => {
  it.each([
    ['gpt-4o', 'gpt-4o', true],
    ['gpt-4o', 'gpt-*', true],
    ['gpt-*', '*', true],
    ['gpt-*', 'gpt-4*', true],
    ['gpt-*', 'o*', false],
    ['gpt-*', '*-mini', true],
    ['a*b', 'a*c', false],
    ['claude-*', 'gpt-4o', false],
  ])('%s and %s: %s, either way round', (a, b, expected) => {
    expect([overlaps(a, b), overlaps(b, a)]).toEqual([expected, expected]);
  });
});
