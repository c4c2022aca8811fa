import { expect, it } from 'vitest';
import { ConfigChangeLog } from '../../src/config/change-log.js';
import { parseConfig } from '../../src/config/load.js';
import type { AuditDraft, AuditEntry } from '../../src/governance/audit.js';
import { surroundings } from './surroundings.js';

const SECRET = 'sk-canary-of-the-file-0123456789';

function configured(text: string) {
  return parseConfig(text, null, surroundings({}, {})).config!;
}

it('check 72: a changed configuration file is in the audit log, part by part, without what it says', async () => {
  const facts = new Map<string, string>();
  const drafts: AuditDraft[] = [];
  const append = async (draft: AuditDraft) => {
    drafts.push(draft);
    return draft as AuditEntry;
  };
  const store = {
    audit: { append },
    fact: async (name: string) => facts.get(name) ?? null,
    setFact: async (name: string, value: string) => void facts.set(name, value),
  };
  const log = new ConfigChangeLog(store, 'sluice.yaml', () => 1);
  const applied = async (text: string) => {
    drafts.length = 0;
    await log.applied(configured(text));
    return drafts.map(({ action, object, objectId, before, after }) => [
      action,
      `${object} ${objectId}`,
      `${before === null ? '' : 'was '}${after === null ? '' : 'is'}`,
    ]);
  };
  const openai = (key: string) => `providers: { openai: { key: ${key} } }\n`;
  const keys = `keys: [{ name: app, secret: ${SECRET} }]\n`;

  const first = await applied(openai(SECRET));
  expect(first).toContainEqual(['firstStart', 'config_provider openai', 'is']);
  expect(await applied(openai(SECRET))).toEqual([]);
  expect(await applied(openai(`${SECRET}x`))).toEqual([
    ['applyConfigFile', 'config_provider openai', 'was is'],
  ]);
  expect(await applied(openai(`${SECRET}x`) + keys)).toEqual([['applyConfigFile', 'config_key app', 'is']]);
  expect(await applied(openai(`${SECRET}x`))).toEqual([['applyConfigFile', 'config_key app', 'was ']]);
  expect(await applied(`${openai(`${SECRET}x`)}settings: { log_level: warn }\n`)).toMatchObject([
    ['applyConfigFile', expect.stringContaining('config_settings'), 'was is'],
  ]);
  expect(JSON.stringify([drafts, ...facts])).not.toContain(SECRET);
});
