import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/bridge/generated/snapshot.js';
import type { Config } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import type { LabelName } from '../../src/governance/ports.js';
import { BOOK } from '../../src/prices/data/book.js';
import { builtInPrice, pricedModels, readPrice } from '../../src/prices/index.js';
import { compileSnapshot } from '../../src/snapshot/compile.js';
import { LabelIds, labelsOf } from '../../src/snapshot/labels.js';
import { snapshotPrice } from '../../src/snapshot/prices.js';
import { surroundings } from '../config/surroundings.js';

function configOf(text: string): Config {
  return parseConfig(text, 'sluice.yaml', surroundings({ OPENAI_API_KEY: 'k'.repeat(32) })).config!;
}

function snapshotOf(text: string): { snapshot: Snapshot; names: readonly LabelName[] } {
  const config = configOf(text);
  const names = labelsOf(config);
  const ids = new LabelIds(
    names,
    names.map((_, at) => at + 1),
  );
  return { snapshot: compileSnapshot({ config, keys: [], ids, version: 1, demoBaseUrl: null }), names };
}

/** Input rates by label of the target; null for one without a price. */
function inputRates(text: string): Map<string, number | null> {
  const { snapshot, names } = snapshotOf(text);
  const targets = snapshot.models.flatMap((model) => model.targets);
  return new Map(
    targets.map(({ id, price }) => [names[id - 1]!.name, price?.standard[0]?.rates.input ?? null]),
  );
}

describe('prices by target', () => {
  it('are those of the model at the provider', () => {
    const rates = inputRates(
      '{ providers: { openai: }, models: { fast: openai/gpt-5-mini, odd: openai/gpt-odd } }',
    );
    expect([...rates]).toEqual([
      ['fast -> openai/gpt-5-mini', 250_000],
      ['odd -> openai/gpt-odd', null],
    ]);
  });

  it('tell the models apart that a pattern stands for, and leave the others without a price', () => {
    const rates = inputRates('providers: { openai: }');
    expect(rates.get('openai/* -> openai/* (gpt-5)')).toBe(1_250_000);
    expect(rates.get('gpt-* -> openai (gpt-5-mini)')).toBe(250_000);
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
    expect(rates.get('o/* -> openai/* (ft:gpt-5:mine)')).toBe(3_000_000);
    expect(rates.get('l/* -> local/*')).toBe(0);
  });

  it('have the version of the prices by a label', () => {
    const { snapshot, names } = snapshotOf('{ providers: { openai: }, prices: [{ input: 3, output: 4 }] }');
    const label = names[snapshot.prices! - 1];
    expect(label?.kind).toBe('prices');
    expect(label?.name).toMatch(/^\d{4}-.*\+[0-9a-f]{8}$/);
  });
});

describe('a price for the snapshot', () => {
  const price = readPrice('m|i1000000 o2000000|flex:i500000 o1000000|batch:i400000 o900000|@eu:11000');

  it('has region and factor in one', () => {
    expect(snapshotPrice({ price, context: {} }).factor).toBe(100_000_000);
    expect(snapshotPrice({ price, context: { region: 'eu', factor: 8_800n } }).factor).toBe(96_800_000);
    expect(snapshotPrice({ price, context: { region: 'us' } }).factor).toBe(100_000_000);
  });

  it('leaves service tiers without prices empty, where the standard ones hold', () => {
    const { standard, flex, priority } = snapshotPrice({ price, context: {} });
    expect([standard, flex].map((tiers) => tiers?.[0]?.rates.input)).toEqual([1_000_000, 500_000]);
    expect(priority).toEqual([]);
  });

  it('takes the service tier of a rule where the provider names none', () => {
    const { standard, flex, priority, batch } = snapshotPrice({ price, context: { serviceTier: 'flex' } });
    const inputs = [standard, flex, priority, batch].map((tiers) => tiers?.[0]?.rates.input);
    expect(inputs).toEqual([500_000, 500_000, 1_000_000, 400_000]);
    const unknown = snapshotPrice({ price, context: { serviceTier: 'priority' } });
    expect(unknown).toEqual(snapshotPrice({ price, context: {} }));
  });

  it('is exact as JSON for every price of the book, and refuses what would not be', () => {
    for (const name of Object.keys(BOOK)) {
      const provider = { name, dialect: 'openai' as const };
      for (const model of pricedModels(provider)) {
        const found = builtInPrice(provider, model)!;
        expect(snapshotPrice({ price: found, context: {} }).request).toBe(Number(found.request));
      }
    }
    const dearest = { ...price, request: 9_000n * 10n ** 12n };
    expect(BigInt(snapshotPrice({ price: dearest, context: {} }).request!)).toBe(dearest.request);
    const beyond = { ...price, request: 2n ** 53n };
    expect(() => snapshotPrice({ price: beyond, context: {} })).toThrow(/too high/);
  });
});
