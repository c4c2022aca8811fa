import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FileWatcher } from '../../src/config/watch.js';

/** Longer than any machine needs to deliver an event, for waits that end early. */
const PATIENCE = { timeout: 5_000, interval: 5 };

/** Long enough for a change that must not be noticed to be noticed. */
const QUIET_MS = 150;

let directory = '';
let watcher: FileWatcher | null = null;
let changes = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-watch-'));
  changes = 0;
});

afterEach(() => {
  watcher?.stop();
  rmSync(directory, { recursive: true });
});

function at(...parts: string[]): string {
  return join(directory, ...parts);
}

/** Watches by events alone unless a poll interval is given. */
function watchFiles(files: () => readonly string[], pollMs = 3_600_000): void {
  const onChange = (): Promise<void> => {
    changes += 1;
    return Promise.resolve();
  };
  watcher = new FileWatcher({ files, onChange, gatherMs: 10, pollMs });
}

async function expectChanges(count: number): Promise<void> {
  await vi.waitFor(() => expect(changes).toBe(count), PATIENCE);
}

async function expectQuiet(count: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  expect(changes).toBe(count);
}

describe('a file', () => {
  it('is noticed when written in place', async () => {
    writeFileSync(at('a.yaml'), '1');
    watchFiles(() => [at('a.yaml')]);
    writeFileSync(at('a.yaml'), '2');
    await expectChanges(1);
    writeFileSync(at('a.yaml'), '3');
    await expectChanges(2);
  });

  it('is noticed when another is renamed over it, again and again', async () => {
    writeFileSync(at('a.yaml'), '1');
    watchFiles(() => [at('a.yaml')]);
    for (const round of [1, 2, 3]) {
      writeFileSync(at('.a.yaml.swp'), `new ${round}`);
      renameSync(at('.a.yaml.swp'), at('a.yaml'));
      await expectChanges(round);
    }
  });

  it('is noticed when a link to its directory is swapped, as Kubernetes does', async () => {
    for (const version of ['..1', '..2']) {
      mkdirSync(at(version));
      writeFileSync(at(version, 'a.yaml'), version);
    }
    symlinkSync('..1', at('..data'));
    symlinkSync(join('..data', 'a.yaml'), at('a.yaml'));
    watchFiles(() => [at('a.yaml')]);
    symlinkSync('..2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    await expectChanges(1);
  });

  it('is not noticed when only touched, or when its neighbours change', async () => {
    writeFileSync(at('a.yaml'), '1');
    watchFiles(() => [at('a.yaml')]);
    utimesSync(at('a.yaml'), 1, 1);
    writeFileSync(at('b.yaml'), '1');
    await expectQuiet(0);
  });

  it('is not noticed while absent, and is when it is back with another content', async () => {
    writeFileSync(at('a.yaml'), '1');
    watchFiles(() => [at('a.yaml')]);
    unlinkSync(at('a.yaml'));
    await expectQuiet(0);
    writeFileSync(at('a.yaml'), '1');
    await expectQuiet(0);
    writeFileSync(at('a.yaml'), '2');
    await expectChanges(1);
  });

  it('is noticed without any event', async () => {
    mkdirSync(at('real'));
    writeFileSync(at('real', 'a.yaml'), '1');
    symlinkSync(at('real', 'a.yaml'), at('a.yaml'));
    watchFiles(() => [at('a.yaml')], 20);
    writeFileSync(at('real', 'a.yaml'), '2');
    await expectChanges(1);
  });
});

describe('the list of files', () => {
  it('may grow with a change, in another directory', async () => {
    mkdirSync(at('secrets'));
    writeFileSync(at('a.yaml'), '1');
    writeFileSync(at('secrets', 'key'), 'k1');
    const files = [at('a.yaml')];
    watchFiles(() => files);
    files.push(at('secrets', 'key'));
    writeFileSync(at('a.yaml'), '2');
    await expectChanges(1);
    await new Promise(setImmediate);
    writeFileSync(at('secrets', 'key'), 'k2');
    await expectChanges(2);
  });

  it('may name what does not exist yet', async () => {
    writeFileSync(at('a.yaml'), '1');
    watchFiles(() => [at('a.yaml'), at('later'), at('nowhere', 'key')]);
    writeFileSync(at('later'), 'now');
    await expectChanges(1);
  });
});

describe('changes', () => {
  it('are handed on one at a time, and one that comes meanwhile is not lost', async () => {
    writeFileSync(at('a.yaml'), '1');
    let release = (): void => undefined;
    let running = 0;
    const onChange = (): Promise<void> => {
      changes += 1;
      running += 1;
      expect(running).toBe(1);
      return new Promise((resolve) => {
        release = () => {
          running -= 1;
          resolve();
        };
      });
    };
    watcher = new FileWatcher({ files: () => [at('a.yaml')], onChange, gatherMs: 10, pollMs: 20 });
    writeFileSync(at('a.yaml'), '2');
    await expectChanges(1);
    writeFileSync(at('a.yaml'), '3');
    await expectQuiet(1);
    release();
    await expectChanges(2);
    release();
  });

  it('are not handed on once stopped', async () => {
    writeFileSync(at('a.yaml'), '1');
    watchFiles(() => [at('a.yaml')], 20);
    watcher?.stop();
    writeFileSync(at('a.yaml'), '2');
    await expectQuiet(0);
  });
});
