/**
 * Providers that speak OpenAI's wire format, as facts: where the API is, how the key is sent, which environment variable
 * holds it, and which model names are the provider's own. A row makes a provider usable with nothing but a key.
 *
 * A row is here only when its address and authentication are certain. `usageInStream` is false where a provider refuses
 * unknown request fields or is not known to accept `stream_options`; those report usage in their streams unasked.
 */

/** One provider. */
export interface CatalogueRow {
  /** Name in the config and in front of a model name: `groq/llama-3.3-70b-versatile`. */
  readonly name: string;
  readonly title: string;
  /** The API's own path (`/chat/completions`) is appended. */
  readonly baseUrl: string;
  /** `bearer`, `none` or `header:NAME`. */
  readonly auth: string;
  /** Environment variables that hold a key, the most usual first; empty for servers that need none. */
  readonly env: readonly string[];
  /** Whether `stream_options.include_usage` may be asked of it. */
  readonly usageInStream: boolean;
  /** Exact names and patterns of models that are this provider's own, served without a prefix. */
  readonly families: readonly string[];
  /** A small model to try the provider with; absent where none is certain to stay. */
  readonly example?: string;
}

type Facts = Partial<Omit<CatalogueRow, 'name' | 'title' | 'baseUrl' | 'env'>>;

function row(
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
    auth: 'bearer',
    usageInStream: true,
    families: [],
    ...facts,
  };
}

/** How servers on the own machine are reached: without a key. */
const LOCAL: Facts = { auth: 'none' };

const OPENAI_FAMILIES = [
  'gpt-*',
  'chatgpt-*',
  'codex-*',
  'computer-use-*',
  'davinci-*',
  'babbage-*',
  'text-embedding-*',
  'o1',
  'o1-*',
  'o3',
  'o3-*',
  'o4-*',
];

/** Every known provider, in the order in which found ones are listed. */
export const CATALOGUE: readonly CatalogueRow[] = [
  row('openai', 'OpenAI', 'https://api.openai.com/v1', 'OPENAI_API_KEY', {
    families: OPENAI_FAMILIES,
    example: 'gpt-4o-mini',
  }),
  row('groq', 'Groq', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY', { example: 'llama-3.1-8b-instant' }),
  row('mistral', 'Mistral AI', 'https://api.mistral.ai/v1', 'MISTRAL_API_KEY', {
    usageInStream: false,
    families: [
      'mistral-*',
      'ministral-*',
      'magistral-*',
      'codestral-*',
      'devstral-*',
      'pixtral-*',
      'open-mistral-*',
    ],
    example: 'mistral-small-latest',
  }),
  row('deepseek', 'DeepSeek', 'https://api.deepseek.com/v1', 'DEEPSEEK_API_KEY', {
    families: ['deepseek-*'],
    example: 'deepseek-chat',
  }),
  row(
    'gemini',
    'Google Gemini',
    'https://generativelanguage.googleapis.com/v1beta/openai',
    'GEMINI_API_KEY',
    {
      families: ['gemini-*'],
      example: 'gemini-flash-latest',
    },
  ),
  row('xai', 'xAI', 'https://api.x.ai/v1', 'XAI_API_KEY', { families: ['grok-*'], example: 'grok-4-latest' }),
  row('openrouter', 'OpenRouter', 'https://openrouter.ai/api/v1', 'OPENROUTER_API_KEY', {
    example: 'openrouter/auto',
  }),
  row('together', 'Together AI', 'https://api.together.xyz/v1', ['TOGETHER_API_KEY', 'TOGETHERAI_API_KEY']),
  row('fireworks', 'Fireworks AI', 'https://api.fireworks.ai/inference/v1', 'FIREWORKS_API_KEY', {
    families: ['accounts/fireworks/*'],
  }),
  row('cerebras', 'Cerebras', 'https://api.cerebras.ai/v1', 'CEREBRAS_API_KEY', {
    usageInStream: false,
    example: 'gpt-oss-120b',
  }),
  row(
    'perplexity',
    'Perplexity',
    'https://api.perplexity.ai',
    ['PERPLEXITY_API_KEY', 'PERPLEXITYAI_API_KEY'],
    {
      usageInStream: false,
      families: ['sonar', 'sonar-*'],
      example: 'sonar',
    },
  ),
  row('nvidia', 'NVIDIA NIM', 'https://integrate.api.nvidia.com/v1', [
    'NVIDIA_API_KEY',
    'NVIDIA_NIM_API_KEY',
  ]),
  row('moonshot', 'Moonshot AI', 'https://api.moonshot.ai/v1', 'MOONSHOT_API_KEY', {
    families: ['kimi-*', 'moonshot-*'],
    example: 'kimi-latest',
  }),
  row('zai', 'Z.AI', 'https://api.z.ai/api/paas/v4', 'ZAI_API_KEY', { families: ['glm-*'] }),
  row('minimax', 'MiniMax', 'https://api.minimax.io/v1', 'MINIMAX_API_KEY', { families: ['MiniMax-*'] }),
  row(
    'dashscope',
    'Alibaba DashScope',
    'https://dashscope.aliyuncs.com/compatible-mode/v1',
    'DASHSCOPE_API_KEY',
    {
      families: ['qwen-*', 'qwen2*', 'qwen3*'],
      example: 'qwen-plus',
    },
  ),
  row('cohere', 'Cohere', 'https://api.cohere.com/compatibility/v1', 'COHERE_API_KEY', {
    usageInStream: false,
    families: ['command-*'],
  }),
  row('sambanova', 'SambaNova', 'https://api.sambanova.ai/v1', 'SAMBANOVA_API_KEY'),
  row('deepinfra', 'DeepInfra', 'https://api.deepinfra.com/v1/openai', 'DEEPINFRA_API_KEY'),
  row('hyperbolic', 'Hyperbolic', 'https://api.hyperbolic.xyz/v1', 'HYPERBOLIC_API_KEY'),
  row('baseten', 'Baseten', 'https://inference.baseten.co/v1', 'BASETEN_API_KEY'),
  row('nscale', 'Nscale', 'https://inference.api.nscale.com/v1', 'NSCALE_API_KEY'),
  row('friendli', 'FriendliAI', 'https://api.friendli.ai/serverless/v1', 'FRIENDLI_TOKEN'),
  row('featherless', 'Featherless AI', 'https://api.featherless.ai/v1', 'FEATHERLESS_AI_API_KEY'),
  row('chutes', 'Chutes', 'https://llm.chutes.ai/v1', 'CHUTES_API_KEY'),
  row('huggingface', 'Hugging Face', 'https://router.huggingface.co/v1', 'HUGGINGFACE_API_KEY'),
  row('vercel', 'Vercel AI Gateway', 'https://ai-gateway.vercel.sh/v1', 'VERCEL_AI_GATEWAY_API_KEY'),
  row('ollama', 'Ollama', 'http://127.0.0.1:11434/v1', [], LOCAL),
  row('lm_studio', 'LM Studio', 'http://127.0.0.1:1234/v1', [], LOCAL),
  row('vllm', 'vLLM', 'http://127.0.0.1:8000/v1', [], LOCAL),
];

const BY_NAME: ReadonlyMap<string, CatalogueRow> = new Map(CATALOGUE.map((entry) => [entry.name, entry]));

/** The row of a known provider. */
export function catalogueRow(name: string): CatalogueRow | undefined {
  return BY_NAME.get(name);
}

/** A provider found in the environment. */
export interface FoundProvider {
  readonly row: CatalogueRow;
  /** The variable its key is in. */
  readonly variable: string;
}

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Known providers whose key is in the environment, in the catalogue's order. A blank variable counts as absent. */
export function findProviders(variables: Variables): FoundProvider[] {
  return CATALOGUE.flatMap((entry) => {
    const variable = keyVariable(entry, variables);
    return variable === undefined ? [] : [{ row: entry, variable }];
  });
}

/** The first of a provider's variables that holds something. */
export function keyVariable(entry: CatalogueRow, variables: Variables): string | undefined {
  return entry.env.find((name) => (variables[name] ?? '').trim() !== '');
}
