/**
 * Providers whose facts are certain, by hand. They come before the imported ones, in the order in which found ones are
 * listed. `usageInStream` is false where a provider refuses unknown request fields or is not known to accept
 * `stream_options`; those report usage in their streams unasked.
 */

import { row, type CatalogueRow, type Facts, type Paths } from '../row.js';

/** How servers on the own machine are reached: without a key. */
const LOCAL: Facts = { auth: 'none' };

/** Of providers that speak OpenAI's format as it was before reasoning models. */
const OLD: Facts = { quirks: ['old_max_tokens', 'no_responses'] };

/** Of those among them that want the reasoning of earlier answers back. */
const THINKING: Facts = { quirks: [...(OLD.quirks ?? []), 'takes_reasoning'] };

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

const MISTRAL_FAMILIES = [
  'mistral-*',
  'ministral-*',
  'magistral-*',
  'codestral-*',
  'devstral-*',
  'pixtral-*',
  'open-mistral-*',
];

const VERTEX = 'https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}';

/** How other companies' models are asked on Vertex AI: in their makers' own formats, streams on a path of their own. */
const RAW_PREDICT: Paths = {
  chat: '/models/{model}:rawPredict',
  chat_stream: '/models/{model}:streamRawPredict',
};

/** Large clouds, which want more than a key. */
const CLOUDS: readonly CatalogueRow[] = [
  row('bedrock', 'Amazon Bedrock', 'https://bedrock-runtime.{region}.amazonaws.com', [], {
    aliases: ['bedrock_converse', 'aws', 'amazon-bedrock'],
    dialect: 'bedrock',
    auth: 'aws_sigv4',
    discovered: true,
    families: [
      'anthropic.*',
      'amazon.*',
      'us.anthropic.*',
      'eu.anthropic.*',
      'global.anthropic.*',
      'us.amazon.*',
    ],
  }),
  row('vertex', 'Google Vertex AI', VERTEX, [], {
    aliases: ['vertex_ai', 'google-vertex'],
    dialect: 'vertex',
    auth: 'google_service_account',
    discovered: true,
    quirks: ['no_call_ids'],
  }),
  row('vertex-openai', 'Google Vertex AI, open models', `${VERTEX}/endpoints/openapi`, [], {
    aliases: ['vertex_ai-openai_models'],
    auth: 'google_service_account',
    ...OLD,
  }),
  // https://docs.anthropic.com/en/api/claude-on-vertex-ai
  row('vertex-anthropic', 'Google Vertex AI, Claude', `${VERTEX}/publishers/anthropic`, [], {
    aliases: ['vertex_ai-anthropic_models', 'google-vertex-anthropic'],
    dialect: 'anthropic',
    auth: 'google_service_account',
    quirks: ['vertex_body'],
    paths: { ...RAW_PREDICT, count_tokens: '/models/count-tokens:rawPredict' },
  }),
  // https://docs.mistral.ai/deployment/cloud/vertex
  row('vertex-mistral', 'Google Vertex AI, Mistral', `${VERTEX}/publishers/mistralai`, [], {
    aliases: ['vertex_ai-mistral_models'],
    auth: 'google_service_account',
    usageInStream: false,
    quirks: ['old_max_tokens', 'random_seed', 'any_tool', 'no_responses', 'short_call_ids'],
    paths: RAW_PREDICT,
  }),
  // https://docs.ai21.com/docs/google-cloud-vertex-ai
  row('vertex-ai21', 'Google Vertex AI, AI21', `${VERTEX}/publishers/ai21`, [], {
    aliases: ['vertex_ai-ai21_models'],
    auth: 'google_service_account',
    usageInStream: false,
    ...OLD,
    paths: RAW_PREDICT,
  }),
  // https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html
  // The key is a bearer token of at most twelve hours, and the model the name of an endpoint.
  row('sagemaker', 'Amazon SageMaker endpoints', 'https://runtime.sagemaker.{region}.amazonaws.com', [], {
    aliases: ['sagemaker_chat', 'sagemaker_nova'],
    ...OLD,
    paths: { chat: '/endpoints/{model}/openai/v1/chat/completions' },
  }),
  // https://developers.sber.ru/docs/ru/gigachat/guides/compatible-openai
  // The key is that of the project, for which tokens of half an hour are given out. Tools are not read by this API.
  row('gigachat', 'Sber GigaChat', 'https://gigachat.devices.sberbank.ru/api/v1', 'GIGACHAT_CREDENTIALS', {
    auth: 'oauth',
    discovered: false,
    quirks: [...(OLD.quirks ?? []), 'no_stream_options'],
    usageInStream: false,
    tokenService: {
      url: 'https://ngw.devices.sberbank.ru:9443/api/v2/oauth',
      scope: 'GIGACHAT_API_PERS',
      scopeEnv: 'GIGACHAT_SCOPE',
      idHeader: 'RqUID',
    },
  }),
  // https://help.sap.com/docs/sap-ai-core/generative-ai/consume-generative-ai-models-using-sap-ai-core
  // The account is the first part of the API's address in the service key (`prod.eu-central-1.aws`), the model the id of a
  // deployment of a model of OpenAI's. Its `AICORE_BASE_URL` has the version in some places and not in others.
  row('sap', 'SAP AI Core', 'https://api.ai.{account}.ml.hana.ondemand.com/v2', [], {
    auth: 'oauth',
    discovered: false,
    quirks: ['no_responses'],
    headers: { 'ai-resource-group': 'default' },
    tokenService: {
      urlEnv: 'AICORE_AUTH_URL',
      clientIdEnv: 'AICORE_CLIENT_ID',
      clientSecretEnv: 'AICORE_CLIENT_SECRET',
    },
    paths: {
      chat: '/inference/deployments/{model}/chat/completions?api-version=2024-10-21',
      embeddings: '/inference/deployments/{model}/embeddings?api-version=2024-10-21',
    },
  }),
  // https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api
  row(
    'snowflake',
    'Snowflake Cortex',
    'https://{account}.snowflakecomputing.com/api/v2/cortex/v1',
    ['SNOWFLAKE_PAT', 'SNOWFLAKE_JWT'],
    { accountEnv: ['SNOWFLAKE_ACCOUNT'], discovered: false, quirks: ['no_responses'] },
  ),
  // https://www.ibm.com/docs/en/watsonx/saas?topic=preview-accessing-models-through-model-gateway
  row(
    'watsonx',
    'IBM watsonx.ai, model gateway',
    'https://{account}.ml.cloud.ibm.com/ml/gateway/v1',
    ['WATSONX_API_KEY'],
    { accountEnv: ['WATSONX_REGION'], discovered: false, ...OLD },
  ),
  // https://docs.oracle.com/en-us/iaas/Content/generative-ai/openai-compatible-api.htm
  row(
    'oci',
    'Oracle OCI Generative AI',
    'https://inference.generativeai.{account}.oci.oraclecloud.com/openai/v1',
    ['OCI_GENAI_API_KEY', 'OCI_KEY'],
    { accountEnv: ['OCI_REGION'], discovered: false, quirks: ['old_max_tokens'] },
  ),
  row(
    'azure',
    'Azure OpenAI',
    'https://{account}.openai.azure.com/openai/v1',
    ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'],
    {
      aliases: ['azure_openai', 'azure-openai'],
      auth: 'header:api-key',
      accountEnv: ['AZURE_OPENAI_RESOURCE'],
    },
  ),
];

const LARGE: readonly CatalogueRow[] = [
  row('openai', 'OpenAI', 'https://api.openai.com/v1', 'OPENAI_API_KEY', {
    families: OPENAI_FAMILIES,
    example: 'gpt-4o-mini',
  }),
  row('anthropic', 'Anthropic', 'https://api.anthropic.com/v1', 'ANTHROPIC_API_KEY', {
    dialect: 'anthropic',
    auth: 'header:x-api-key',
    families: ['claude-*'],
    example: 'claude-haiku-4-5',
  }),
  row('groq', 'Groq', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY', {
    example: 'llama-3.1-8b-instant',
  }),
  row('mistral', 'Mistral AI', 'https://api.mistral.ai/v1', 'MISTRAL_API_KEY', {
    aliases: ['mistralai'],
    usageInStream: false,
    quirks: ['old_max_tokens', 'random_seed', 'any_tool', 'no_responses', 'short_call_ids'],
    families: MISTRAL_FAMILIES,
    example: 'mistral-small-latest',
  }),
  row('deepseek', 'DeepSeek', 'https://api.deepseek.com/v1', 'DEEPSEEK_API_KEY', {
    ...THINKING,
    families: ['deepseek-*'],
    example: 'deepseek-chat',
  }),
  row(
    'gemini',
    'Google Gemini',
    'https://generativelanguage.googleapis.com/v1beta',
    ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    {
      aliases: ['google'],
      dialect: 'gemini',
      openaiPath: '/openai',
      auth: 'header:x-goog-api-key',
      families: ['gemini-*'],
      example: 'gemini-flash-latest',
    },
  ),
  row('xai', 'xAI', 'https://api.x.ai/v1', 'XAI_API_KEY', { families: ['grok-*'], example: 'grok-4-latest' }),
  row('cohere', 'Cohere', 'https://api.cohere.com', ['COHERE_API_KEY', 'CO_API_KEY'], {
    aliases: ['cohere_chat'],
    dialect: 'cohere',
    openaiPath: '/compatibility/v1',
    families: ['command-*', 'embed-*', 'rerank-*'],
    example: 'command-r7b-12-2024',
  }),
];

const OPENAI_COMPATIBLE: readonly CatalogueRow[] = [
  row('openrouter', 'OpenRouter', 'https://openrouter.ai/api/v1', 'OPENROUTER_API_KEY', {
    example: 'openrouter/auto',
  }),
  row('together', 'Together AI', 'https://api.together.xyz/v1', ['TOGETHER_API_KEY', 'TOGETHERAI_API_KEY'], {
    aliases: ['together_ai', 'togetherai'],
    ...OLD,
  }),
  row('fireworks', 'Fireworks AI', 'https://api.fireworks.ai/inference/v1', 'FIREWORKS_API_KEY', {
    aliases: ['fireworks_ai', 'fireworks-ai'],
    families: ['accounts/fireworks/*'],
    ...OLD,
  }),
  row('cerebras', 'Cerebras', 'https://api.cerebras.ai/v1', 'CEREBRAS_API_KEY', {
    usageInStream: false,
    quirks: ['no_responses'],
    example: 'gpt-oss-120b',
  }),
  row(
    'perplexity',
    'Perplexity',
    'https://api.perplexity.ai',
    ['PERPLEXITY_API_KEY', 'PERPLEXITYAI_API_KEY'],
    {
      ...OLD,
      usageInStream: false,
      // https://docs.perplexity.ai/api-reference/embeddings-post
      paths: { embeddings: '/v1/embeddings' },
      families: ['sonar', 'sonar-*'],
      example: 'sonar',
    },
  ),
  row(
    'nvidia',
    'NVIDIA NIM',
    'https://integrate.api.nvidia.com/v1',
    ['NVIDIA_API_KEY', 'NVIDIA_NIM_API_KEY'],
    { aliases: ['nvidia_nim'], ...OLD },
  ),
  row('moonshot', 'Moonshot AI', 'https://api.moonshot.ai/v1', 'MOONSHOT_API_KEY', {
    aliases: ['moonshotai'],
    quirks: ['old_max_tokens', 'no_responses', 'string_content', 'takes_reasoning'],
    families: ['kimi-*', 'moonshot-*'],
    example: 'kimi-latest',
  }),
  row('zai', 'Z.AI', 'https://api.z.ai/api/paas/v4', 'ZAI_API_KEY', { ...THINKING, families: ['glm-*'] }),
  row('minimax', 'MiniMax', 'https://api.minimax.io/v1', 'MINIMAX_API_KEY', {
    ...OLD,
    families: ['MiniMax-*'],
  }),
  row(
    'dashscope',
    'Alibaba DashScope',
    'https://dashscope.aliyuncs.com/compatible-mode/v1',
    'DASHSCOPE_API_KEY',
    {
      aliases: ['qwen_ai_platform', 'alibaba'],
      families: ['qwen-*', 'qwen2*', 'qwen3*'],
      example: 'qwen-plus',
      ...OLD,
    },
  ),
  row('sambanova', 'SambaNova', 'https://api.sambanova.ai/v1', 'SAMBANOVA_API_KEY', OLD),
  row('deepinfra', 'DeepInfra', 'https://api.deepinfra.com/v1/openai', 'DEEPINFRA_API_KEY', OLD),
  row('hyperbolic', 'Hyperbolic', 'https://api.hyperbolic.xyz/v1', 'HYPERBOLIC_API_KEY', OLD),
  row('baseten', 'Baseten', 'https://inference.baseten.co/v1', 'BASETEN_API_KEY', OLD),
  row('nscale', 'Nscale', 'https://inference.api.nscale.com/v1', 'NSCALE_API_KEY', OLD),
  row('friendli', 'FriendliAI', 'https://api.friendli.ai/serverless/v1', 'FRIENDLI_TOKEN', {
    aliases: ['friendliai'],
    ...OLD,
  }),
  row('featherless', 'Featherless AI', 'https://api.featherless.ai/v1', 'FEATHERLESS_AI_API_KEY', {
    aliases: ['featherless_ai'],
    ...OLD,
  }),
  row('chutes', 'Chutes', 'https://llm.chutes.ai/v1', 'CHUTES_API_KEY', OLD),
  row('huggingface', 'Hugging Face', 'https://router.huggingface.co/v1', 'HUGGINGFACE_API_KEY', OLD),
  row(
    'vercel',
    'Vercel AI Gateway',
    'https://ai-gateway.vercel.sh/v1',
    ['VERCEL_AI_GATEWAY_API_KEY', 'AI_GATEWAY_API_KEY'],
    { aliases: ['vercel_ai_gateway'] },
  ),
  // https://docs.voyageai.com/reference/embeddings-api: embeddings and rerank only.
  row('voyage', 'Voyage AI', 'https://api.voyageai.com/v1', 'VOYAGE_API_KEY', {
    aliases: ['voyageai'],
    ...OLD,
    families: ['voyage-*'],
  }),
  // https://docs.bytez.com/http-reference/oaiCompliant/chatCompletions
  row('bytez', 'Bytez', 'https://api.bytez.com/models/v2/openai/v1', 'BYTEZ_API_KEY', {
    auth: 'header:authorization',
    ...OLD,
  }),
  // https://docs.predibase.com/user-guide/inference/migrate-openai
  // The model is the name of a deployment; bodies name adapters, none of which is the deployment itself.
  row('predibase', 'Predibase', 'https://serving.app.predibase.com/{account}', 'PREDIBASE_API_KEY', {
    accountEnv: ['PREDIBASE_TENANT_ID'],
    ...OLD,
    paths: { chat: '/deployments/v2/llms/{model}/v1/chat/completions' },
    modelInBody: '',
  }),
];

const LOCAL_SERVERS: readonly CatalogueRow[] = [
  row('ollama', 'Ollama', 'http://127.0.0.1:11434', [], {
    ...LOCAL,
    aliases: ['ollama_chat'],
    dialect: 'ollama',
    openaiPath: '/v1',
  }),
  // https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/client_guide/openai_readme.html
  row('triton', 'NVIDIA Triton', 'http://127.0.0.1:9000/v1', [], { ...LOCAL, ...OLD }),
  // https://github.com/infiniflow/ragflow, docs/references/http_api_reference.md
  // The model is the id of a chat assistant; "model" in the body stands for the one it is configured with.
  row('ragflow', 'RAGFlow', 'http://127.0.0.1:9380/api/v1', 'RAGFLOW_API_KEY', {
    discovered: false,
    ...OLD,
    paths: { chat: '/openai/{model}/chat/completions' },
    modelInBody: 'model',
  }),
  // https://docs.litellm.ai/docs/simple_proxy
  row('litellm_proxy', 'LiteLLM Proxy', 'http://127.0.0.1:4000/v1', [], { ...LOCAL, ...OLD }),
  // https://github.com/michaelfeil/infinity: embeddings and rerank only.
  row('infinity', 'Infinity', 'http://127.0.0.1:7997', [], { ...LOCAL, ...OLD }),
  row('lm_studio', 'LM Studio', 'http://127.0.0.1:1234/v1', [], { ...LOCAL, aliases: ['lmstudio'] }),
  row('vllm', 'vLLM', 'http://127.0.0.1:8000/v1', [], { ...LOCAL, aliases: ['hosted_vllm'] }),
];

/** In the order in which found ones are listed. */
export const CERTAIN: readonly CatalogueRow[] = [...LARGE, ...CLOUDS, ...OPENAI_COMPATIBLE, ...LOCAL_SERVERS];
