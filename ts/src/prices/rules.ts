/** Prices of an operator's own: rules of the configuration, which come before the built-in book. */

import { createHash } from 'node:crypto';
import { covers } from '../governance/name-pattern.js';
import type { ModelProvider } from '../providers/models.js';
import { builtInPrice } from './book.js';
import { BOOK_VERSION } from './data/book.js';
import type { Price, PriceContext } from './price.js';

/** One rule. The first that covers a model at a provider holds, the others do not. */
export interface PriceRule {
  /** Name or pattern of the provider, as it is configured. */
  readonly provider: string;
  /** Name or pattern of the model at the provider. */
  readonly model: string;
  /** The whole price; null leaves the built-in one. */
  readonly price: Price | null;
  readonly context: PriceContext;
}

/** A price, and what it is used with. */
export interface AppliedPrice {
  readonly price: Price;
  readonly context: PriceContext;
}

/** Stands for a model whose name at the provider is not known: only a rule for all models covers it. */
const ANY = '*';

/** What a model costs at a provider; null where nobody says. */
export function appliedPrice(
  provider: ModelProvider,
  model: string | null,
  rules: readonly PriceRule[],
): AppliedPrice | null {
  const rule = rules.find((one) => covers(one.provider, provider.name) && covers(one.model, model ?? ANY));
  const price = rule?.price ?? (model === null ? null : builtInPrice(provider, model));
  if (price === null) return null;
  const region = regionOf(provider);
  return { price, context: { ...(region !== undefined && { region }), ...rule?.context } };
}

/** The region that is a part of a provider's address: `https://eu.api.openai.com`. */
function regionOf({ baseUrl }: ModelProvider): string | undefined {
  return /^https:\/\/(eu|us)\.api\.openai\.com\b/.exec(baseUrl ?? '')?.[1];
}

/** Version of the prices in use: that of the book, and where there are rules, the beginning of their digest. */
export function pricesVersion(rules: readonly PriceRule[]): string {
  if (rules.length === 0) return BOOK_VERSION;
  const text = JSON.stringify(rules, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  return `${BOOK_VERSION}+${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}
