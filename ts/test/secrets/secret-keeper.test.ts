import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditDraft } from '../../src/governance/audit.js';
import { MasterKey, Vault } from '../../src/governance/envelope.js';
import { SecretKeeper } from '../../src/secrets/index.js';
import { openStore, type Store } from '../../src/store/index.js';

const CANARY = 'sk-canary-of-the-vault-0123456789';

const draft: AuditDraft = {
  at: 1,
  actorKind: 'cli',
  actorId: '1',
  actorName: 'me',
  actorRole: 'owner',
  address: null,
  requestId: null,
  action: 'test',
  object: 'test',
  objectId: '1',
  before: null,
  after: null,
  outcome: 'done',
};

let dataDir = '';
let store: Store;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-secrets-'));
  store = await openStore(dataDir);
});

afterEach(async () => {
  await store.close();
  rmSync(dataDir, { recursive: true });
});

type Keys = { masterKey: MasterKey | null; previous: MasterKey[] };

const master = (byte: number): MasterKey => new MasterKey(Buffer.alloc(32, byte));
const UNCONFIGURED: Keys = { masterKey: null, previous: [] };

function keeper(secrets: Keys = UNCONFIGURED, files: string[] = []): SecretKeeper {
  const source = () => ({ dataDir, secrets });
  return new SecretKeeper({
    store: store.providerKeys,
    source,
    random: randomBytes,
    onNewFile: (path) => files.push(path),
  });
}

async function keep(by: SecretKeeper, name = 'main'): Promise<number> {
  const key = { provider: 'openai', name, weight: 1, hint: '', createdAt: 1, rotatedAt: null };
  const seal = (id: number) => by.seal(CANARY, { id, provider: 'openai' });
  return (await store.providerKeys.insertProviderKey(key, seal, () => draft)).id;
}

const opened = (secrets: Keys = UNCONFIGURED) => keeper(secrets).openAll({ dataDir, secrets });

describe('check 75: secrets at rest', () => {
  it('are opened with the master key they were sealed with', async () => {
    const keys = { masterKey: master(1), previous: [] };
    await keep(keeper(keys));
    expect(await opened(keys)).toEqual([{ provider: 'openai', name: 'main', weight: 1, secret: CANARY }]);
  });

  it('a wrong master key fails loudly, and names the one wanted and the one found', async () => {
    await keep(keeper({ masterKey: master(1), previous: [] }));
    const wrong = { masterKey: master(2), previous: [] };
    await expect(opened(wrong)).rejects.toThrow(
      `sealed with the master key ${master(1).fingerprint}, found ${master(2).fingerprint}`,
    );
    await expect(opened()).rejects.toThrow('found none');
  });

  it('are wrapped anew by a rotation, and the old key is then not needed', async () => {
    await keep(keeper({ masterKey: master(1), previous: [] }));
    const both = { masterKey: master(2), previous: [master(1)] };
    expect(await keeper(both).state()).toEqual({
      masterKey: master(2).fingerprint,
      origin: 'config',
      sealed: 1,
      outdated: 1,
    });
    const [before] = await store.providerKeys.listProviderKeys();
    expect(await keeper(both).rotate(() => draft)).toEqual({ masterKey: master(2).fingerprint, sealed: 1 });
    const [after] = await store.providerKeys.listProviderKeys();
    expect(after?.sealed.box).toBe(before?.sealed.box);
    expect(after?.sealed.wrappedKey).not.toBe(before?.sealed.wrappedKey);
    expect(await opened({ masterKey: master(2), previous: [] })).toMatchObject([{ secret: CANARY }]);
    await expect(opened({ masterKey: master(1), previous: [] })).rejects.toThrow('found');
  });

  it('a rotation without the old key changes nothing', async () => {
    await keep(keeper({ masterKey: master(1), previous: [] }));
    await expect(keeper({ masterKey: master(2), previous: [] }).rotate(() => draft)).rejects.toThrow(
      'sealed with',
    );
    expect(await opened({ masterKey: master(1), previous: [] })).toHaveLength(1);
  });

  it('a dump of the database shows none', async () => {
    await keep(keeper());
    await store.close();
    for (const name of ['sluice.db', 'sluice.db-wal']) {
      try {
        expect(readFileSync(join(dataDir, name)).includes(CANARY)).toBe(false);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('ENOENT');
      }
    }
    store = await openStore(dataDir);
  });

  it('do not open in another row', async () => {
    const keys = { masterKey: master(1), previous: [] };
    const first = await keep(keeper(keys), 'first');
    const second = await keep(keeper(keys), 'second');
    const { sealed } = (await store.providerKeys.findProviderKey(first))!;
    await store.providerKeys.updateProviderKey(second, { sealed }, () => draft);
    await expect(opened(keys)).rejects.toThrow(
      'the stored key "second" of the provider openai does not open',
    );
  });
});

describe('check 76: the file of the master key', () => {
  it('is made at first need, for its owner only, and told of', async () => {
    const files: string[] = [];
    const path = join(dataDir, 'master.key');
    expect(await keeper().state()).toEqual({ masterKey: null, origin: null, sealed: 0, outdated: 0 });
    await keep(keeper(UNCONFIGURED, files));
    await keep(keeper(UNCONFIGURED, files), 'second');
    expect(files).toEqual([path]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await opened()).toHaveLength(2);
  });

  it('is replaced by a rotation', async () => {
    await keep(keeper());
    const path = join(dataDir, 'master.key');
    const before = readFileSync(path, 'utf8');
    await keeper().rotate(() => draft);
    const after = readFileSync(path, 'utf8');
    expect(after).not.toBe(before);
    expect(after.trimEnd().split('\n')).toHaveLength(1);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await opened()).toMatchObject([{ secret: CANARY }]);
  });

  it('has both keys while a rotation that fails is behind it', async () => {
    await keep(keeper());
    const failing = () => {
      throw new Error('disk full');
    };
    await expect(keeper().rotate(failing)).rejects.toThrow('disk full');
    expect(await opened()).toMatchObject([{ secret: CANARY }]);
  });

  it('is not used when others can read it', async () => {
    await keep(keeper());
    chmodSync(join(dataDir, 'master.key'), 0o640);
    await expect(opened()).rejects.toThrow(/mode 0640.*chmod 600/);
  });

  it.each(['', 'nonsense', `${'A'.repeat(43)}=\nnonsense`])('is not used when it holds %j', async (text) => {
    await keep(keeper());
    writeFileSync(join(dataDir, 'master.key'), text);
    await expect(opened()).rejects.toThrow('is not a master key');
  });
});

describe('check 77: a master key', () => {
  it('prints as ***', () => {
    const key = master(7);
    const texts = [String(key), JSON.stringify({ key }), inspect(key), inspect({ nested: [key] })];
    for (const text of texts) {
      expect(text).toContain('***');
      expect(text).not.toContain('0707');
    }
  });

  it.each([
    ['hexadecimal', '07'.repeat(32)],
    ['base64', Buffer.alloc(32, 7).toString('base64')],
    ['base64url', Buffer.alloc(32, 7).toString('base64url')],
    ['with space around it', ` ${'07'.repeat(32)}\n`],
  ])('is read from %s', (_, text) => {
    expect(MasterKey.parse(text)?.fingerprint).toBe(master(7).fingerprint);
  });

  it.each(['', '07'.repeat(31), '07'.repeat(33), 'x'.repeat(64), 'password'])(
    'is not read from %j',
    (text) => {
      expect(MasterKey.parse(text)).toBeNull();
    },
  );
});

describe('a sealed text', () => {
  it('does not open when any of its bytes is another', () => {
    const vault = new Vault([master(1)], randomBytes);
    const sealed = vault.seal(CANARY, 'a');
    expect(vault.open(sealed, 'a')).toBe(CANARY);
    expect(() => vault.open(sealed, 'b')).toThrow();
    for (const part of ['box', 'wrappedKey'] as const) {
      const bytes = Buffer.from(sealed[part], 'base64');
      for (let at = 0; at < bytes.length; at += 1) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 1;
        expect(
          () => vault.open({ ...sealed, [part]: changed.toString('base64') }, 'a'),
          `${part} ${at}`,
        ).toThrow();
      }
    }
  });

  it('is another every time', () => {
    const vault = new Vault([master(1)], randomBytes);
    expect(vault.seal(CANARY, 'a').box).not.toBe(vault.seal(CANARY, 'a').box);
  });
});
