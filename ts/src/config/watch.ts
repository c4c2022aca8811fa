/**
 * Notices changed files by their content. File system events only make it look sooner: they differ between editors that
 * rename a new file over the old one, Kubernetes swapping a symbolic link to a directory, and network mounts that send
 * none at all. A file that is absent for a moment, in the middle of a swap, is no change.
 */

import { createHash } from 'node:crypto';
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** Time from an event to the look at the files, in which the events of one save gather. */
const GATHER_MS = 150;

/** Files are looked at this often without any event. */
const POLL_MS = 5_000;

/** What the watcher needs. */
export interface WatchOptions {
  /** The files of this moment, absolute. */
  readonly files: () => readonly string[];
  /** Called when the content of a file has changed; never again before it has finished. */
  readonly onChange: () => Promise<unknown>;
  readonly gatherMs?: number;
  readonly pollMs?: number;
}

/** Watches until stopped. Its timers keep no process alive. */
export class FileWatcher {
  private readonly directories = new Map<string, FSWatcher>();
  private readonly poll: NodeJS.Timeout;
  private gathering: NodeJS.Timeout | null = null;
  private known: ReadonlyMap<string, string>;
  private busy = false;
  private stopped = false;

  constructor(private readonly options: WatchOptions) {
    this.known = contentsOf(options.files());
    this.watchDirectories();
    this.poll = setInterval(() => this.look(), options.pollMs ?? POLL_MS);
    this.poll.unref();
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.poll);
    if (this.gathering !== null) clearTimeout(this.gathering);
    for (const watcher of this.directories.values()) watcher.close();
    this.directories.clear();
  }

  private look(): void {
    if (this.busy || this.stopped) return;
    const now = contentsOf(this.options.files());
    const changed = [...now].some(([file, content]) => this.known.get(file) !== content);
    if (!changed) return;
    this.busy = true;
    void this.options.onChange().finally(() => {
      this.busy = false;
      this.known = new Map([...contentsOf(this.options.files()), ...now]);
      this.watchDirectories();
    });
  }

  private lookSoon(): void {
    if (this.stopped) return;
    if (this.gathering !== null) return;
    this.gathering = setTimeout(() => {
      this.gathering = null;
      this.look();
    }, this.options.gatherMs ?? GATHER_MS);
    this.gathering.unref();
  }

  private watchDirectories(): void {
    const wanted = new Set(this.options.files().map((file) => dirname(file)));
    for (const directory of wanted) this.watchDirectory(directory);
    for (const directory of this.directories.keys()) if (!wanted.has(directory)) this.unwatch(directory);
  }

  private watchDirectory(directory: string): void {
    if (this.stopped || this.directories.has(directory)) return;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.lookSoon());
      watcher.on('error', () => this.unwatch(directory)); // removed or moved: the poll goes on
      this.directories.set(directory, watcher);
    } catch {
      // No events to be had here; the poll sees the change.
    }
  }

  private unwatch(directory: string): void {
    this.directories.get(directory)?.close();
    this.directories.delete(directory);
  }
}

/** Digests of the files that exist. */
function contentsOf(files: readonly string[]): Map<string, string> {
  const contents = new Map<string, string>();
  for (const file of files) {
    const digest = digestOfFile(file);
    if (digest !== null) contents.set(file, digest);
  }
  return contents;
}

function digestOfFile(file: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('base64');
  } catch {
    return null;
  }
}
