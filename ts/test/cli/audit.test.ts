/** `sluice audit` and `sluice secrets`, on a database without a gateway. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { registerAudit } from '../../src/cli/audit.js';
import { commandEntry } from '../../src/cli/audit-entry.js';
import type { Io } from '../../src/cli/io.js';
import { registerSecrets } from '../../src/cli/secrets.js';
import { SecretKeeper } from '../../src/secrets/index.js';
import { openStore } from '../../src/store/index.js';

let dataDir = '';

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-audit-'));
  vi.stubEnv('SLUICE_ADMIN_TOKEN', undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dataDir, { recursive: true });
});

async function run(...args: string[]): Promise<string> {
  const said: string[] = [];
  const io: Io = { out: (text) => said.push(text), err: (text) => said.push(text) };
  const program = new Command().exitOverride();
  registerAudit(program, io);
  registerSecrets(program, io);
  await program.parseAsync([...args, '--data-dir', dataDir], { from: 'user' });
  return said.join('\n');
}

const act = (id: number) => ({
  action: 'createKey',
  object: 'key',
  objectId: id,
  before: null,
  after: { id },
});

async function fill(): Promise<string> {
  const store = await openStore(dataDir);
  let hash = '';
  for (let id = 1; id <= 3; id += 1) ({ hash } = await store.audit.append(commandEntry(act(id), id)));
  await store.close();
  return hash;
}

/** What somebody with the file could do. */
function tamper(sql: string): void {
  const database = new Database(join(dataDir, 'sluice.db'));
  database.exec(sql);
  database.close();
}

describe('sluice audit verify', () => {
  it('says that the chain is whole, and knows digests of before', async () => {
    const head = await fill();
    expect(await run('audit', 'verify')).toBe(`whole: 3 entries, the newest is ${head}`);
    expect(JSON.parse(await run('audit', 'verify', '--json'))).toEqual({
      ok: true,
      entries: 3,
      head,
      broken: null,
    });
    await run('audit', 'verify', '--head', head);
  });

  it.each([
    [
      "update audit set after_state = '{}' where sequence = 2",
      /broken at entry 2: its content is not what was written/,
    ],
    ['delete from audit where sequence = 2', /broken at entry 3: entry 2 is missing/],
    ["update audit set actor_name = 'another' where sequence = 3", /broken at entry 3/],
  ])('prints the first broken link after %s', async (sql, message) => {
    await fill();
    tamper(sql);
    await expect(run('audit', 'verify')).rejects.toThrow(message);
  });

  it('shows by a digest kept elsewhere that the end was cut off', async () => {
    const head = await fill();
    tamper('delete from audit where sequence = 3');
    await run('audit', 'verify');
    await expect(run('audit', 'verify', '--head', head)).rejects.toThrow('the log was cut off');
  });
});

describe('sluice secrets rotate', () => {
  it('puts a fresh master key in the place of the file, and says so in the log', async () => {
    const store = await openStore(dataDir);
    const source = () => ({ dataDir, secrets: { masterKey: null, previous: [] } });
    const keeper = new SecretKeeper({
      store: store.providerKeys,
      source,
      random: randomBytes,
      onNewFile: () => {},
    });
    const key = { provider: 'openai', name: 'main', weight: 1, hint: '', createdAt: 1, rotatedAt: null };
    const seal = (id: number) => keeper.seal('sk-of-the-test', { id, provider: 'openai' });
    await store.providerKeys.insertProviderKey(key, seal, () => commandEntry(act(1), 1));
    const before = readFileSync(join(dataDir, 'master.key'), 'utf8');
    expect(await run('secrets', 'rotate')).toMatch(/^sealed 1 secrets with the master key [0-9a-f]{16}$/);
    expect(readFileSync(join(dataDir, 'master.key'), 'utf8')).not.toBe(before);
    expect(await keeper.openAll(source())).toMatchObject([{ secret: 'sk-of-the-test' }]);
    expect(await store.audit.listAudit({}, 1)).toMatchObject([{ action: 'rotateSecrets', actorKind: 'cli' }]);
    await store.close();
  });
});
