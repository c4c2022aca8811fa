/**
 * The bridge to the data plane: the only folder that loads the addon. Typed documents on this side, JSON text and bytes
 * on the other. Nothing here is called per request.
 */

import type {
  JournalOptions,
  JournalStats,
  Meter,
  MeterLevel,
  Snapshot,
  StartOptions,
  Stats,
} from './generated/snapshot.js';
import { addon, type JournalBatch, type JournalDamage, type NativeDataPlane } from './load.js';

/** A running data plane. */
export interface DataPlane {
  /** Bound addresses, in the order of the listeners. */
  addresses(): string[];
  /** Puts a snapshot (JSON) into service, whole or not at all; throws {@link SnapshotRefused}. */
  applySnapshot(json: string): void;
  /** All counters, summed over the workers. */
  stats(): Stats;
  /** How meters stand, those of these ids or all. */
  meterLevels(ids?: readonly number[]): MeterLevel[];
  /** Requests being served. */
  activeCount(): number;
  /** Answers `/readyz` with 503 from now on, and serves all the same. */
  setUnready(): void;
  /** Closes the listeners, and connections as they fall idle. */
  drain(): void;
  /** Drops what is under way and joins the threads. */
  stop(): void;
}

/** Where usage records are safe from a killed process until the store has them. Its directory is its own until closed. */
export interface Journal {
  /** Starts to take the records of a data plane. */
  start(plane: DataPlane): void;
  /** The next records in order, up to `max`; null where none are waiting. They are not given again. */
  next(max: number): JournalBatch | null;
  /** Says that the frames up to a sequence are stored. */
  acknowledge(sequence: number): void;
  /** Boot ids of the earlier runs that left records, the oldest first. */
  leftBehind(): string[];
  /** Records of an earlier run after a sequence, up to `max`; null where there are no more. */
  recover(bootId: string, after: number, max: number): JournalBatch | null;
  /** Deletes what an earlier run left; damaged files are kept aside. */
  forget(bootId: string): JournalDamage;
  stats(): JournalStats;
  /** Takes and writes what the data plane still has, and ends the threads; what it took can be had all the same. */
  stop(): void;
  /** Stops, and gives the directory free. Where all was acknowledged, nothing is left in it. */
  close(): void;
}

/** How a demo provider behaves; see `sluice demo-provider --help`. */
export interface DemoOptions {
  readonly address?: string;
  readonly threads?: number;
  readonly delay_ms?: number;
  readonly chunks?: number;
  readonly chunk_gap_ms?: number;
  readonly response_bytes?: number;
  readonly error_rate?: number;
  readonly seed?: number;
  readonly stamp_chunks?: boolean;
  readonly tls?: 'self_signed' | { files: { certificate_pem: string; private_key_pem: string } };
}

/** A running demo provider. */
export interface DemoProvider {
  /** `address:port` it listens on. */
  readonly address: string;
  /** Certificate to trust, where it made its own. */
  readonly certificatePem: string | undefined;
  /** Stops it and joins its threads. */
  stop(): void;
}

/** The data plane refused options or a snapshot; nothing has changed. */
export class SnapshotRefused extends Error {
  override readonly name = 'SnapshotRefused';

  constructor(
    /** Where, as `models[3].targets[0].provider` or `listeners[0].address`. */
    readonly path: string,
    /** Stable code. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Binds, compiles the snapshot and starts the threads. Throws {@link SnapshotRefused}. */
export function startDataPlane(options: StartOptions, snapshot: Snapshot): DataPlane {
  const native = refusals(() => addon().DataPlane.start(JSON.stringify(options), JSON.stringify(snapshot)));
  return wrap(native);
}

/** Opens the journal of a directory. Throws a plain error where another process holds it, or it cannot be written. */
export function openJournal(options: JournalOptions): Journal {
  const native = plainly(() => addon().Journal.open(JSON.stringify(options)));
  return {
    start: (plane) => {
      const nativePlane = nativePlanes.get(plane);
      if (nativePlane === undefined) throw new TypeError('not a data plane of this bridge');
      native.start(nativePlane);
    },
    next: (max) => native.next(max),
    acknowledge: (sequence) => native.acknowledge(sequence),
    leftBehind: () => native.leftBehind(),
    recover: (bootId, after, max) => plainly(() => native.recover(bootId, after, max)),
    forget: (bootId) => plainly(() => native.forget(bootId)),
    stats: () => JSON.parse(native.stats()) as JournalStats,
    stop: () => native.stop(),
    close: () => native.close(),
  };
}

/** When the windows of these meters that are open at a moment began; null where they have no beginning. */
export function windowStarts(meters: readonly Meter[], atMs: number): (number | null)[] {
  return JSON.parse(refusals(() => addon().windowStarts(JSON.stringify(meters), atMs))) as (number | null)[];
}

/** Starts a demo provider on threads of its own. */
export function startDemoProvider(options: DemoOptions): DemoProvider {
  const native = refusals(() => addon().DemoProvider.start(JSON.stringify(options)));
  return {
    address: native.address(),
    certificatePem: native.certificatePem() ?? undefined,
    stop: () => native.stop(),
  };
}

/** Runs a load on the thread pool and resolves to its report. */
export async function runLoad(options: object): Promise<unknown> {
  const report = refusals(() => addon().runLoad(JSON.stringify(options)));
  try {
    return JSON.parse(await report) as unknown;
  } catch (error) {
    throw asRefusal(error);
  }
}

/** What lies behind a data plane, for the journal that takes its records. */
const nativePlanes = new WeakMap<DataPlane, NativeDataPlane>();

function wrap(native: NativeDataPlane): DataPlane {
  const plane = bound(native);
  nativePlanes.set(plane, native);
  return plane;
}

function bound(native: NativeDataPlane): DataPlane {
  return {
    addresses: () => native.addresses(),
    applySnapshot: (json) => refusals(() => native.applySnapshot(json)),
    stats: () => JSON.parse(native.stats()) as Stats,
    meterLevels: (ids) =>
      JSON.parse(native.meterLevels(ids === undefined ? undefined : [...ids])) as MeterLevel[],
    activeCount: () => native.activeCount(),
    setUnready: () => native.setUnready(),
    drain: () => native.drain(),
    stop: () => native.stop(),
  };
}

/** Runs a call whose failures concern no document, only the machine: their message says it all. */
function plainly<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const refused = asRefusal(error);
    throw refused instanceof SnapshotRefused ? new Error(refused.message, { cause: error }) : error;
  }
}

function refusals<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asRefusal(error);
  }
}

/** The addon's errors carry JSON in their message. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  try {
    const { path, code, message } = JSON.parse(error.message) as {
      path: string;
      code: string;
      message: string;
    };
    return new SnapshotRefused(path, code, message);
  } catch {
    return error;
  }
}
