/** The schema of providers and models: where requests can go, and which names lead there. */

import { Type, type Static } from 'typebox';
import { MAX_KEY_NAME_CHARACTERS } from '../governance/virtual-key.js';
import { DEFAULTS } from './defaults.js';
import { choice, duration, flag, integer, path, plain, secret, text } from './schema-scalars.js';
import { list, mapping, MAX_ENTRIES, named, optional } from './schema-shapes.js';

/** Largest weight; more would only be a misspelt number. */
const MAX_WEIGHT = 1_000_000;
/** Last tier; a fail-over chain longer than this outlasts every time limit. */
const MAX_TIER = 15;
/** Most idle connections kept per worker and provider. */
const MAX_IDLE_CONNECTIONS = 65_536;
/** Longest base URL, in characters. */
const MAX_URL_CHARACTERS = 2_048;

const ProviderKey = mapping(
  {
    key: secret('The key.'),
    name: optional(
      plain('a short name', 'Name in records; its place in the list unless given.', MAX_KEY_NAME_CHARACTERS),
    ),
    weight: optional(
      integer(0, MAX_WEIGHT, 'Share of the traffic relative to the other keys; 0 takes the key out of use.', {
        default: DEFAULTS.weight,
      }),
    ),
  },
  'One of several keys.',
);

export const ProviderTimeouts = mapping(
  {
    connect: optional(duration('Until the connection stands, TLS included.', { default: DEFAULTS.connect })),
    first_byte: optional(
      duration('From the request sent to the first byte of the answer.', { default: DEFAULTS.firstByte }),
    ),
    between_chunks: optional(
      duration('Between two pieces of a streamed answer.', { default: DEFAULTS.betweenChunks }),
    ),
    total: optional(duration('The whole exchange.', { default: DEFAULTS.total })),
    idle: optional(
      text('positive-duration', 'An idle connection is closed after this.', {
        default: DEFAULTS.providerIdle,
      }),
    ),
  },
  'Time limits towards providers.',
);

export const Provider = mapping(
  {
    base_url: optional(
      plain(
        'an http:// or https:// URL',
        'Address of the API, to which `/chat/completions` and the like are appended. Known providers have one.',
        MAX_URL_CHARACTERS,
      ),
    ),
    dialect: optional(choice(['openai'], 'Wire format the provider speaks.', { default: 'openai' })),
    auth: optional(
      text(
        'auth',
        'How the key is sent: `bearer`, `header:NAME` (the key alone in that header), or `none`.',
        {
          default: 'bearer',
        },
      ),
    ),
    key: optional(secret('The key. Known providers find theirs in the usual environment variable.')),
    keys: optional(
      list(
        ProviderKey,
        MAX_ENTRIES,
        'a list of at least one key',
        'Several keys, chosen by weight, in place of `key`.',
      ),
    ),
    headers: optional(
      named(
        'header-name',
        secret('Value of the header.'),
        'a mapping from header names to values',
        'Headers sent with every request.',
      ),
    ),
    usage_in_stream: optional(
      flag(
        'Ask for token usage in streams (`stream_options.include_usage`). Off for a provider that refuses the option.',
        {
          default: true,
        },
      ),
    ),
    extra_ca_file: optional(
      path('PEM file with certificates to trust for this provider, besides the public ones.'),
    ),
    idle_connections: optional(
      integer(0, MAX_IDLE_CONNECTIONS, 'Idle connections kept per worker.', {
        default: DEFAULTS.idleConnections,
      }),
    ),
    timeouts: optional(ProviderTimeouts),
  },
  'An account at a provider. May be left empty (`openai:`) for a known provider whose key is in the environment.',
);

export const Target = mapping(
  {
    provider: text('provider-name', 'Name of an entry of `providers`.'),
    model: optional(
      text(
        'model-pattern',
        'Name at the provider; the name asked for unless given. Under a pattern, `*` alone stands for what its star matched.',
      ),
    ),
    weight: optional(
      integer(0, MAX_WEIGHT, 'Share of the traffic within its tier; 0 takes the target out of use.', {
        default: DEFAULTS.weight,
      }),
    ),
    tier: optional(
      integer(
        0,
        MAX_TIER,
        'Order of preference, 0 first: a tier serves when every target before it has failed.',
        {
          default: DEFAULTS.tier,
        },
      ),
    ),
  },
  'One way to serve a model.',
);

const TargetEntry = Type.Union(
  [text('target', '`PROVIDER/MODEL`, short for a target of weight 1 in tier 0.'), Target],
  {
    expected: 'a target such as openai/gpt-4o, or a mapping with provider, model, weight and tier',
  },
);

const DetailedModel = mapping(
  {
    targets: list(
      TargetEntry,
      MAX_ENTRIES,
      'a list of at least one target',
      'Where the model leads. Targets of one tier share the traffic by weight.',
    ),
    aliases: optional(
      Type.Array(text('model-name', 'A further exact name.'), {
        maxItems: MAX_ENTRIES,
        expected: 'a list of names',
        description: 'Further exact names for the same model.',
      }),
    ),
  },
  'A model with several targets or several names.',
);

export const Model = Type.Union(
  [text('target', '`PROVIDER/MODEL`, short for a single target.'), DetailedModel],
  {
    expected: 'a target such as openai/gpt-4o, or a mapping with targets and aliases',
  },
);

export type RawProvider = Static<typeof Provider>;
export type RawProviderTimeouts = Static<typeof ProviderTimeouts>;
export type RawModel = Static<typeof Model>;
export type RawTarget = Static<typeof Target>;
