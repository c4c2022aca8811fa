/**
 * The schema of `sluice.yaml`: the one description of the format, from which the checks, the types and the reference
 * page come. Unknown keys are refused everywhere, so that a misspelt one is never silently without effect.
 */

import { Type, type Static } from 'typebox';
import { MAX_NETWORKS, MAX_TAGS } from '../governance/entity.js';
import {
  MAX_ALLOWED_MODELS,
  MAX_CONCURRENCY,
  MAX_KEY_NAME_CHARACTERS,
  MAX_RATE,
} from '../governance/virtual-key.js';
import { DEFAULTS } from './defaults.js';
import { entitySections, KeyOwner, metadata, providerList, routeList, rules } from './schema-governance.js';
import { PriceRule } from './schema-prices.js';
import { Model, Provider, ProviderTimeouts } from './schema-routing.js';
import { choice, duration, flag, integer, limit, path, plain, secret, text } from './schema-scalars.js';
import { StoreSection } from './schema-store.js';
import { list, mapping, MAX_ENTRIES, named, optional } from './schema-shapes.js';

/** Most worker threads. */
const MAX_WORKERS = 1_024;
/** Most client connections at once. */
const MAX_CONNECTIONS = 1_000_000;
/** Largest of the counts that the data plane keeps in 32 bits. */
const MAX_COUNT = 4_294_967_295;
/** Most rules for prices. */
const MAX_PRICE_RULES = 1_000;
/** Most master keys of former times. */
const MAX_PREVIOUS_KEYS = 16;
/** Most days for which single requests are kept: ten years. */
const MAX_USAGE_DAYS = 3_660;

const Tls = mapping(
  {
    certificate_file: path('PEM file with the certificate chain, the own certificate first.'),
    private_key_file: path('PEM file with the private key of the first certificate.'),
  },
  'Serve this listener over TLS, with HTTP/1.1 and HTTP/2.',
);

const DataListener = mapping(
  {
    address: optional(
      text('socket-address', 'Where clients connect. Port 0 lets the system choose.', {
        default: DEFAULTS.dataAddress,
      }),
    ),
    tls: optional(Tls),
  },
  'A socket for clients.',
);

const AdminListener = mapping(
  {
    address: optional(
      text(
        'socket-address',
        'Where the admin API and the metrics are served. Anything but loopback needs a token.',
        {
          default: DEFAULTS.adminAddress,
        },
      ),
    ),
    token: optional(
      secret(
        'Bearer token of the admin API, at least 16 characters. Without one, and without `SLUICE_ADMIN_TOKEN` in the ' +
          'environment, the first start generates a token, shows it once and keeps only its digest.',
      ),
    ),
    allowed_hosts: optional(
      Type.Array(text('host-name', 'A host name.'), {
        maxItems: MAX_ENTRIES,
        expected: 'a list of host names',
        description:
          'Names under which the listener may be reached, besides its address and localhost. Requests that name another ' +
          'host are refused, so that no web page can reach the listener by DNS rebinding.',
      }),
    ),
    metrics: optional(
      choice(
        ['loopback', 'token'],
        'Who may read `/metrics`: holders of the token, or also anyone on this machine. It names models and providers, ' +
          'never keys.',
        { default: DEFAULTS.metrics },
      ),
    ),
  },
  'The admin API, its OpenAPI document and the metrics.',
);

const Listeners = mapping(
  {
    data: optional(
      Type.Union([DataListener, list(DataListener, MAX_ENTRIES, 'a list of at least one listener', '')], {
        expected: 'a listener, or a list of at least one listener',
        description: 'Where clients connect: one listener, or a list of them.',
      }),
    ),
    admin: optional(AdminListener),
  },
  'Sockets to listen on. Changes take a restart.',
);

const KeyLimits = mapping(
  {
    requests_per_minute: optional(limit(MAX_RATE, 'Requests per minute.')),
    tokens_per_minute: optional(limit(MAX_RATE, 'Tokens per minute, input and output together.')),
    concurrency: optional(limit(MAX_CONCURRENCY, 'Requests at once.')),
  },
  'Limits of one key. What is not given is taken from `limits.per_key`; `unlimited` lifts that.',
);

const PreviousSecret = mapping(
  {
    secret: optional(secret('The secret in use until now.')),
    sha256: optional(text('sha256', 'SHA-256 digest of that secret, in place of `secret`.')),
    expires_at: text('moment', 'When it stops being accepted.'),
  },
  'The secret that is being replaced, still accepted for a while.',
);

const VirtualKey = mapping(
  {
    name: plain('a name', 'Name in lists, reports and metrics; unique.', MAX_KEY_NAME_CHARACTERS),
    secret: optional(secret('What clients present, at least 20 random characters.')),
    sha256: optional(text('sha256', 'SHA-256 digest of the secret, in place of `secret`.')),
    previous: optional(PreviousSecret),
    models: optional(
      Type.Array(text('model-pattern', 'A name, or a pattern with one `*`.'), {
        maxItems: MAX_ALLOWED_MODELS,
        expected: 'a list of model names and patterns',
        description: 'Models the key may use; an empty list allows none.',
        default: ['*'],
      }),
    ),
    limits: optional(KeyLimits),
    expires_at: optional(text('moment', 'When the key stops being accepted.')),
    owner: optional(KeyOwner),
    tags: optional(
      Type.Array(text('entity-name', 'A tag.'), {
        maxItems: MAX_TAGS,
        expected: 'a list of names of tags',
        description: 'Tags, whose limits then hold for it as well.',
      }),
    ),
    providers: providerList,
    routes: routeList,
    networks: optional(
      Type.Array(text('network', 'A network.'), {
        maxItems: MAX_NETWORKS,
        expected: 'a list of networks',
        description: 'Networks that its clients must be in, such as `10.0.0.0/8`; any unless given.',
      }),
    ),
    ...rules,
    metadata,
  },
  'A key for clients, declared in the file. Others are made by `sluice keys create` and the admin API.',
);

const Limits = mapping(
  {
    per_key: optional(KeyLimits),
    request_body: optional(
      text('size', 'Longest request body, after decoding.', { default: DEFAULTS.requestBody }),
    ),
    response_body: optional(
      text('size', 'Longest answer that is not a stream.', { default: DEFAULTS.responseBody }),
    ),
    stream_event: optional(
      text('size', 'Longest single event of a stream.', { default: DEFAULTS.streamEvent }),
    ),
    connections: optional(
      integer(1, MAX_CONNECTIONS, 'Client connections at once; further ones wait. Changes take a restart.', {
        default: DEFAULTS.connections,
      }),
    ),
    requests_per_connection: optional(
      integer(1, MAX_COUNT, 'Requests served on one connection before it is closed.', {
        default: DEFAULTS.requestsPerConnection,
      }),
    ),
    auth_failures_per_minute: optional(
      integer(
        0,
        MAX_COUNT,
        'Failed authentications per minute and address before answers become 429; 0 turns it off.',
        {
          default: DEFAULTS.authFailuresPerMinute,
        },
      ),
    ),
  },
  'Bounds on what clients may send and use.',
);

const Timeouts = mapping(
  {
    header: optional(
      text('positive-duration', 'For a client to send a whole request head.', { default: DEFAULTS.header }),
    ),
    body: optional(
      text('positive-duration', 'For a client to send a whole request body.', { default: DEFAULTS.body }),
    ),
    idle: optional(
      text('positive-duration', 'A client connection without a request is closed after this.', {
        default: DEFAULTS.clientIdle,
      }),
    ),
    write: optional(
      text('positive-duration', 'A client that accepts no bytes for this long is cut off.', {
        default: DEFAULTS.write,
      }),
    ),
    drain: optional(
      duration('For running requests to finish when the process is told to stop.', {
        default: DEFAULTS.drain,
      }),
    ),
    drain_lag: optional(
      duration(
        'How long `/readyz` says 503 before the listeners close, for load balancers to look elsewhere.',
        { default: DEFAULTS.drainLag },
      ),
    ),
    provider: optional(ProviderTimeouts),
  },
  'Time limits towards clients, and the defaults of those towards providers.',
);

const Settings = mapping(
  {
    require_key: optional(
      flag(
        'Refuse requests without a valid virtual key. Off only where nobody else can reach the listener.',
        {
          default: DEFAULTS.requireKey,
        },
      ),
    ),
    reload_on_change: optional(
      flag('Apply this file when it changes. `SIGHUP` and the admin API reload it in any case.', {
        default: DEFAULTS.reloadOnChange,
      }),
    ),
    unpriced: optional(
      choice(
        ['refuse_under_budget', 'refuse', 'allow'],
        'What becomes of requests for models that have no price: refused where a budget holds for them, refused always, or let ' +
          'through as if they cost nothing.',
        { default: DEFAULTS.unpriced },
      ),
    ),
    usage_detail_days: optional(
      integer(1, MAX_USAGE_DAYS, 'Days for which single requests are kept. Changes take a restart.', {
        default: DEFAULTS.usageDetailDays,
      }),
    ),
    usage_report_days: optional(
      integer(
        1,
        MAX_USAGE_DAYS,
        'Days for which the sums behind the reports are kept; for good unless given. Changes take a restart.',
      ),
    ),
    usage_sync: optional(
      choice(
        ['always', 'interval', 'never'],
        'When usage records reach the disk, for the case that the machine loses power: after every write, four times a ' +
          'second, or when the system sees fit. A killed process loses no written record in any case. Changes take a restart.',
        { default: DEFAULTS.usageSync },
      ),
    ),
    log_level: optional(
      choice(['debug', 'info', 'warn', 'error'], 'Least severe log lines to write. Changes take a restart.', {
        default: DEFAULTS.logLevel,
      }),
    ),
  },
  'Switches.',
);

const Translate = mapping(
  {
    unsupported: optional(
      choice(
        ['drop', 'reject'],
        'What becomes of parts of a request that the provider’s dialect has no word for: `drop` leaves them out and names ' +
          'them in the header `x-sluice-dropped`, `reject` answers 400.',
        { default: DEFAULTS.translateUnsupported },
      ),
    ),
  },
  'Translation between dialects.',
);

const Secrets = mapping(
  {
    master_key: secret(
      'Key that stored secrets are sealed with: 32 random bytes, as base64 or 64 hexadecimal digits (`openssl rand -base64 32`).',
    ),
    previous: optional(
      Type.Array(secret('A master key.'), {
        maxItems: MAX_PREVIOUS_KEYS,
        expected: 'a list of master keys',
        description: 'Master keys that were in use before, until `sluice secrets rotate` has been run.',
      }),
    ),
  },
  'How provider keys that the admin API stores are encrypted. Without it, a key in the data directory is made when the ' +
    'first secret is stored; back it up apart from the database.',
);

/** The whole file. */
export const ConfigSchema = mapping(
  {
    listeners: optional(Listeners),
    data_dir: optional(
      path('Directory of the database, made if absent. Changes take a restart.', {
        default: DEFAULTS.dataDir,
      }),
    ),
    store: optional(StoreSection),
    secrets: optional(Secrets),
    workers: optional(
      integer(0, MAX_WORKERS, 'Worker threads; 0 takes one per core. Changes take a restart.', {
        default: DEFAULTS.workers,
      }),
    ),
    providers: optional(
      named(
        'provider-name',
        Provider,
        'a mapping from provider names to their settings',
        'Providers by name. When absent, those whose key is in a well-known environment variable; with none of these, a ' +
          'built-in demo provider.',
      ),
    ),
    models: optional(
      named(
        'model-pattern',
        Model,
        'a mapping from model names to targets',
        'Names that clients may ask for, exact or as a pattern with one `*`. An exact name wins over a pattern, a longer ' +
          'pattern over a shorter one. When absent, `PROVIDER/MODEL` works for every provider, a provider’s own model ' +
          'names work without the prefix, and with a single provider every name does.',
      ),
    ),
    ...entitySections,
    keys: optional(
      Type.Array(VirtualKey, {
        expected: 'a list of keys',
        description: 'Virtual keys declared in the file.',
      }),
    ),
    limits: optional(Limits),
    timeouts: optional(Timeouts),
    translate: optional(Translate),
    prices: optional(
      list(
        PriceRule,
        MAX_PRICE_RULES,
        'a list of at least one price',
        'Prices of your own, before those that are built in. Of several that cover a model, the first holds.',
      ),
    ),
    settings: optional(Settings),
  },
  'Configuration of Sluice.',
);

/** The file as written: checked against the schema, nothing filled in yet. */
export type RawConfig = Static<typeof ConfigSchema>;
export type RawVirtualKey = Static<typeof VirtualKey>;
export type RawDataListener = Static<typeof DataListener>;
export type RawKeyLimits = Static<typeof KeyLimits>;
