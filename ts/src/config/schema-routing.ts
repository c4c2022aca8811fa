/** The schema of providers and models: where requests can go, and which names lead there. */

import { Type, type Static } from 'typebox';
import { MAX_KEY_NAME_CHARACTERS } from '../governance/virtual-key.js';
import { CALLS, DIALECTS, QUIRKS, type Call, type Quirk } from '../providers/row.js';
import { DEFAULTS } from './defaults.js';
import { rules } from './schema-governance.js';
import { choice, duration, flag, integer, path, plain, secret, text } from './schema-scalars.js';
import { list, mapping, MAX_ENTRIES, named, optional } from './schema-shapes.js';

/** Largest weight; more would only be a misspelt number. */
const MAX_WEIGHT = 1_000_000;
/** Last tier; a fail-over chain longer than this outlasts every time limit. */
const MAX_TIER = 15;
/** Most idle connections kept per worker and provider. */
const MAX_IDLE_CONNECTIONS = 65_536;
/** Largest bound on generated tokens. */
const MAX_OUTPUT_TOKENS = 10_000_000;
/** Longest part of a credential that is not secret itself, in characters. */
const MAX_ID_CHARACTERS = 256;
/** Longest base URL, in characters. */
const MAX_URL_CHARACTERS = 2_048;

const QUIRK_NAMES = Object.keys(QUIRKS) as Quirk[];
const CALL_NAMES = Object.keys(CALLS) as Call[];

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
    ...rules,
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

const Aws = mapping(
  {
    access_key_id: optional(secret('Id of the access key. `AWS_ACCESS_KEY_ID` unless given.')),
    secret_access_key: optional(secret('The access key. `AWS_SECRET_ACCESS_KEY` unless given.')),
    session_token: optional(secret('Token of a temporary access key.')),
    profile: optional(
      plain(
        'the name of a profile',
        'Profile of the shared credentials file. `AWS_PROFILE` unless given.',
        MAX_ID_CHARACTERS,
      ),
    ),
    service: optional(
      text('address-part', 'Name of the service that requests are signed for.', { default: 'bedrock' }),
    ),
  },
  'Credentials of Amazon, for `auth: aws_sigv4`. Where neither this nor the environment has any, those of the profile, ' +
    'the container, the cluster, or (see `allow_metadata`) the machine are used.',
);

const Entra = mapping(
  {
    tenant_id: optional(text('address-part', 'The directory. `AZURE_TENANT_ID` unless given.')),
    client_id: optional(text('address-part', 'The application. `AZURE_CLIENT_ID` unless given.')),
    client_secret: optional(secret('Secret of the application. `AZURE_CLIENT_SECRET` unless given.')),
    scope: optional(
      plain(
        'a scope',
        'What the token is for: `https://ai.azure.com/.default` unless given.',
        MAX_ID_CHARACTERS,
      ),
    ),
    authority: optional(
      plain(
        'an https:// URL',
        'Where tokens are given out: `https://login.microsoftonline.com` unless given.',
        MAX_URL_CHARACTERS,
      ),
    ),
  },
  'An application registered with Microsoft Entra ID, for `auth: azure_entra`.',
);

const Oauth = mapping(
  {
    token_url: optional(
      plain(
        'an https:// URL',
        'Where tokens are given out. Needed unless the provider is known to have one.',
        MAX_URL_CHARACTERS,
      ),
    ),
    client_id: optional(plain('an id', 'The client.', MAX_ID_CHARACTERS)),
    client_secret: optional(secret('Secret of the client.')),
    scope: optional(plain('a scope', 'What the token is for. None unless given.', MAX_ID_CHARACTERS)),
  },
  'A client of an OAuth 2.0 token service, for `auth: oauth`: the grant is `client_credentials`.',
);

export const Provider = mapping(
  {
    base_url: optional(
      plain(
        'an http:// or https:// URL',
        'Address of the API, to which `/chat/completions` and the like are appended. Known providers have one. ' +
          '`{region}`, `{project}`, `{location}` and `{account}` stand for the settings of these names.',
        MAX_URL_CHARACTERS,
      ),
    ),
    dialect: optional(
      choice(DIALECTS, 'Wire format the provider speaks: that of the known provider, otherwise `openai`.'),
    ),
    auth: optional(
      text(
        'auth',
        'How the key is sent: `bearer`, `header:NAME` or `query:NAME` (the key alone in that header or parameter), or ' +
          '`none`; or what is done in place of a key: `aws_sigv4` signs requests, `google_service_account`, ' +
          '`azure_entra` and `oauth` fetch tokens. That of the known provider, otherwise what is usual in the dialect: `x-api-key` for ' +
          'Anthropic, `x-goog-api-key` for Gemini, `api-key` for Azure, none for an Ollama without keys, else `bearer`.',
      ),
    ),
    key: optional(
      secret(
        'The key; for `google_service_account` the JSON text of the key file. Known providers find theirs in the usual ' +
          'environment variable.',
      ),
    ),
    keys: optional(
      list(
        ProviderKey,
        MAX_ENTRIES,
        'a list of at least one key',
        'Several keys, chosen by weight, in place of `key`.',
      ),
    ),
    aws: optional(Aws),
    entra: optional(Entra),
    oauth: optional(Oauth),
    allow_metadata: optional(
      flag(
        'Fetch credentials from the metadata service of the machine (Amazon’s or Google’s, at a link-local address) when ' +
          'there are no others.',
        { default: false },
      ),
    ),
    region: optional(text('address-part', 'Region of Amazon. `AWS_REGION` unless given.')),
    project: optional(
      text(
        'address-part',
        'Project of Google Cloud. `GOOGLE_CLOUD_PROJECT`, or that of the key, unless given.',
      ),
    ),
    location: optional(
      text('address-part', 'Location of Vertex AI. `GOOGLE_CLOUD_LOCATION`, or `global`, unless given.'),
    ),
    account: optional(
      text(
        'address-part',
        'The part of the address that is your account’s: resource, workspace or account id.',
      ),
    ),
    api_version: optional(
      text('api-version', 'Version of Azure’s API by deployment; makes the dialect of `azure` be `azure`.'),
    ),
    quirks: optional(
      list(
        choice(QUIRK_NAMES, 'A peculiarity.'),
        QUIRK_NAMES.length,
        'a list of at least one quirk',
        'Peculiarities within the dialect, in place of those of the known provider; see the reference of providers.',
      ),
    ),
    paths: optional(
      mapping(
        Object.fromEntries(
          CALL_NAMES.map((call) => [call, optional(text('call-path', `Of ${CALLS[call]}.`))]),
        ) as Record<Call, ReturnType<typeof optional<ReturnType<typeof text>>>>,
        'Paths that differ from those of the dialect, from the base URL on, in place of those of the known provider. ' +
          '`{model}` stands for the model’s name.',
      ),
    ),
    model_in_body: optional(
      plain(
        'a name',
        'What the bodies of chats name as the model where the path has `{model}`: its name unless given.',
        MAX_ID_CHARACTERS,
      ),
    ),
    default_max_tokens: optional(
      integer(
        1,
        MAX_OUTPUT_TOKENS,
        'Most tokens to ask for where the API demands a bound, the request has none, and the model’s own is not known.',
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
    ...rules,
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
    max_output_tokens: optional(
      integer(1, MAX_OUTPUT_TOKENS, 'Most tokens the model can generate; known for many models.'),
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
    ...rules,
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
