/**
 * The messages about broken configurations, frozen: `messages.txt` holds one case after another as
 *
 *     === title
 *     the file
 *     >>>
 *     the messages
 *
 * Running with UPDATE_CASES=1 writes what is said now; read the difference before committing it.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { formatProblem } from '../../src/config/problems.js';
import { CERTIFICATES } from './certificates.js';
import { surroundings, type FileTable } from './surroundings.js';

const CASES_FILE = fileURLToPath(new URL('messages.txt', import.meta.url));
const UPDATE = process.env['UPDATE_CASES'] === '1';

/** Written wherever a credential belongs; no message may repeat it. */
const CANARY = 'sk-canary-0123456789abcdefABCDEF';

const VARIABLES = { CANARY, SHORT: 'x', EMPTY: ' ', NUMBER: '4', OPENAI_API_KEY: CANARY };

const FILES: FileTable = {
  '/etc/sluice/secret': `${CANARY}\n`,
  '/etc/sluice/open': { text: CANARY, mode: 0o644 },
  '/etc/sluice/empty': '\n',
  '/etc/sluice/google-empty': '{"type":"service_account"}',
  '/etc/sluice/google-other': '{"type":"external_account"}',
  '/etc/sluice/two-lines': 'first-line-of-secret\nsecond',
  '/etc/sluice/server.pem': CERTIFICATES.certificate,
  '/etc/sluice/server.key': CERTIFICATES.key,
  '/etc/sluice/other.key': CERTIFICATES.otherKey,
  '/etc/sluice/expired.pem': CERTIFICATES.expired,
  '/etc/sluice/expired.key': CERTIFICATES.expiredKey,
};

interface Case {
  readonly title: string;
  readonly text: string;
  readonly messages: string;
}

const cases = readFileSync(CASES_FILE, 'utf8')
  .split(/^=== /m)
  .slice(1)
  .map((block): Case => {
    const [title = '', ...rest] = block.split('\n');
    const [text = '', messages = ''] = rest.join('\n').split(/^>>>\n/m);
    return { title, text, messages: messages.trimEnd() };
  });

function messagesFor(text: string): string {
  const { problems } = parseConfig(text, '/etc/sluice/sluice.yaml', surroundings(VARIABLES, FILES));
  return problems.map((problem) => formatProblem(problem).replace('/etc/sluice/', '')).join('\n');
}

describe('messages', () => {
  const said = new Map<string, string>();

  it.each(cases)('$title', ({ title, text, messages }) => {
    const now = messagesFor(text);
    said.set(title, now);
    expect(now).not.toContain(CANARY);
    if (!UPDATE) expect(now).toBe(messages);
  });

  it('check 76: tell of a file of secrets that others can read', () => {
    expect([...said.values()].join('\n')).toContain('found mode 0644 on the file file:open');
  });

  it('has no two cases of one title', () => {
    expect(new Set(cases.map(({ title }) => title)).size).toBe(cases.length);
  });

  afterAll(() => {
    if (!UPDATE) return;
    const blocks = cases.map(({ title, text }) => `=== ${title}\n${text}>>>\n${said.get(title) ?? ''}\n`);
    writeFileSync(CASES_FILE, blocks.join('\n'));
  });
});
