/** Secrets at rest. */
export { SecretKeeper } from './secret-keeper.js';
