/** Prices, and what requests cost by them. Pure: no clock, no files, no sockets; money is whole pico-USD throughout. */
export { builtInPrice, pricedModels, priceOfGroups, readPrice } from './book.js';
export { approximateUsd, formatUsd, parseFactor, parseRate, parseUsd } from './money.js';
export {
  type ContextTiers,
  costOf,
  countedTokens,
  factorOf,
  type GivenRates,
  type Price,
  type PriceContext,
  type Rates,
  SERVICE_TIERS,
  type ServiceTier,
  TOKEN_KINDS,
  type TokenKind,
  type TokenUsage,
} from './price.js';
export { appliedPrice, type AppliedPrice, type PriceRule, pricesVersion } from './rules.js';
