/** The load generator as the bench uses it: its options and the report it returns, in the addon's own spelling. */

import { runLoad } from '../../bridge/index.js';

/** One run of the generator. */
export interface LoadOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly kind: 'chat'; readonly bytes: number; readonly model: string };
  readonly stream: boolean;
  readonly mode: LoadMode;
  readonly duration_ms: number;
  readonly warmup_ms: number;
  readonly timeout_ms: number;
  readonly threads: number;
}

/** How requests are paced. */
export type LoadMode =
  | { readonly kind: 'closed'; readonly connections: number }
  | { readonly kind: 'open'; readonly requests_per_second: number; readonly max_connections: number }
  | {
      readonly kind: 'paired';
      readonly direct_url: string;
      readonly direct_headers: Readonly<Record<string, string>>;
      readonly slice_ms: number;
    };

/** A distribution of times, microseconds. */
export interface Times {
  readonly count: number;
  readonly mean_us: number;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly p999_us: number;
  readonly max_us: number;
}

/** What a run measured. */
export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly first_failure: string | null;
  readonly requests_per_second: number;
  /** All right answers, the warm-up's included: what processor time is divided by. */
  readonly answered: number;
  readonly latency: Times;
  readonly first_event: Times | null;
  readonly gap: Times | null;
  readonly transit: Times | null;
  readonly peak_in_flight: number;
  readonly paired: PairedReport | null;
}

/** What a paired run measured besides. */
export interface PairedReport {
  readonly direct: Times;
  readonly direct_requests: number;
  readonly added_p50_us: number;
  readonly added_p99_us: number;
}

/** Runs a load. */
export async function load(options: LoadOptions): Promise<LoadReport> {
  return (await runLoad(options)) as LoadReport;
}
