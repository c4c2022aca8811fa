/** What is known of a provider, and the words it is said with. */

/** Wire formats that providers are spoken to in. */
export const DIALECTS = [
  'openai',
  'openai_responses',
  'anthropic',
  'gemini',
  'vertex',
  'bedrock',
  'cohere',
  'ollama',
  'azure',
] as const;

/**
 * A wire format. `openai_responses` is OpenAI's where chats are held over the Responses API only, `azure` OpenAI's on
 * Azure's paths by deployment, with an API version.
 */
export type Dialect = (typeof DIALECTS)[number];

/** Peculiarities of a provider within its dialect, each with what the gateway does about it. */
export const QUIRKS = {
  old_max_tokens: 'sends `max_tokens`, not `max_completion_tokens`',
  no_stream_options: 'sends no `stream_options`',
  random_seed: 'sends `seed` as `random_seed`',
  any_tool: 'asks for a required tool with `any`',
  no_parallel_tool_calls: 'sends no `parallel_tool_calls`',
  adaptive_thinking: 'asks for reasoning by effort, not by a budget of tokens, and sends no temperature',
  no_output_format: 'asks for structured output with a forced tool',
  thinking_level: 'asks for reasoning by level, not by a budget of tokens',
  no_call_ids: 'sends no ids of function calls',
  string_content: 'joins the parts of a text message into one string',
  short_call_ids: 'sends ids of tool calls as nine letters or digits',
  no_responses: 'translates requests of the Responses API to chat completions',
  takes_reasoning: 'sends back the reasoning that earlier answers came with',
  cache_breakpoints: 'sends `prompt_cache_breakpoint`',
  vertex_body: 'names the API version in the body, and the model in the path only',
} as const;

/** One peculiarity. */
export type Quirk = keyof typeof QUIRKS;

/** Calls whose paths a provider may have elsewhere than its dialect, each with what is asked for. */
export const CALLS = {
  chat: 'chats, in the dialect of the provider',
  chat_stream: 'chats that are streamed, where those have a path of their own',
  completions: 'completions of OpenAI’s older kind',
  responses: 'OpenAI’s responses',
  embeddings: 'embeddings',
  rerank: 'rerank',
  count_tokens: 'counts of tokens',
  moderations: 'moderations',
  images: 'images',
  speech: 'speech',
  transcriptions: 'transcriptions',
  translations: 'translations of speech',
} as const;

/** One of these calls. */
export type Call = keyof typeof CALLS;

/** Paths by call, from the base URL on; `{model}` stands for the model's name. */
export type Paths = Readonly<Partial<Record<Call, string>>>;

const OPENAI_OTHERS: readonly Call[] = [
  'embeddings',
  'rerank',
  'moderations',
  'images',
  'speech',
  'transcriptions',
  'translations',
];
const OPENAI_CALLS: readonly Call[] = ['chat', 'chat_stream', 'completions', 'responses', ...OPENAI_OTHERS];

/** The calls of each dialect that may have other paths. */
export const CALLS_OF: Readonly<Record<Dialect, readonly Call[]>> = {
  openai: OPENAI_CALLS,
  openai_responses: ['responses', ...OPENAI_OTHERS],
  anthropic: ['chat', 'chat_stream', 'count_tokens'],
  gemini: ['chat', 'chat_stream', 'count_tokens'],
  vertex: ['chat', 'chat_stream', 'count_tokens', 'embeddings'],
  bedrock: ['chat', 'chat_stream'],
  cohere: ['chat', 'embeddings', 'rerank'],
  ollama: ['chat', 'embeddings'],
  azure: OPENAI_CALLS.filter((call) => !['chat_stream', 'responses', 'moderations'].includes(call)),
};

/** Parts of an address that differ by account, written `{region}` in it. */
export type AddressPart = 'region' | 'project' | 'location' | 'account';

/** What is known of a provider's token service. */
export interface TokenService {
  /** Its address; absent where each account has its own. */
  readonly url?: string;
  /** What tokens are asked for, unless the file or the variable says otherwise. */
  readonly scope?: string;
  readonly scopeEnv?: string;
  /**
   * A header that names each request. Such a service takes the provider's key as it is (HTTP Basic, RFC 7617), and asks for
   * no grant.
   */
  readonly idHeader?: string;
  /** Variables that hold the address, the client's id and its secret. */
  readonly urlEnv?: string;
  readonly clientIdEnv?: string;
  readonly clientSecretEnv?: string;
}

/** One provider. */
export interface CatalogueRow {
  /** Name in the config and in front of a model name: `groq/llama-3.3-70b-versatile`. */
  readonly name: string;
  readonly title: string;
  /** Further names it is known by. */
  readonly aliases: readonly string[];
  readonly dialect: Dialect;
  /** The API's own path (`/chat/completions`) is appended. May hold {@link AddressPart}s in braces. */
  readonly baseUrl: string;
  /** How the address of its other API ends, which is OpenAI's; absent where there is none. */
  readonly openaiPath?: string;
  /** As in the config: `bearer`, `none`, `header:NAME`, `query:NAME`, or a way to fetch credentials. */
  readonly auth: string;
  /** Environment variables that hold a key, the most usual first; empty where none is known to be usual. */
  readonly env: readonly string[];
  /** Who gives out tokens, where `auth` is `oauth`. */
  readonly tokenService?: TokenService;
  /** Headers that go with every request, unless the file has them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Environment variables that hold the account's part of the address. */
  readonly accountEnv: readonly string[];
  /** Whether a key in the environment is enough to use it when the config names no providers. */
  readonly discovered: boolean;
  /** Whether `stream_options.include_usage` may be asked of it. */
  readonly usageInStream: boolean;
  readonly quirks: readonly Quirk[];
  /** Paths that differ from those of the dialect. */
  readonly paths: Paths;
  /** What bodies name as the model where the path does; absent for the model's name. */
  readonly modelInBody?: string;
  /** Exact names and patterns of models that are this provider's own, served without a prefix. */
  readonly families: readonly string[];
  /** A small model to try the provider with; absent where none is certain to stay. */
  readonly example?: string;
}

/** What a row says besides name, title, address and variables. */
export type Facts = Partial<Omit<CatalogueRow, 'name' | 'title' | 'baseUrl' | 'env'>>;

/** A row with the usual facts where none are given: OpenAI's dialect, a bearer key, found by its variable. */
export function row(
  name: string,
  title: string,
  baseUrl: string,
  env: string | readonly string[],
  facts: Facts = {},
): CatalogueRow {
  const variables = typeof env === 'string' ? [env] : env;
  return {
    name,
    title,
    baseUrl,
    env: variables,
    aliases: [],
    dialect: 'openai',
    auth: 'bearer',
    accountEnv: [],
    discovered: variables.length > 0,
    usageInStream: true,
    quirks: [],
    paths: {},
    families: [],
    ...facts,
  };
}
