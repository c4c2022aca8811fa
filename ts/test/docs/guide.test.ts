import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { surroundings } from '../config/surroundings.js';

const guide = readFileSync(new URL('../../../docs/guide/getting-started.md', import.meta.url), 'utf8');
const examples = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

it('has an example of a configuration', () => {
  expect(examples.length).toBeGreaterThan(0);
});

it('the example of providers apart is a configuration without problems', () => {
  const page = readFileSync(new URL('../../../docs/guide/files-and-audio.md', import.meta.url), 'utf8');
  const text = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const names = ['OPENAI_KEY_SEARCH', 'OPENAI_KEY_SUPPORT', 'SLUICE_KEY_SEARCH', 'SLUICE_KEY_SUPPORT'];
  const variables = Object.fromEntries(
    names.map((name) => [name, `sk-${name.toLowerCase()}-0123456789abcdef`]),
  );
  const { config, problems } = parseConfig(text, null, surroundings(variables, {}));
  expect(problems).toEqual([]);
  expect(config?.keys.map(({ name }) => name)).toEqual(['search', 'support']);
});

it.each(examples)('the example %# is a configuration without problems', (text) => {
  const variables = { OPENAI_API_KEY: 'sk-example', BACKUP_KEY_1: 'first' };
  const files = { '/run/secrets/backup-key-2': 'second' };
  const { config, problems } = parseConfig(text, null, surroundings(variables, files));
  expect(problems).toEqual([]);
  expect(config?.models.map(({ name }) => name)).toEqual(['fast', 'smart', 'openai/*']);
});

it('the example of a store is a configuration without problems', () => {
  const page = readFileSync(new URL('../../../docs/guide/store.md', import.meta.url), 'utf8');
  const text = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const url = /DATABASE_URL='([^']+)'/.exec(page)?.[1] ?? '';
  const { config, problems } = parseConfig(text, null, surroundings({ DATABASE_URL: url }));
  expect(problems).toEqual([]);
  expect(config?.postgres).toMatchObject({ host: 'db.internal', database: 'sluice', user: 'sluice' });
});

it('the examples of budgets are configurations without problems', () => {
  const page = readFileSync(new URL('../../../docs/guide/budgets.md', import.meta.url), 'utf8');
  const texts = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
  const variables = { OPENAI_API_KEY: 'sk-example', ALICE_NIGHTLY_KEY: 'a'.repeat(40) };
  const rules = texts.map((text) => {
    const { config, problems } = parseConfig(text, null, surroundings(variables, {}));
    expect(problems).toEqual([]);
    return [...(config?.entities ?? []), ...(config?.models ?? [])].flatMap((one) => one.rules).length;
  });
  expect(rules).toEqual([5, 1]);
});
