/** The schema of prices: what models cost that the built-in price book does not know, or has wrong for this operator. */

import type { Static } from 'typebox';
import { SERVICE_TIERS } from '../prices/index.js';
import { choice, decimal, integer, text } from './schema-scalars.js';
import { list, mapping, optional } from './schema-shapes.js';

/** Most bounds on the size of prompt at which a price changes. */
const MAX_CONTEXT_TIERS = 8;
/** Largest prompt there can be, in tokens. */
const MAX_CONTEXT = 1_000_000_000;
/** Highest price per million tokens, in USD. */
const MAX_PRICE_USD = 10_000;
/** Highest price per request, in USD: its pico-USD have to be a number that JSON carries exactly. */
const MAX_REQUEST_USD = 9_000;
/** Largest factor. */
const MAX_FACTOR = 100;

const rate = (description: string) => optional(decimal('rate', MAX_PRICE_USD, description));

const rates = {
  input: rate('Tokens of the prompt.'),
  cached_input: rate('Tokens of the prompt read from the provider’s cache; as `input` unless given.'),
  cache_write: rate('Tokens of the prompt written to the provider’s cache; as `input` unless given.'),
  cache_write_1h: rate('Tokens written to the cache for an hour; as `cache_write` unless given.'),
  audio_input: rate('Tokens of sound in the prompt; as `input` unless given.'),
  image_input: rate('Tokens of images in the prompt; as `input` unless given.'),
  output: rate('Tokens of the answer.'),
  reasoning: rate('Tokens of reasoning; as `output` unless given.'),
  audio_output: rate('Tokens of sound in the answer; as `output` unless given.'),
  image_output: rate('Tokens of images in the answer; as `output` unless given.'),
};

const ContextTier = mapping(
  {
    input_tokens: integer(1, MAX_CONTEXT, 'The prices hold where the prompt has more tokens than this.'),
    ...rates,
  },
  'Prices of requests with a large prompt, for all their tokens. What is not given stays as it is, but reading from a cache ' +
    'never costs more than `input`, and writing never less.',
);

export const PriceRule = mapping(
  {
    provider: optional(
      text('model-pattern', 'Name of an entry of `providers`, or a pattern with one `*`; `*` unless given.'),
    ),
    model: optional(
      text(
        'model-pattern',
        'Name of the model at the provider, or a pattern with one `*`; `*` unless given.',
      ),
    ),
    ...rates,
    request: optional(decimal('usd', MAX_REQUEST_USD, 'Each request, besides its tokens; 0 unless given.')),
    above: optional(
      list(
        ContextTier,
        MAX_CONTEXT_TIERS,
        'a list of at least one tier',
        'Prices beyond sizes of the prompt.',
      ),
    ),
    factor: optional(
      decimal(
        'factor',
        MAX_FACTOR,
        'What the cost is multiplied by: `0.9` for a tenth off; `1` unless given.',
      ),
    ),
    service_tier: optional(
      choice(
        SERVICE_TIERS,
        'Tier that the built-in price is taken of where the answer names none; the standard one unless given.',
      ),
    ),
  },
  'What models cost: with `input` and `output` in USD per million tokens a whole price, without any price a change of the ' +
    'built-in one.',
);

export type RawPriceRule = Static<typeof PriceRule>;
export type RawContextTier = Static<typeof ContextTier>;
