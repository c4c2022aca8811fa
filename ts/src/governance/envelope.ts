/**
 * Secrets at rest: each is encrypted under a data key of its own, and that key under the master key, both with
 * AES-256-GCM. A new master key so costs a few hundred bytes of work per secret, and no secret is ever decrypted for it.
 * What a secret is for and which row it stands in is authenticated with it: moved to another row it does not open.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import type { RandomBytes } from './key-secret.js';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Bytes of a master key. */
export const MASTER_KEY_BYTES = 32;

/** Hexadecimal digits of a fingerprint. */
const FINGERPRINT_DIGITS = 16;

/** A key that data keys are wrapped with. Prints as `***`. */
export class MasterKey {
  /** Tells keys apart without telling anything of them; 64 bits of a digest. */
  readonly fingerprint: string;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    if (bytes.length !== MASTER_KEY_BYTES) throw new RangeError(`a master key has ${MASTER_KEY_BYTES} bytes`);
    this.#bytes = bytes;
    const digest = createHash('sha256').update('sluice master key\n').update(bytes).digest('hex');
    this.fingerprint = digest.slice(0, FINGERPRINT_DIGITS);
  }

  /** From text: 64 hexadecimal digits, or base64 (either alphabet) of 32 bytes; null when it is neither. */
  static parse(text: string): MasterKey | null {
    const trimmed = text.trim();
    if (/^[0-9a-f]{64}$/i.test(trimmed)) return new MasterKey(Buffer.from(trimmed, 'hex'));
    if (!/^[\w+/-]{43}=?$/.test(trimmed)) return null;
    const bytes = Buffer.from(trimmed, 'base64');
    return bytes.length === MASTER_KEY_BYTES ? new MasterKey(bytes) : null;
  }

  wrap(dataKey: Buffer, random: RandomBytes): string {
    return encrypt(this.#bytes, dataKey, `data key of ${this.fingerprint}`, random);
  }

  /** Throws when the text was not wrapped with this key. */
  unwrap(wrapped: string): Buffer {
    return decrypt(this.#bytes, wrapped, `data key of ${this.fingerprint}`);
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '***';
  }
}

/** A master key, or a secret, that cannot be used as it was found. */
export class UnusableSecret extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnusableSecret';
  }
}

/** A secret as it is stored. */
export interface Sealed {
  /** Fingerprint of the master key. */
  readonly master: string;
  /** The data key under the master key; base64. */
  readonly wrappedKey: string;
  /** The secret under the data key; base64. */
  readonly box: string;
}

/** A sealed secret that none of the master keys at hand opens. */
export class UnknownMasterKey extends UnusableSecret {
  constructor(wanted: string, found: readonly string[]) {
    super(
      `stored secrets are sealed with the master key ${wanted}, found ${found.length === 0 ? 'none' : found.join(', ')}; ` +
        'put the one they are sealed with under secrets.master_key or secrets.previous',
    );
    this.name = 'UnknownMasterKey';
  }
}

/** Seals and opens with the current master key, and opens with previous ones. */
export class Vault {
  /** The current master key first, then those before it. */
  constructor(
    private readonly keys: readonly MasterKey[],
    private readonly random: RandomBytes,
  ) {}

  /** Throws where there is none. */
  get current(): MasterKey {
    const [current] = this.keys;
    if (current) return current;
    throw new UnusableSecret('there is no master key');
  }

  /** `place` names the row and the purpose, as `provider_key/17`. */
  seal(secret: string, place: string): Sealed {
    const dataKey = this.random(MASTER_KEY_BYTES);
    const box = encrypt(dataKey, Buffer.from(secret, 'utf8'), place, this.random);
    const wrappedKey = this.current.wrap(dataKey, this.random);
    dataKey.fill(0);
    return { master: this.current.fingerprint, wrappedKey, box };
  }

  /** Throws {@link UnknownMasterKey}, or another error where the row was tampered with. */
  open(sealed: Sealed, place: string): string {
    const dataKey = this.masterOf(sealed).unwrap(sealed.wrappedKey);
    return decrypt(dataKey, sealed.box, place).toString('utf8');
  }

  /** The same secret with its data key under the current master key. */
  rewrap(sealed: Sealed): Sealed {
    const dataKey = this.masterOf(sealed).unwrap(sealed.wrappedKey);
    return {
      ...sealed,
      master: this.current.fingerprint,
      wrappedKey: this.current.wrap(dataKey, this.random),
    };
  }

  private masterOf({ master }: Sealed): MasterKey {
    const key = this.keys.find(({ fingerprint }) => fingerprint === master);
    if (key) return key;
    throw new UnknownMasterKey(
      master,
      this.keys.map(({ fingerprint }) => fingerprint),
    );
  }
}

/** Nonce, ciphertext and tag, as base64. */
export function encrypt(key: Buffer, plain: Buffer, associated: string, random: RandomBytes): string {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(Buffer.from(associated, 'utf8'));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** The opposite. Throws where a bit has changed, or what is associated differs. */
export function decrypt(key: Buffer, text: string, associated: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new RangeError('a sealed text is too short');
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(associated, 'utf8'));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
}
