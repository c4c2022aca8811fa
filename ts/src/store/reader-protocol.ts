/** What the reading process and its owner say to each other. */
import type { SqlRow, SqlValue } from './sqlite.js';

/** One query. */
export interface ReadRequest {
  readonly id: number;
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/** What came of it. */
export type ReadResponse =
  | { readonly id: number; readonly rows: SqlRow[] }
  | { readonly id: number; readonly message: string; readonly code: string };
