/**
 * Reads that may take long run in a process of their own. SQLite is synchronous here: a report over months would stop the
 * event loop for seconds, in which nobody drains usage records and the data plane begins to drop them.
 *
 * A process, not a thread: a query that takes too long must be ended, and ending a thread inside a native call aborts the
 * whole program. Reading a write-ahead log beside its writer is what SQLite is made for, and killing a reader harms
 * nothing.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ReadRequest, ReadResponse } from './reader-protocol.js';
import type { SqliteConnection, SqlRow, SqlValue } from './sqlite.js';

/** Longest a query may take; one that needs more wants a shorter range. */
const QUERY_TIMEOUT_MS = 30_000;

/** Queries that may wait for the process; more are refused at once. */
const MAX_WAITING = 32;

/** A process without work ends after this, and gives back its memory. */
const IDLE_MS = 60_000;

const PROGRAM = fileURLToPath(new URL('./reader-process.js', import.meta.url));

/** Runs a query that only reads. */
export interface Reader {
  all(sql: string, values: readonly SqlValue[]): Promise<SqlRow[]>;
  close(): void;
}

/** A query that was not carried out; the name is what the rest of the program takes for the store's failure. */
class ReadFailed extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
    this.name = 'SqliteError';
  }
}

/** The process, where there is one to start: sources that run uncompiled (in tests) read on the main connection. */
export function openReader(path: string, connection: SqliteConnection): Reader {
  if (existsSync(PROGRAM)) return new ReaderProcess(path);
  return { all: async (sql, values) => connection.all(sql, values), close: () => undefined };
}

interface Waiting {
  resolve(rows: SqlRow[]): void;
  reject(error: Error): void;
}

/** Starts the process with the first query. */
export class ReaderProcess implements Reader {
  private child: ChildProcess | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly path: string,
    private readonly timeoutMs: number = QUERY_TIMEOUT_MS,
  ) {}

  all(sql: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
    if (this.waiting.size >= MAX_WAITING) {
      return Promise.reject(new ReadFailed('too many reports are being made; try again later', 'BUSY'));
    }
    this.child ??= this.start();
    this.lastId += 1;
    const request: ReadRequest = { id: this.lastId, sql, values };
    const rows = new Promise<SqlRow[]>((resolve, reject) => {
      this.waiting.set(request.id, { resolve, reject });
    });
    if (this.waiting.size === 1) this.startClock();
    this.child.send(request);
    return rows;
  }

  close(): void {
    this.end(new ReadFailed('the store is closed', 'CLOSED'));
  }

  private start(): ChildProcess {
    const child = fork(PROGRAM, [this.path], { serialization: 'advanced', execArgv: [] });
    const ended = (): void => {
      if (this.child === child) this.end(new ReadFailed('the process that reads has ended', 'ENDED'));
    };
    child.on('message', (response) => this.settle(response as ReadResponse));
    child.on('error', ended);
    child.on('exit', ended);
    child.unref();
    child.channel?.unref();
    return child;
  }

  private settle(response: ReadResponse): void {
    const waiting = this.waiting.get(response.id);
    this.waiting.delete(response.id);
    this.startClock();
    if ('rows' in response) waiting?.resolve(response.rows);
    else waiting?.reject(new ReadFailed(response.message, response.code));
  }

  /** Starts the clock of the query that is now being worked on, or that of being idle. */
  private startClock(): void {
    if (this.timer) clearTimeout(this.timer);
    const isIdle = this.waiting.size === 0;
    const late = new ReadFailed('the report took too long; ask for a shorter range', 'TIMEOUT');
    this.timer = setTimeout(() => this.end(late), isIdle ? IDLE_MS : this.timeoutMs);
    if (isIdle) this.timer.unref();
  }

  /** Ends the process and refuses what waits for it; the next query starts another. */
  private end(reason: Error): void {
    if (this.timer) clearTimeout(this.timer);
    const { child } = this;
    this.child = null;
    child?.kill('SIGKILL');
    const refused = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of refused) reject(reason);
  }
}
