import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { formatProblem } from '../../src/config/problems.js';
import { costOf, type PriceRule } from '../../src/prices/index.js';
import { surroundings } from './surroundings.js';

const PROVIDERS = 'providers: { local: { base_url: "http://10.0.0.1/v1", auth: none } }\n';

function read(prices: string) {
  return parseConfig(`${PROVIDERS}${prices}`, 'sluice.yaml', surroundings());
}

function rules(prices: string): readonly PriceRule[] {
  const { config, problems } = read(prices);
  expect(problems).toEqual([]);
  return config!.prices;
}

function problemsOf(prices: string): string[] {
  return read(prices).problems.map((problem) => formatProblem(problem));
}

describe('prices', () => {
  it('are read exactly, from numbers and from texts', () => {
    const [one] = rules(`
prices:
  - provider: local
    model: llama-*
    input: 0.075
    cached_input: "0.0375"
    output: 0.3
    request: "0.000001"
    above: [{ input_tokens: 1000, input: 0.15 }]
    factor: 1.1
`);
    expect(one).toMatchObject({ provider: 'local', model: 'llama-*', context: { factor: 11_000n } });
    const price = one!.price!;
    expect(price.request).toBe(1_000_000n);
    expect(price.standard.map(({ rates }) => [rates.input, rates.cachedInput, rates.output])).toEqual([
      [75_000n, 37_500n, 300_000n],
      [150_000n, 37_500n, 300_000n],
    ]);
    const usage = {
      inputTokens: 10,
      cachedInputTokens: 4,
      cacheWriteTokens: 0,
      cacheWrite1hTokens: 0,
      audioInputTokens: 0,
      imageInputTokens: 0,
      outputTokens: 2,
      reasoningTokens: 0,
      audioOutputTokens: 0,
      imageOutputTokens: 0,
    };
    // (6 × 75,000 + 4 × 37,500 + 2 × 300,000 + 1,000,000) × 1.1
    expect(costOf(usage, price, one!.context)).toBe(2_420_000n);
  });

  it('of nothing are a price too', () => {
    const [one] = rules('prices: [{ provider: local, input: 0, output: 0 }]');
    expect(one?.price?.standard[0].rates.input).toBe(0n);
  });

  it('may change the built-in ones', () => {
    expect(rules('prices: [{ model: gpt-*, service_tier: flex }]')).toEqual([
      { provider: '*', model: 'gpt-*', price: null, context: { serviceTier: 'flex' } },
    ]);
  });

  it.each([
    [
      'prices: [{ input: 1 }]',
      'sluice.yaml:2:10: error: prices[0].output: found nothing, expected USD per million tokens, from 0 to 10000 with at most 6 digits after the point, such as 0.075: a price needs input and output',
    ],
    [
      'prices:\n  - { input: 1.0000001, output: 2 }',
      'sluice.yaml:3:14: error: prices[0].input: found 1.0000001, expected USD per million tokens, from 0 to 10000 with at most 6 digits after the point, such as 0.075',
    ],
    [
      'prices: [{ input: "1,5", output: 2 }]',
      'sluice.yaml:2:19: error: prices[0].input: found "1,5", expected USD per million tokens, from 0 to 10000 with at most 6 digits after the point, such as 0.075',
    ],
    [
      'prices: [{ input: -1, output: 2 }]',
      'sluice.yaml:2:19: error: prices[0].input: found -1, expected USD per million tokens, from 0 to 10000 with at most 6 digits after the point, such as 0.075',
    ],
    [
      'prices: [{ model: a }]',
      'sluice.yaml:2:10: error: prices[0]: found neither a price nor a change of one, expected input and output, factor or service_tier',
    ],
    [
      'prices: [{ provider: locl, factor: 2 }]',
      'sluice.yaml:2:22: error: prices[0].provider: found the provider "locl", expected local; did you mean local?',
    ],
    [
      'prices: [{ input: 1, output: 1, above: [{ input_tokens: 9, input: 2 }, { input_tokens: 9, input: 3 }] }]',
      'sluice.yaml:2:88: error: prices[0].above[1].input_tokens: found 9 after a tier that is not below it, expected ascending sizes',
    ],
    [
      'prices: [{ factor: 0.00001 }]',
      'sluice.yaml:2:20: error: prices[0].factor: found 0.00001, expected a factor from 0 to 100 with at most 4 digits after the point, such as 0.9',
    ],
    [
      'prices: { input: 1 }',
      'sluice.yaml:2:9: error: prices: found a mapping, expected a list of at least one price',
    ],
  ])('%s is refused, with its place', (text, message) => expect(problemsOf(text)[0]).toBe(message));
});
