/** The body of the reading process: one query after the other, over a connection that cannot write. */
import type { ReadRequest, ReadResponse } from './reader-protocol.js';
import { openReadOnly } from './sqlite.js';

const connection = openReadOnly(process.argv[2] ?? '');

// A terminal and a service manager signal the whole group; this process ends when its owner lets go of it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', (request: ReadRequest) => process.send?.(answer(request)));

function answer({ id, sql, values }: ReadRequest): ReadResponse {
  try {
    return { id, rows: connection.all(sql, values) };
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return { id, message, code: code ?? 'SQLITE_ERROR' };
  }
}
