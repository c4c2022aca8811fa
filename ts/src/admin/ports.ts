/** What the admin API works with, handed in by the composition root. */
import type { MeterLevel, Stats } from '../bridge/generated/snapshot.js';
import type { RandomBytes } from '../governance/key-secret.js';
import type {
  AccessRepository,
  AnswerRepository,
  AuditRepository,
  ProviderKeyRepository,
  SecretsControl,
} from '../governance/access-ports.js';
import type { ConfigControl, EntityRepository, KeyRepository, LabelRepository } from '../governance/ports.js';
import type { RecorderCounters } from '../usage/recorder.js';
import type { UsageLedger } from '../usage/ports.js';
import type { GuardOptions } from './guard.js';

/** Keys and names, and who may change them. */
export interface AdminStore extends KeyRepository, EntityRepository, LabelRepository {
  readonly access: AccessRepository;
  readonly audit: AuditRepository;
  readonly answers: AnswerRepository;
  readonly providerKeys: ProviderKeyRepository;
  /** Removes a key that the data plane refused before it was ever in use. */
  discardKey(id: number): Promise<void>;
}

/** Recorded usage. */
export interface AdminUsage {
  readonly ledger: UsageLedger;
  /** Brings the ledger up to date before it is read. */
  flush(): Promise<void>;
  counters(): RecorderCounters;
}

/** Everything the routes reach. */
export interface AdminDependencies {
  readonly store: AdminStore;
  readonly usage: AdminUsage;
  readonly config: ConfigControl;
  readonly secrets: SecretsControl;
  readonly dataPlane: { stats(): Stats; meterLevels(ids: readonly number[]): MeterLevel[] };
  /** The metrics page. */
  readonly metrics: { readonly contentType: string; render(): Promise<string> };
  /** Version of the program. */
  readonly version: string;
  /** When the process started, milliseconds since 1970. */
  readonly startedAt: number;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly random: RandomBytes;
}

/** How the listener behaves. */
export interface AdminOptions extends GuardOptions {
  /**
   * Who may read `/metrics`: holders of the `token`, or also anyone on this machine (`loopback`). The page names models
   * and providers, never keys.
   */
  readonly metricsAccess: 'token' | 'loopback';
}
