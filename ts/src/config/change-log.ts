/**
 * Changes of the configuration file in the audit log: at every start and reload, which providers, models, keys, entities and
 * other settings differ from those that were last in use on this store. What they say is not logged, its digest is: the file
 * holds credentials, and is kept under version control by those who want to read its history.
 */
import { createHash } from 'node:crypto';
import { ownerActor } from '../governance/access.js';
import type { AuditRepository } from '../governance/access-ports.js';
import { draftOf } from '../governance/audit.js';
import { canonicalJson } from '../governance/canonical-json.js';
import type { FactRepository } from '../governance/ports.js';
import type { Config } from './config.js';

/** Fact with the digests of the configuration that was last in use. */
const DIGESTS_FACT = 'config_digests';

/** Hexadecimal digits of a digest. */
const DIGITS = 32;

/** Most entries of one reload; what goes beyond them is summed up in one. */
const MAX_ENTRIES = 200;

type Digests = Readonly<Record<string, string>>;

/** A part that is not what it was. */
interface Change {
  readonly part: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** Writes the entries. */
export class ConfigChangeLog {
  constructor(
    private readonly store: FactRepository & { readonly audit: Pick<AuditRepository, 'append'> },
    private readonly file: string | null,
    private readonly now: () => number,
  ) {}

  /** Logs how a configuration that has come into use differs from the one before. */
  async applied(config: Config): Promise<void> {
    const after = digestsOf(config);
    const known = await this.store.fact(DIGESTS_FACT);
    const before = known === null ? {} : (JSON.parse(known) as Digests);
    const changes = changesBetween(before, after);
    if (changes.length === 0) return;
    const action = known === null ? 'firstStart' : 'applyConfigFile';
    for (const change of changes.slice(0, MAX_ENTRIES)) await this.write(action, change);
    const rest = changes.length - MAX_ENTRIES;
    if (rest > 0) await this.write(action, { part: `${rest} more`, before: null, after: digest(after) });
    await this.store.setFact(DIGESTS_FACT, JSON.stringify(after));
  }

  private async write(action: string, { part, before, after }: Change): Promise<void> {
    const actor = ownerActor('system', 'config', this.file ?? 'built-in defaults');
    const [kind = part, ...name] = part.split(':');
    const act = {
      action,
      object: `config_${kind}`,
      objectId: name.join(':'),
      before: before && { digest: before },
      after: after && { digest: after },
      outcome: 'done' as const,
    };
    await this.store.audit.append(draftOf({ at: this.now(), actor, address: null, requestId: null }, act));
  }
}

/** Digest of each part that has a name, and of the rest. */
function digestsOf({ providers, models, entities, keys, ...rest }: Config): Digests {
  const named = [
    ...providers.map((one) => [`provider:${one.name}`, digest(one)]),
    ...models.map((one) => [`model:${one.name}`, digest(one)]),
    ...entities.map((one) => [`${one.kind}:${one.name}`, digest(one)]),
    ...keys.map((one) => [`key:${one.name}`, digest(one)]),
  ];
  return Object.fromEntries([...named, ['settings', digest(rest)]]) as Digests;
}

/** Amounts of money are big integers, which JSON does not have. */
function digest(part: unknown): string {
  const plain = JSON.stringify(part, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(plain)), 'utf8')
    .digest('hex')
    .slice(0, DIGITS);
}

function changesBetween(before: Digests, after: Digests): Change[] {
  const parts = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return parts
    .map((part) => ({ part, before: before[part] ?? null, after: after[part] ?? null }))
    .filter((change) => change.before !== change.after);
}
