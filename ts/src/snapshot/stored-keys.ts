/** Joins keys of providers that the admin API has stored to those of the file. Pure. */

import type { Config, ProviderConfig } from '../config/config.js';
import type { OpenedProviderKey } from '../governance/access-ports.js';

/** Before the name of a stored key in its label, so that it is none of the file's. */
const STORED = 'api:';

/**
 * The configuration with the stored keys among its providers'. One whose provider is gone, or has no use for keys any
 * more, waits until that changes.
 */
export function withStoredKeys(config: Config, stored: readonly OpenedProviderKey[]): Config {
  if (stored.length === 0) return config;
  const providers = config.providers.map((provider) => {
    const own = stored.filter((key) => key.provider === provider.name);
    return own.length === 0 || !takesKeys(provider) ? provider : joined(provider, own);
  });
  return { ...config, providers };
}

/** Whether requests to the provider carry a key that is what it is: not signed with, and not fetched. */
function takesKeys({ auth, credential }: ProviderConfig): boolean {
  return credential === null && auth.kind !== 'none' && auth.kind !== 'aws_sig_v4';
}

function joined(provider: ProviderConfig, stored: readonly OpenedProviderKey[]): ProviderConfig {
  const names = new Set(provider.keys.map(({ name }) => name));
  const fresh = stored
    .map(({ name, secret, weight }) => ({ name: `${STORED}${name}`, secret, weight, rules: [] }))
    .filter(({ name }) => !names.has(name));
  return { ...provider, keys: [...provider.keys, ...fresh] };
}
