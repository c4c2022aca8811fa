import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { isNamePattern } from '../../src/governance/name-pattern.js';
import { CATALOGUE, catalogueRow, findProviders, keyVariable } from '../../src/providers/catalogue.js';
import { surroundings } from '../config/surroundings.js';

describe('the catalogue', () => {
  it('has every name, address, variable and family once', () => {
    for (const values of [
      CATALOGUE.map(({ name }) => name),
      CATALOGUE.map(({ baseUrl }) => baseUrl),
      CATALOGUE.flatMap(({ env }) => env),
      CATALOGUE.flatMap(({ families }) => families),
    ]) {
      expect(new Set(values).size).toBe(values.length);
    }
  });

  it.each(CATALOGUE)('$name can be configured with nothing but its name', ({ name, env, baseUrl, auth }) => {
    const variables = env[0] === undefined ? {} : { [env[0]]: 'key' };
    const { config, problems } = parseConfig(`providers: { ${name}: }`, 'f.yaml', surroundings(variables));
    expect(problems).toEqual([]);
    expect(config?.providers[0]).toMatchObject({
      name,
      baseUrl,
      keys: auth === 'none' ? [] : [{ secret: 'key' }],
    });
  });

  it.each(CATALOGUE)('$name is reached over TLS wherever a key is sent', ({ baseUrl, auth, families }) => {
    if (auth !== 'none') expect(baseUrl).toMatch(/^https:\/\/[a-z0-9.-]+(\/[a-z0-9/._-]+)?$/);
    expect(baseUrl.endsWith('/')).toBe(false);
    expect(families.every(isNamePattern)).toBe(true);
  });
});

describe('findProviders', () => {
  it('takes the first variable that holds something', () => {
    const row = catalogueRow('together')!;
    expect(row.env).toEqual(['TOGETHER_API_KEY', 'TOGETHERAI_API_KEY']);
    expect(keyVariable(row, { TOGETHER_API_KEY: '  ', TOGETHERAI_API_KEY: 'k' })).toBe('TOGETHERAI_API_KEY');
    expect(keyVariable(row, { TOGETHER_API_KEY: 'a', TOGETHERAI_API_KEY: 'k' })).toBe('TOGETHER_API_KEY');
    expect(keyVariable(row, {})).toBeUndefined();
  });

  it('finds nothing in an empty environment, and never a server that needs no key', () => {
    expect(findProviders({})).toEqual([]);
    expect(findProviders({ OLLAMA_API_KEY: 'x', undefined: 'x' })).toEqual([]);
  });
});
