/** The admin API. */
export { type AdminApp, buildAdminApp } from './app.js';
export type { AdminDependencies, AdminOptions } from './ports.js';
export { closeAdmin, listenAdmin, requireCredential, splitAddress, UnsafeAdminListener } from './server.js';
