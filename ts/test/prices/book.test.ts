import { describe, expect, it } from 'vitest';
import {
  appliedPrice,
  builtInPrice,
  pricesVersion,
  readPrice,
  type PriceRule,
} from '../../src/prices/index.js';

const openai = { name: 'openai', dialect: 'openai' } as const;
const rule = (over: Partial<PriceRule>): PriceRule => ({
  provider: '*',
  model: '*',
  price: null,
  context: {},
  ...over,
});

describe('a line of the book', () => {
  it('fills in what is not given', () => {
    const { standard, services, regions, request } = readPrice('m|i4 w5 o8 q7|>100:i6|flex:i2 o3|@eu:11000');
    const low = standard[0].rates;
    expect(low).toEqual({
      input: 4n,
      cachedInput: 4n,
      cacheWrite: 5n,
      cacheWrite1h: 5n,
      audioInput: 4n,
      imageInput: 4n,
      output: 8n,
      reasoning: 8n,
      audioOutput: 8n,
      imageOutput: 8n,
    });
    expect(standard.map(({ aboveInputTokens }) => aboveInputTokens)).toEqual([0, 100]);
    expect(standard[1]?.rates).toMatchObject({ input: 6n, cachedInput: 6n, cacheWrite: 6n, output: 8n });
    expect(services.flex?.[0].rates).toMatchObject({
      input: 2n,
      cachedInput: 2n,
      cacheWrite: 5n,
      output: 3n,
    });
    expect(services.batch).toBeUndefined();
    expect([regions, request]).toEqual([{ eu: 11_000n }, 7n]);
  });

  it('asks the dearer of two where a service tier says nothing of a large prompt', () => {
    const { services } = readPrice('m|i4 o8|>100:i8 o10|flex:i2 o9');
    expect(
      services.flex?.map(({ aboveInputTokens, rates }) => [aboveInputTokens, rates.input, rates.output]),
    ).toEqual([
      [0, 2n, 9n],
      [100, 8n, 10n],
    ]);
  });
});

describe('a model is found', () => {
  it('by the name of the provider, by its address, and by a dialect that only one maker speaks', () => {
    const price = builtInPrice(openai, 'gpt-5');
    expect(price).not.toBeNull();
    expect(builtInPrice({ ...openai, name: 'eu', baseUrl: 'https://api.openai.com/v1' }, 'gpt-5')).toBe(
      price,
    );
    expect(builtInPrice({ ...openai, name: 'eu', baseUrl: 'http://10.0.0.1/v1' }, 'gpt-5')).toBeNull();
    expect(builtInPrice({ name: 'claude-eu', dialect: 'anthropic' }, 'claude-opus-4-5')).not.toBeNull();
  });

  it('on Bedrock with or without the regions it is asked in, the price of these first', () => {
    const bedrock = { name: 'bedrock', dialect: 'bedrock' } as const;
    const model = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
    const input = (name: string) => builtInPrice(bedrock, name)?.standard[0].rates.input;
    expect([input(model), input(`us.${model}`)]).toEqual([3_000_000n, 3_300_000n]);
    expect(input('jp.amazon.nova-pro-v1:0')).toBe(800_000n);
  });

  it('under its exact name only', () => {
    expect(builtInPrice(openai, 'gpt-5-of-my-own')).toBeNull();
    expect(builtInPrice({ name: 'demo', dialect: 'openai' }, 'demo')).toBeNull();
  });
});

describe('rules', () => {
  const price = readPrice('m|i1 o1');

  it('come before the book, the first that covers a model', () => {
    const rules = [rule({ model: 'gpt-*', price }), rule({ price: readPrice('m|i9 o9') })];
    expect(appliedPrice(openai, 'gpt-5', rules)?.price).toBe(price);
    expect(appliedPrice(openai, 'o3', rules)?.price.standard[0].rates.input).toBe(9n);
    expect(appliedPrice(openai, 'gpt-5', [rule({ provider: 'azure', price })])?.price).toBe(
      builtInPrice(openai, 'gpt-5'),
    );
  });

  it('may change the built-in price alone, and price nothing that has none', () => {
    const rules = [rule({ context: { factor: 9_000n, serviceTier: 'flex' } })];
    expect(appliedPrice(openai, 'gpt-5', rules)).toEqual({
      price: builtInPrice(openai, 'gpt-5'),
      context: { factor: 9_000n, serviceTier: 'flex' },
    });
    expect(appliedPrice(openai, 'unheard-of', rules)).toBeNull();
  });

  it('cover a model whose name is not known only where they cover every model', () => {
    expect(appliedPrice(openai, null, [rule({ model: 'gpt-*', price })])).toBeNull();
    expect(appliedPrice(openai, null, [rule({ price })])?.price).toBe(price);
  });

  it('know the region by the address', () => {
    const eu = { ...openai, baseUrl: 'https://eu.api.openai.com/v1' };
    expect(appliedPrice(eu, 'gpt-4o', [])?.context).toEqual({ region: 'eu' });
    expect(appliedPrice(openai, 'gpt-4o', [])?.context).toEqual({});
  });

  it('are a part of the version', () => {
    const versions = [[], [rule({ price })], [rule({ price: readPrice('m|i2 o1') })]].map(pricesVersion);
    expect(new Set(versions).size).toBe(3);
    expect(versions[1]).toMatch(/^\d{4}-\d\d-[0-9a-f]{8}\+[0-9a-f]{8}$/);
  });
});
