/** How commands speak to the world, so that tests can listen, and what their exit codes mean. */

/** Where a command writes. */
export interface Io {
  /** Results: what another program could read. */
  out(text: string): void;
  /** Everything else: problems, progress, hints. */
  err(text: string): void;
}

/** The process's own streams. */
export const PROCESS_IO: Io = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
};

/** Exit codes of every command. A signal ends with 128 plus its number, as is usual. */
export const EXIT = {
  ok: 0,
  /** The command could not do what it was asked: a configuration that is wrong, a port in use, a key that is not there. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
} as const;

/** A command failed in a way that its message explains. */
export class CommandFailed extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.failed,
  ) {
    super(message);
    this.name = 'CommandFailed';
  }
}
