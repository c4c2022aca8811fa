/**
 * A PostgreSQL of the tests' own, in a temporary folder, on a socket and without any durability. It is started by the
 * first test file that wants it and shared by all of the run; `postgres-setup.ts` ends it.
 */
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';

/** Where Debian keeps the programs of each version. */
const DEBIAN_FOLDER = '/usr/lib/postgresql';

/** The only user; the server trusts every connection, which are all of this machine. */
export const SERVER_USER = 'sluice';

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const LOOPBACK = '127.0.0.1';

/** A server that runs. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** Folder with `initdb` and `pg_ctl`; null where PostgreSQL is not installed. */
export function postgresPrograms(): string | null {
  const versions = existsSync(DEBIAN_FOLDER) ? readdirSync(DEBIAN_FOLDER) : [];
  const newestFirst = versions.toSorted((a, b) => Number(b) - Number(a));
  const folders = [
    ...newestFirst.map((version) => join(DEBIAN_FOLDER, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return (
    folders.find((folder) => ['initdb', 'pg_ctl'].every((name) => existsSync(join(folder, name)))) ?? null
  );
}

/** A program of PostgreSQL, as a user it agrees to run as: it refuses root. */
export function runProgram(name: string, args: readonly string[], options: ExecFileSyncOptions = {}): void {
  const programs = postgresPrograms();
  if (programs === null) throw new Error('PostgreSQL is not installed');
  execFileSync(join(programs, name), args, { stdio: 'pipe', cwd: '/', ...serverUser(), ...options });
}

function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, unprivileged()], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

function unprivileged(): string {
  try {
    execFileSync('id', ['-u', 'postgres'], { stdio: 'pipe' });
    return 'postgres';
  } catch {
    return 'nobody';
  }
}

/** The server of this run, started if this is the first call in any process. */
export async function sharedServer(folder: string): Promise<Server> {
  const port = Number(process.env['SLUICE_TEST_POSTGRES_PORT']);
  const ready = join(folder, 'ready');
  try {
    mkdirSync(join(folder, 'starting'));
  } catch {
    await fileThere(ready);
    return { host: LOOPBACK, port };
  }
  startServer(folder, port);
  writeFileSync(ready, '');
  return { host: LOOPBACK, port };
}

/** Makes a cluster below `folder` and starts it. */
export function startServer(folder: string, port: number): void {
  const home = join(folder, 'server');
  mkdirSync(home, { recursive: true });
  const user = serverUser();
  if (user !== undefined) chownSync(home, user.uid, user.gid);
  const data = join(home, 'data');
  runProgram('initdb', [
    '-D',
    data,
    '-U',
    SERVER_USER,
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--no-locale',
    '--no-sync',
  ]);
  startAgain(folder, port);
}

/** Starts the cluster below `folder`. */
export function startAgain(folder: string, port: number): void {
  const home = join(folder, 'server');
  const settings = [`port=${port}`, `listen_addresses=${LOOPBACK}`, `unix_socket_directories=${home}`];
  const careless = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=100'];
  const options = [...settings, ...careless].map((setting) => `-c ${setting}`).join(' ');
  runProgram('pg_ctl', ['-D', join(home, 'data'), '-w', '-l', join(home, 'log'), '-o', options, 'start'], {
    stdio: 'ignore', // the server keeps its streams, and would hold a pipe open
  });
}

/** Ends a server that was started, and forgets its folder. */
export function stopServer(folder: string, mode: 'fast' | 'immediate' = 'immediate'): void {
  const data = join(folder, 'server', 'data');
  if (!existsSync(join(data, 'postmaster.pid'))) return;
  runProgram('pg_ctl', ['-D', data, '-w', '-m', mode, 'stop']);
}

/** A port that nobody has at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export function removeServer(folder: string): void {
  stopServer(folder);
  rmSync(folder, { recursive: true, force: true });
}

async function fileThere(path: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!existsSync(path)) {
    if (performance.now() > deadline) throw new Error('the PostgreSQL of the tests did not start');
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}
