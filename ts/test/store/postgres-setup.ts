/** Before and after a run of the tests: a place for the PostgreSQL that some of them share, and its end. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, removeServer } from './postgres-server.js';

export async function setup(): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-'));
  chmodSync(folder, 0o755); // the server runs as another user where the tests run as root
  process.env['SLUICE_TEST_POSTGRES_FOLDER'] = folder;
  process.env['SLUICE_TEST_POSTGRES_PORT'] = String(await freePort());
  return () => removeServer(folder);
}
