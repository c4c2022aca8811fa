/** Load from the generator of the addon, at a steady rate whatever the answers do. */

import { load, type LoadReport } from '../../../src/cli/bench/load.js';
import { KEY } from './gateway.js';

/** Connections at most: enough for answers that take half a second at the highest rate used here. */
const MAX_CONNECTIONS = 500;

/** A request not answered in this time has failed. Long, since these tests share their machine. */
const TIMEOUT_MS = 20_000;

/** How much, and for how long. */
export interface Load {
  /** Base URL of the gateway. */
  readonly url: string;
  readonly model: string;
  readonly requestsPerSecond: number;
  readonly durationMs: number;
  readonly stream?: boolean;
}

/** Sends chat requests of one kilobyte. */
export function openLoop({ url, model, requestsPerSecond, durationMs, stream }: Load): Promise<LoadReport> {
  return load({
    url: `${url}/chat/completions`,
    headers: { authorization: `Bearer ${KEY}` },
    body: { kind: 'chat', bytes: 1_024, model },
    stream: stream ?? false,
    mode: { kind: 'open', requests_per_second: requestsPerSecond, max_connections: MAX_CONNECTIONS },
    duration_ms: durationMs,
    warmup_ms: 0,
    timeout_ms: TIMEOUT_MS,
    threads: 1,
  });
}

/** What must hold of a load that nothing may disturb: all of it was sent, and all of it answered. */
export function undisturbed(load: Load): object {
  return { failed: 0, failures: {}, requests: (load.requestsPerSecond * load.durationMs) / 1_000 };
}
