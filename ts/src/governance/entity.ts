/**
 * Who uses the gateway: customers have teams, teams have users, and any of them own virtual keys. Tags are put on keys
 * across all of that. Each may have budgets, rate limits and allow lists, and all of them hold for the keys below.
 *
 * A name is an entity's identity: it cannot be changed, and what is told of it later, in reports and by counters, is told
 * of the name.
 */

import { type AllowList, intersect } from './allow-list.js';
import type { MeterRule } from './meter-rule.js';

/** Kinds of entities, from the top. */
export const ENTITY_KINDS = ['customer', 'team', 'user', 'tag'] as const;
export type EntityKind = (typeof ENTITY_KINDS)[number];

/** Kinds that own keys and that others can belong to. */
export const OWNER_KINDS = ['customer', 'team', 'user'] as const;
export type OwnerKind = (typeof OWNER_KINDS)[number];

/** What an entity of each kind can belong to. */
export const PARENT_KINDS = {
  customer: [],
  team: ['customer'],
  user: ['team', 'customer'],
  tag: [],
} as const satisfies Record<EntityKind, readonly OwnerKind[]>;

/** An entity as others name it. */
export interface EntityRef {
  readonly kind: EntityKind;
  readonly name: string;
}

/** An entity that owns something. */
export interface Owner extends EntityRef {
  readonly kind: OwnerKind;
}

/** What is free text about an entity or a key, for the operator's own use. */
export type Metadata = Readonly<Record<string, string>>;

/** What an entity allows and limits. */
export interface EntitySettings {
  /** What it belongs to; null for none. */
  readonly parent: Owner | null;
  /** Models its keys may use; null for what its parent allows. */
  readonly models: AllowList;
  /** Providers they may reach, likewise. */
  readonly providers: AllowList;
  /** Labels of the routes they may call, likewise. */
  readonly routes: AllowList;
  /** Budgets first. */
  readonly rules: readonly MeterRule[];
  readonly metadata: Metadata;
  /** Its keys, and those of everything below it, are refused as if they did not exist. */
  readonly disabled: boolean;
}

/** An entity. */
export interface Entity extends EntityRef, EntitySettings {
  /** Those of the file are changed in the file only. */
  readonly source: 'config' | 'api';
}

/** Whose a virtual key is, and what it is narrowed to besides its models and its plain limits. */
export interface KeyScope {
  readonly owner: Owner | null;
  /** Names of tags. */
  readonly tags: readonly string[];
  /** Names and patterns of the providers it may reach; null for all. */
  readonly providers: AllowList;
  /** Labels of the routes it may call; null for all. */
  readonly routes: AllowList;
  /** Networks its clients may connect from, as `10.0.0.0/8`; empty for any. */
  readonly networks: readonly string[];
  /** Budgets first. */
  readonly rules: readonly MeterRule[];
  readonly metadata: Metadata;
}

/** Nobody's, and not narrowed. */
export const OPEN_SCOPE: KeyScope = {
  owner: null,
  tags: [],
  providers: null,
  routes: null,
  networks: [],
  rules: [],
  metadata: {},
};

/** Most tags of one key. */
export const MAX_TAGS = 16;

/** Most networks of one key. */
export const MAX_NETWORKS = 64;

/** Most entries of metadata, and the longest name and value, in characters. */
export const MAX_METADATA_ENTRIES = 32;
export const MAX_METADATA_NAME_CHARACTERS = 64;
export const MAX_METADATA_VALUE_CHARACTERS = 512;

/** Words for the name of an entity. */
export const ENTITY_NAME_EXPECTED =
  'a name of letters, digits, ., _, @, + and -, such as search or alice@example.com';

/** Whether this may be the name of an entity: it stands in paths of the API, and in labels. */
export function isEntityName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/.test(text);
}

/** Words for a name in metadata. */
export const METADATA_NAME_EXPECTED = `a name of letters, digits, ., _ and -, of at most ${MAX_METADATA_NAME_CHARACTERS} characters`;

/** Whether this may be a name in metadata. */
export function isMetadataName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text);
}

/** What a key must obey besides its own settings. */
export interface Chain {
  /** From the owner up to the customer. */
  readonly owners: readonly Entity[];
  readonly tags: readonly Entity[];
  /** False where something in it is disabled or does not exist: such a key is refused. */
  readonly open: boolean;
}

/** Entities by kind and name. */
export class Entities {
  private readonly byName: ReadonlyMap<string, Entity>;

  constructor(readonly all: readonly Entity[]) {
    this.byName = new Map(all.map((entity) => [nameOf(entity), entity]));
  }

  find(ref: EntityRef): Entity | null {
    return this.byName.get(nameOf(ref)) ?? null;
  }

  /** Names of a kind. */
  names(kind: EntityKind): string[] {
    return this.all.filter((entity) => entity.kind === kind).map(({ name }) => name);
  }

  /** An entity and all it belongs to, itself first; null where one of them does not exist. */
  line(ref: EntityRef): readonly Entity[] | null {
    const line: Entity[] = [];
    for (let next: EntityRef | null = ref; next !== null;) {
      const entity = this.find(next);
      if (entity === null) return null;
      line.push(entity);
      next = entity.parent;
    }
    return line;
  }

  /** Everything that holds for a key with this owner and these tags. */
  chain(owner: Owner | null, tags: readonly string[]): Chain {
    const owners = owner === null ? [] : this.line(owner);
    const found = tags.map((name) => this.find({ kind: 'tag', name }));
    const known = found.filter((tag) => tag !== null);
    const complete = owners !== null && known.length === tags.length;
    const links = [...(owners ?? []), ...known];
    return { owners: owners ?? [], tags: known, open: complete && links.every(({ disabled }) => !disabled) };
  }
}

/** What may be used under all of these: no link of a chain can give what another withholds. */
export function allowedBy(
  links: readonly Pick<EntitySettings, 'models' | 'providers' | 'routes'>[],
): Pick<EntitySettings, 'models' | 'providers' | 'routes'> {
  const all = (list: 'models' | 'providers' | 'routes'): AllowList =>
    links.reduce<AllowList>((allowed, link) => intersect(allowed, link[list]), null);
  return { models: all('models'), providers: all('providers'), routes: all('routes') };
}

/** As `team "search"`. */
export function wordsFor({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind} ${JSON.stringify(name)}`;
}

function nameOf({ kind, name }: EntityRef): string {
  return `${kind} ${name}`;
}
