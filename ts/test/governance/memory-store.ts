/** A store in memory, with what governance and configuration ask of one. */

import { wordsFor, type EntityRef } from '../../src/governance/entity.js';
import {
  EntityTaken,
  NameTaken,
  type EntityRepository,
  type EntityRow,
  type FactRepository,
  type KeyRepository,
  type Label,
  type LabelName,
  type LabelRepository,
  type NewVirtualKey,
  type VirtualKeyChange,
  type VirtualKeyRow,
} from '../../src/governance/ports.js';

export class MemoryStore implements KeyRepository, EntityRepository, LabelRepository, FactRepository {
  readonly keys = new Map<number, VirtualKeyRow>();
  readonly facts = new Map<string, string>();
  readonly entities = new Map<string, EntityRow>();
  readonly labels: Label[] = [];
  /** How often the keys of the file were written. */
  mirrored = 0;
  closed = false;

  labelIds(names: readonly LabelName[]): Promise<number[]> {
    return Promise.resolve(names.map((name) => this.labelId(name)));
  }

  listLabels(): Promise<Label[]> {
    return Promise.resolve(this.labels);
  }

  listKeys(): Promise<VirtualKeyRow[]> {
    return Promise.resolve([...this.keys.values()]);
  }

  findKey(id: number): Promise<VirtualKeyRow | null> {
    return Promise.resolve(this.keys.get(id) ?? null);
  }

  async insertKey(key: NewVirtualKey): Promise<VirtualKeyRow> {
    const live = [...this.keys.values()].filter(({ revokedAt }) => revokedAt === null);
    if (live.some(({ name }) => name === key.name)) throw new NameTaken(key.name);
    const id = this.labelId({ kind: 'key', name: `api:${this.labels.length}` });
    const row: VirtualKeyRow = { ...key, id, source: 'api', revokedAt: null };
    this.keys.set(id, row);
    return Promise.resolve(row);
  }

  updateKey(id: number, change: VirtualKeyChange): Promise<VirtualKeyRow | null> {
    const key = this.keys.get(id);
    if (key === undefined) return Promise.resolve(null);
    this.keys.set(id, { ...key, ...change });
    return this.findKey(id);
  }

  mirrorConfigKeys(keys: readonly VirtualKeyRow[], now: number): Promise<void> {
    this.mirrored += 1;
    for (const [id, key] of this.keys) {
      if (key.source === 'config') this.keys.set(id, { ...key, revokedAt: now });
    }
    for (const key of keys) this.keys.set(key.id, key);
    return Promise.resolve();
  }

  listEntities(): Promise<EntityRow[]> {
    return Promise.resolve([...this.entities.values()]);
  }

  insertEntity(row: EntityRow): Promise<EntityRow | null> {
    const before = this.entities.get(wordsFor(row)) ?? null;
    if (before?.removedAt === null) return Promise.reject(new EntityTaken(row));
    this.entities.set(wordsFor(row), row);
    return Promise.resolve(before);
  }

  updateEntity(row: EntityRow): Promise<EntityRow | null> {
    const before = this.entities.get(wordsFor(row)) ?? null;
    if (before !== null) this.entities.set(wordsFor(row), row);
    return Promise.resolve(before);
  }

  restoreEntity(ref: EntityRef, before: EntityRow | null): Promise<void> {
    if (before === null) this.entities.delete(wordsFor(ref));
    else this.entities.set(wordsFor(ref), before);
    return Promise.resolve();
  }

  mirrorConfigEntities(entities: readonly EntityRow[], now: number): Promise<void> {
    for (const [words, entity] of this.entities)
      if (entity.source === 'config') this.entities.set(words, { ...entity, removedAt: now });
    for (const entity of entities) this.entities.set(wordsFor(entity), entity);
    return Promise.resolve();
  }

  fact(name: string): Promise<string | null> {
    return Promise.resolve(this.facts.get(name) ?? null);
  }

  setFact(name: string, value: string): Promise<void> {
    this.facts.set(name, value);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  private labelId({ kind, name }: LabelName): number {
    const known = this.labels.find((label) => label.kind === kind && label.name === name);
    if (known !== undefined) return known.id;
    const id = this.labels.length + 1;
    this.labels.push({ kind, name, id });
    return id;
  }
}
