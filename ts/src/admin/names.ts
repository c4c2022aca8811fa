/** Turning ids of usage into names, and names of filters into ids. */
import type { LabelKind } from '../governance/ports.js';
import type { AdminDependencies } from './ports.js';

/** Id and name; the name is null where the id is 0 (the request did not get that far) or was never given. */
export interface NamedId {
  readonly id: number;
  readonly name: string | null;
}

/** What ids mean at one moment. Labels are never taken back, so reports of long ago keep their names. */
export class Names {
  private constructor(
    private readonly keys: ReadonlyMap<number, string>,
    private readonly labels: ReadonlyMap<LabelKind, ReadonlyMap<number, string>>,
  ) {}

  static async read({ store }: Pick<AdminDependencies, 'store'>): Promise<Names> {
    const keys = new Map((await store.listKeys()).map((key) => [key.id, key.name]));
    const labels = new Map<LabelKind, Map<number, string>>();
    for (const { kind, id, name } of await store.listLabels()) {
      const ofKind = labels.get(kind) ?? new Map<number, string>();
      labels.set(kind, ofKind.set(id, name));
    }
    return new Names(keys, labels);
  }

  key(id: number): NamedId {
    return { id, name: this.keys.get(id) ?? null };
  }

  label(kind: LabelKind, id: number): NamedId {
    return { id, name: this.labels.get(kind)?.get(id) ?? null };
  }

  /** Ids of a kind with exactly this name; none for a name that was never configured. */
  idsOf(kind: LabelKind, name: string): number[] {
    return [...(this.labels.get(kind) ?? [])].filter(([, known]) => known === name).map(([id]) => id);
  }
}
