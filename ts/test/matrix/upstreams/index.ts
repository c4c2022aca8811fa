/** The scripted providers, one for every dialect. */

import type { Provider } from '../server.js';
import type { Dialect } from '../script.js';
import { anthropic } from './anthropic.js';
import { bedrock } from './bedrock.js';
import { cohere } from './cohere.js';
import { gemini } from './gemini.js';
import { openaiChat } from './openai-chat.js';
import { openaiResponses } from './openai-responses.js';

export const PROVIDERS: Readonly<Record<Dialect, Provider>> = {
  'openai-chat': openaiChat,
  'openai-responses': openaiResponses,
  anthropic,
  gemini,
  bedrock,
  cohere,
};
