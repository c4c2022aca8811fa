/** Where keys are kept, as the `keys` commands see it: the admin API of a running gateway, or the database itself. */

/** A key as the admin API shows it. */
export interface KeyView {
  readonly id: number;
  readonly name: string;
  readonly source: 'api' | 'config';
  readonly state: 'active' | 'expired' | 'revoked';
  readonly models: readonly string[];
  readonly limits: {
    readonly requests_per_minute: number | null;
    readonly tokens_per_minute: number | null;
    readonly concurrency: number | null;
  };
  readonly hint: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly previous_secret_expires_at: string | null;
  readonly revoked_at: string | null;
}

/** A page of keys. */
export interface KeyList {
  readonly keys: readonly KeyView[];
  readonly next_after: number | null;
}

/** A key, and its secret this one time. */
export interface KeyWithSecret {
  readonly key: KeyView;
  readonly secret: string;
}

/** What a key is made from. */
export interface NewKey {
  readonly name: string;
  readonly models?: readonly string[];
  readonly limits?: {
    readonly requests_per_minute?: number;
    readonly tokens_per_minute?: number;
    readonly concurrency?: number;
  };
  readonly expires_at?: string;
}

/** What can be done with keys, wherever they are. */
export interface KeysAccess {
  /** The place, in words. */
  readonly where: string;
  list(): Promise<KeyView[]>;
  create(key: NewKey): Promise<KeyWithSecret>;
  rotate(id: number, overlapSeconds: number): Promise<KeyWithSecret>;
  revoke(id: number): Promise<KeyView>;
  close(): Promise<void>;
}
