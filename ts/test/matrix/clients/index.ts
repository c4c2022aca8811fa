/** The official SDKs, one for every dialect. */

import type { Dialect } from '../script.js';
import { anthropic } from './anthropic.js';
import { bedrock } from './bedrock.js';
import type { Client } from './client.js';
import { cohere } from './cohere.js';
import { gemini } from './gemini.js';
import { openaiChat } from './openai-chat.js';
import { openaiResponses } from './openai-responses.js';

export const CLIENTS: Readonly<Record<Dialect, Client>> = {
  'openai-chat': openaiChat,
  'openai-responses': openaiResponses,
  anthropic,
  gemini,
  bedrock,
  cohere,
};
