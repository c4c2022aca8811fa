/** Listening: where the admin application may be reached. */
import type { AdminApp } from './app.js';
import { isLoopback } from './guard.js';

/** How long a request may still take when the listener closes. Reports are for people, who can ask again. */
const CLOSE_TIMEOUT_MS = 1_000;

/** The listener cannot be opened as asked. */
export class UnsafeAdminListener extends Error {
  constructor(host: string) {
    super(
      `the admin listener may not be bound to ${host} without a token: anyone who reaches it could make keys. ` +
        'Set an admin token, or bind it to 127.0.0.1',
    );
    this.name = 'UnsafeAdminListener';
  }
}

/** Splits `address:port`, with the address in brackets for IPv6. */
export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

/** Refuses an address that others can reach when there is no token that could keep them out. */
export function requireCredential(host: string, tokenDigests: readonly string[]): void {
  if (tokenDigests.length === 0 && !isLoopback(host)) throw new UnsafeAdminListener(host);
}

/** Listens, and answers the URL under which the listener is reached. {@link closeAdmin} ends it. */
export async function listenAdmin(
  app: AdminApp,
  address: string,
  tokenDigests: readonly string[],
): Promise<string> {
  const { host, port } = splitAddress(address);
  requireCredential(host, tokenDigests);
  return app.listen({ host, port });
}

/**
 * Closes the listener when the requests that run have been answered. Who is slow, or has sent half a request and no more,
 * is cut off: it must not keep the process from ending.
 */
export async function closeAdmin(app: AdminApp): Promise<void> {
  const cutOff = setTimeout(() => app.server.closeAllConnections(), CLOSE_TIMEOUT_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(cutOff);
  }
}
