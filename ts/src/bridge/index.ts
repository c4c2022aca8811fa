/**
 * The bridge to the data plane: the only folder that loads the addon. Typed documents on this side, JSON text and bytes
 * on the other. Nothing here is called per request.
 */

import type { MeterLevel, Snapshot, StartOptions, Stats } from './generated/snapshot.js';
import { addon, type NativeDataPlane } from './load.js';

/** A running data plane. */
export interface DataPlane {
  /** Bound addresses, in the order of the listeners. */
  addresses(): string[];
  /** Puts a snapshot (JSON) into service, whole or not at all; throws {@link SnapshotRefused}. */
  applySnapshot(json: string): void;
  /** Takes up to `max` usage records, `RECORD_BYTES` each. */
  drainRecords(max: number): Buffer;
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

function wrap(native: NativeDataPlane): DataPlane {
  return {
    addresses: () => native.addresses(),
    applySnapshot: (json) => refusals(() => native.applySnapshot(json)),
    drainRecords: (max) => native.drainRecords(max),
    stats: () => JSON.parse(native.stats()) as Stats,
    meterLevels: (ids) =>
      JSON.parse(native.meterLevels(ids === undefined ? undefined : [...ids])) as MeterLevel[],
    activeCount: () => native.activeCount(),
    setUnready: () => native.setUnready(),
    drain: () => native.drain(),
    stop: () => native.stop(),
  };
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
