import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/bridge/generated/snapshot.js';
import { parseConfig } from '../../src/config/load.js';
import type { Refusal } from '../../src/config/manager.js';
import { mintKey } from '../../src/governance/virtual-key.js';
import { activator } from '../../src/snapshot/activate.js';
import { surroundings } from '../config/surroundings.js';
import { MemoryStore } from '../governance/memory-store.js';

const NOW = 1_000;

class Harness {
  readonly store = new MemoryStore();
  readonly applied: Snapshot[] = [];
  readonly mirrorErrors: unknown[] = [];
  demoStarts = 0;
  readonly credentialCalls: string[] = [];
  fetchedSecret: string | null = null;
  refusal: Refusal | null = null;

  private readonly activate = activator({
    store: this.store,
    apply: (snapshot) => {
      if (this.refusal === null) this.applied.push(snapshot);
      return this.refusal;
    },
    demoBaseUrl: () => {
      this.demoStarts += 1;
      return 'http://127.0.0.1:9/v1';
    },
    storedKeys: async () => [],
    credentials: {
      prepare: (sources) => {
        this.credentialCalls.push(`prepare ${sources.length}`);
        return Promise.resolve();
      },
      secretOf: () => this.fetchedSecret,
      retain: (sources) => void this.credentialCalls.push(`retain ${sources.length}`),
    },
    now: () => NOW,
    onMirrorError: (error) => this.mirrorErrors.push(error),
  });

  run(text: string, version = 1) {
    return this.activate(parseConfig(text, 'f.yaml', surroundings()).config!, version);
  }
}

const KEY = (name: string, digit: string): string => `{ name: ${name}, sha256: "${digit.repeat(64)}" }`;

describe('activation', () => {
  it('hands over a snapshot with the stored keys and answers what is served', async () => {
    const harness = new Harness();
    await harness.store.insertKey(mintKey({ name: 'app' }, Buffer.alloc, NOW).row);
    const activation = await harness.run('', 3);
    expect(activation).toMatchObject({
      ok: true,
      providers: [{ name: 'demo' }],
      models: [{ name: 'demo/*' }, { name: '*' }, { name: 'demo' }],
    });
    expect(harness.applied).toMatchObject([
      { version: 3, providers: [{ base_url: 'http://127.0.0.1:9/v1' }], keys: [{ id: 1, models: ['*'] }] },
    ]);
  });

  it('starts the demo provider only where it is used', async () => {
    const harness = new Harness();
    await harness.run('providers: { ollama: }');
    expect(harness.demoStarts).toBe(0);
    await harness.run('providers: { ollama: , demo: }', 2);
    expect(harness.demoStarts).toBe(1);
  });

  it('mirrors the keys of the file once they serve, and only when they differ', async () => {
    const harness = new Harness();
    await harness.run(`keys: [${KEY('a', 'a')}]`);
    await harness.run(`keys: [${KEY('a', 'a')}]`, 2);
    expect(harness.store.mirrored).toBe(1);
    await harness.run(`keys: [${KEY('b', 'b')}]`, 3);
    expect(harness.store.mirrored).toBe(2);
    const rows = await harness.store.listKeys();
    expect(rows.map(({ name, source, revokedAt }) => [name, source, revokedAt])).toEqual([
      ['a', 'config', NOW],
      ['b', 'config', null],
    ]);
  });

  it('leaves the store as it is when the data plane refuses', async () => {
    const harness = new Harness();
    harness.refusal = { path: ['models', 'x'], code: 'bad', message: 'no' };
    expect(await harness.run(`keys: [${KEY('a', 'a')}]`)).toEqual({ ok: false, problems: [harness.refusal] });
    expect(harness.store.mirrored).toBe(0);
    expect(await harness.store.listKeys()).toEqual([]);
  });

  it('refuses a key of the file under the name of a live one of the store', async () => {
    const harness = new Harness();
    const { id } = await harness.store.insertKey(mintKey({ name: 'app' }, Buffer.alloc, NOW).row);
    const refused = await harness.run(`keys: [${KEY('x', 'a')}, ${KEY('app', 'b')}]`);
    expect(refused).toMatchObject({
      ok: false,
      problems: [{ path: ['keys', 1, 'name'], code: 'duplicate_name' }],
    });
    expect(harness.applied).toEqual([]);
    await harness.store.updateKey(id, { revokedAt: NOW });
    expect(await harness.run(`keys: [${KEY('app', 'b')}]`)).toMatchObject({ ok: true });
  });

  it('serves although the keys of the file could not be stored', async () => {
    const harness = new Harness();
    harness.store.mirrorConfigKeys = () => Promise.reject(new Error('disk full'));
    expect(await harness.run(`keys: [${KEY('a', 'a')}]`)).toMatchObject({ ok: true });
    expect(harness.mirrorErrors).toHaveLength(1);
  });

  const ENTRA =
    'providers: { azure: { account: a, entra: { tenant_id: t, client_id: c, client_secret: s-s-s } }, ollama: }';

  it('serves with a fetched credential, and without one that has not come', async () => {
    const harness = new Harness();
    await harness.run(ENTRA);
    harness.fetchedSecret = 'token-1';
    await harness.run(ENTRA, 2);
    const secrets = harness.applied.map(({ providers }) => providers[0]?.keys[0]?.secret);
    expect(secrets).toEqual([expect.stringContaining('not-fetched-yet'), 'token-1']);
    expect(harness.credentialCalls).toEqual(['prepare 1', 'retain 1', 'prepare 1', 'retain 1']);
  });

  it('keeps the credentials of the configuration before when one is refused', async () => {
    const harness = new Harness();
    harness.refusal = { path: [], code: 'x', message: 'no' };
    await harness.run(ENTRA);
    expect(harness.credentialCalls).toEqual(['prepare 1']);
  });
});
