/** Credentials that have to be fetched. Besides the command line, the only folder that opens connections outwards. */
export { fetchCredential } from './fetch.js';
export { CredentialKeeper } from './keeper.js';
