/** Looking up the holder of a service token, and noting that it was used. */
import type { Actor } from '../governance/access.js';
import { accepts, actorOf, permissionsOf } from '../governance/service-token.js';
import type { AdminDependencies } from './ports.js';

const MS_PER_MINUTE = 60_000;

/** Most tokens whose last use is remembered; forgetting one costs a write. */
const MAX_REMEMBERED = 10_000;

type Parts = Pick<AdminDependencies, 'store' | 'now'>;

/** The lookup. It asks the store every time, so a token that was revoked anywhere is refused everywhere at once. */
export class ServiceTokens {
  /** Minute of the last use that was written, by token. */
  private readonly written = new Map<number, number>();

  constructor(
    private readonly parts: Parts,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** The holder of the token with this digest; null where none is valid now. */
  async actorOf(sha256: string): Promise<Actor | null> {
    const { store, now } = this.parts;
    const token = await store.access.tokenByDigest(sha256);
    if (token === null || !accepts(token, sha256, now())) return null;
    const role = await store.access.findRole(token.role);
    this.noteUse(token.id);
    return actorOf(token, permissionsOf(token.role, role));
  }

  /** At most one write per token and minute, which no request waits for. */
  private noteUse(id: number): void {
    const minute = Math.floor(this.parts.now() / MS_PER_MINUTE) * MS_PER_MINUTE;
    if (this.written.get(id) === minute) return;
    if (this.written.size >= MAX_REMEMBERED) this.written.clear();
    this.written.set(id, minute);
    this.parts.store.access.touchToken(id, minute).catch(this.onError);
  }
}
