/** The admin API. */
export { type AdminApp, API_PREFIX, buildAdminApp } from './app.js';
export type { AdminDependencies, AdminOptions, AdminStore, AdminUsage } from './ports.js';
export { listenAdmin, requireCredential, splitAddress, UnsafeAdminListener } from './server.js';
