import { describe, expect, it } from 'vitest';
import { builtInPrice, costOf, formatUsd, type TokenUsage } from '../../src/prices/index.js';
import { CATALOGUE } from '../../src/providers/catalogue.js';
import { EXAMPLES } from './examples.js';

const NOTHING: TokenUsage = {
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  audioInputTokens: 0,
  imageInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  audioOutputTokens: 0,
  imageOutputTokens: 0,
};

/** The sum as it is written, in pico-USD, apart from the code that is tested: six digits after the point make it whole. */
function workedOut(sum: string): bigint {
  return sum.split(' + ').reduce((total, term) => {
    const [tokens = '', price = ''] = term.split(' × ');
    const [whole = '', fraction = ''] = price.split('.');
    return total + BigInt(tokens) * BigInt(whole + fraction.padEnd(6, '0'));
  }, 0n);
}

describe('hand-checked examples', () => {
  it('are sixty or more, over nine providers', () => {
    expect(EXAMPLES.length).toBeGreaterThanOrEqual(60);
    expect(new Set(EXAMPLES.map(({ provider }) => provider)).size).toBe(9);
  });

  it.each(EXAMPLES.map((example) => [`${example.provider} ${example.model}: ${example.title}`, example]))(
    '%s',
    (_, { provider: name, model, usage, context, sum, usd }) => {
      const { dialect } = CATALOGUE.find((row) => row.name === name)!;
      const price = builtInPrice({ name, dialect }, model)!;
      const cost = costOf({ ...NOTHING, ...usage }, price, context);
      expect(formatUsd(cost)).toBe(usd);
      expect(cost).toBe(workedOut(sum));
    },
  );
});
