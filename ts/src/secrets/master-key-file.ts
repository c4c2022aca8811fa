/**
 * The master key of an installation that configures none: a file in the data directory, made when the first secret is
 * stored. One key per line, the current one first; there are two only while a rotation runs, so that a process that ends
 * in the middle of it leaves every secret with its key.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MASTER_KEY_BYTES, MasterKey, UnusableSecret } from '../governance/envelope.js';
import type { RandomBytes } from '../governance/key-secret.js';

/** Name of the file. */
export const MASTER_KEY_FILE = 'master.key';

const FILE_MODE = 0o600;
const OTHERS = 0o077;

/** The file of a data directory. */
export class MasterKeyFile {
  readonly path: string;

  constructor(dataDir: string) {
    this.path = join(dataDir, MASTER_KEY_FILE);
  }

  /** The keys in it, the current one first; null where there is no file. */
  read(): MasterKey[] | null {
    const text = this.text();
    if (text === null) return null;
    const keys = text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => MasterKey.parse(line));
    const usable = keys.filter((key) => key !== null);
    if (usable.length > 0 && usable.length === keys.length) return usable;
    throw new UnusableSecret(`${this.path} is not a master key; restore it from its backup`);
  }

  /** Puts a fresh key before those there are, and answers all. */
  add(random: RandomBytes): MasterKey[] {
    const bytes = random(MASTER_KEY_BYTES);
    const before = this.text();
    const line = `${bytes.toString('base64')}\n`;
    if (before === null) this.create(line);
    else this.replace(line + before);
    return this.read() ?? [];
  }

  /** Leaves the current key alone. */
  keepCurrent(): void {
    const [current] = (this.text() ?? '').split('\n');
    if (current) this.replace(`${current}\n`);
  }

  private text(): string | null {
    try {
      const { mode } = statSync(this.path);
      if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
        const found = (mode & 0o777).toString(8).padStart(4, '0');
        throw new UnusableSecret(
          `${this.path} has mode ${found}, expected one that only its owner can read: chmod 600`,
        );
      }
      return readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Fails where another process has made one meanwhile. */
  private create(text: string): void {
    write(openSync(this.path, 'wx', FILE_MODE), text);
  }

  private replace(text: string): void {
    const fresh = `${this.path}.new`;
    write(openSync(fresh, 'w', FILE_MODE), text);
    renameSync(fresh, this.path);
  }
}

function write(file: number, text: string): void {
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
