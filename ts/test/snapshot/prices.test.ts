import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { LabelIds, labelsOf } from '../../src/snapshot/labels.js';
import { compilePrices, withFormer } from '../../src/snapshot/prices.js';
import { surroundings } from '../config/surroundings.js';

function configOf(text: string): Config {
  return parseConfig(text, 'sluice.yaml', surroundings({ OPENAI_API_KEY: 'k'.repeat(32) })).config!;
}

/** Input rates by label of the target; null for one without a price. */
function inputRates(text: string): Map<string, bigint | null> {
  const config = configOf(text);
  const names = labelsOf(config);
  const ids = new LabelIds(
    names,
    names.map((_, at) => at + 1),
  );
  const { byTarget } = compilePrices(config, ids);
  const targets = names.filter(({ kind }) => kind === 'target').map(({ name }) => name);
  return new Map(
    targets.map((name) => [
      name,
      byTarget.get(ids.id('target', name))?.price.standard[0].rates.input ?? null,
    ]),
  );
}

describe('prices by target', () => {
  it('are those of the model at the provider', () => {
    const rates = inputRates(
      '{ providers: { openai: }, models: { fast: openai/gpt-5-mini, odd: openai/gpt-odd } }',
    );
    expect([...rates]).toEqual([
      ['fast -> openai/gpt-5-mini', 250_000n],
      ['odd -> openai/gpt-odd', null],
    ]);
  });

  it('tell the models apart that a pattern stands for, and leave the others without a price', () => {
    const rates = inputRates('providers: { openai: }');
    expect(rates.get('openai/* -> openai/* (gpt-5)')).toBe(1_250_000n);
    expect(rates.get('gpt-* -> openai (gpt-5-mini)')).toBe(250_000n);
    expect(rates.get('openai/* -> openai/*')).toBeNull();
    expect(rates.get('* -> openai')).toBeNull();
  });

  it('take the name from a rule, and a rule for all models for names that nobody knows', () => {
    const rates = inputRates(`
      providers: { openai: , local: { base_url: "http://10.0.0.1/v1", auth: none } }
      models: { "o/*": openai/*, "l/*": local/* }
      prices:
        - { provider: openai, model: "ft:gpt-5:mine", input: 3, output: 4 }
        - { provider: local, input: 0, output: 0 }`);
    expect(rates.get('o/* -> openai/* (ft:gpt-5:mine)')).toBe(3_000_000n);
    expect(rates.get('l/* -> local/*')).toBe(0n);
  });

  it('outlive the configuration they came from, for requests that run', () => {
    const former = { version: 'a', byTarget: new Map([[1, null]]) };
    expect(withFormer({ version: 'b', byTarget: new Map([[2, null]]) }, former)).toEqual({
      version: 'b',
      byTarget: new Map([
        [1, null],
        [2, null],
      ]),
    });
  });
});
