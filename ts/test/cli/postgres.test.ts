/** Gateways and commands on one PostgreSQL. Everything is real but the data planes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdminError, asAdminError } from '../../src/admin/errors.js';
import { registerKeys } from '../../src/cli/keys.js';
import { processSurroundings } from '../../src/config/disk.js';
import { digestOf } from '../../src/governance/key-secret.js';
import { StoreUnavailable } from '../../src/governance/ports.js';
import { startGateway, type Gateway } from '../../src/main.js';
import type { PostgresPlace } from '../../src/store/postgres.js';
import { freshDatabase, HAS_POSTGRES } from '../store/engines.js';
import { freePort } from '../store/postgres-server.js';
import { FakeDataPlane } from './fake-data-plane.js';
import { runCommand } from './output.js';

const NOTICED = { timeout: 5_000, interval: 10 };
const PASSWORD = 'hunter2hunter2';

let directory = '';
let file = '';
let place: PostgresPlace;
const running: Gateway[] = [];

const urlOf = ({ user, host, port, database }: PostgresPlace) =>
  `postgres://${user}:${PASSWORD}@${host}:${port}/${database}`;

describe.runIf(HAS_POSTGRES)('on one PostgreSQL', () => {
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-cluster-'));
    file = join(directory, 'sluice.yaml');
    place = await freshDatabase();
    writeFileSync(
      file,
      'store: { postgres: { url: env:DATABASE_URL } }\ndata_dir: data\n' +
        'listeners: { admin: { address: "127.0.0.1:0" } }\ntimeouts: { drain_lag: 0, drain: 200ms }\n',
    );
    vi.stubEnv('DATABASE_URL', urlOf(place));
  });

  afterEach(async () => {
    for (const gateway of running.splice(0)) await gateway.drain();
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

  async function start(plane: FakeDataPlane, url = urlOf(place)): Promise<Gateway> {
    const variables = { DATABASE_URL: url, SLUICE_ADMIN_TOKEN: 'token-of-the-test-0123' };
    const surroundings = () => processSurroundings(variables);
    const log = { write: () => undefined };
    const gateway = await startGateway({ configFile: file, surroundings, version: '1', log }, plane.parts);
    running.push(gateway);
    return gateway;
  }

  const digests = (plane: FakeDataPlane) =>
    plane.snapshots.at(-1)?.keys.flatMap((key) => key.digests.map(({ sha256 }) => sha256)) ?? [];

  it('check 47: a key made by one gateway, or by the command line, is served by the others', async () => {
    const [one, other] = [new FakeDataPlane(), new FakeDataPlane()];
    const first = await start(one);
    const second = await start(other);
    expect(first.firstKeySecret).toMatch(/^sk-slc-/);
    expect(second.firstKeySecret).toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 600)); // the first looks tell what the store is like now

    const headers = { authorization: 'Bearer token-of-the-test-0123', 'content-type': 'application/json' };
    const body = JSON.stringify({ name: 'app' });
    const made = await fetch(`${first.adminUrl}/admin/v1/keys`, { method: 'POST', headers, body });
    const { secret } = (await made.json()) as { secret: string };
    expect(digests(one)).toContain(digestOf(secret));
    await vi.waitFor(() => expect(digests(other)).toContain(digestOf(secret)), NOTICED);

    const args = ['keys', 'create', '--name', 'cli', '--secret-only', '--config', file];
    const { code, out, err } = await runCommand(registerKeys, args);
    expect([code, err]).toEqual([0, '']);
    await vi.waitFor(() => {
      expect(digests(one)).toContain(digestOf(out.trim()));
      expect(digests(other)).toContain(digestOf(out.trim()));
    }, NOTICED);
    // They do not answer each other for ever.
    await vi.waitFor(
      async () => {
        const versions = [one.version, other.version];
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        expect([one.version, other.version]).toEqual(versions);
      },
      { timeout: 5_000 },
    );
  });

  it('a start without a server says where it looked, and never with what', { timeout: 30_000 }, async () => {
    const port = await freePort();
    const failed = start(new FakeDataPlane(), urlOf({ ...place, port }));
    const error = await failed.then(
      () => null,
      (thrown: unknown) => thrown as Error,
    );
    expect(error?.message).toBe(`PostgreSQL at 127.0.0.1:${port} cannot be reached: nobody listens there`);
    expect(`${error?.stack}`).not.toContain(PASSWORD);
  });

  it('the command line names the database, and goes nowhere else when it is not said', async () => {
    vi.stubEnv('DATABASE_URL', urlOf({ ...place, database: 'nowhere' }));
    const command = () => runCommand(registerKeys, ['keys', 'list', '--config', file]);
    const away = await command();
    expect(away.code).toBe(1);
    expect(away.err).toMatch(/PostgreSQL at 127\.0\.0\.1:\d+, database nowhere.*has no database "nowhere"/);
    vi.stubEnv('DATABASE_URL', '');
    const unsaid = await command();
    expect(unsaid.err).toMatch(/store\.postgres\.url: found env:DATABASE_URL, but .* is empty/);
    expect(unsaid.err + away.err).not.toContain(PASSWORD);
  });
});

it('check 135: what asks an absent store is answered 503, with the reason', () => {
  const answer = asAdminError(new StoreUnavailable('PostgreSQL at db:5432 is starting up', '57P03'));
  expect(answer).toBeInstanceOf(AdminError);
  expect([answer.status, answer.code]).toEqual([503, 'store_unavailable']);
  expect(answer.message).toMatch(/PostgreSQL at db:5432 is starting up$/);
});
