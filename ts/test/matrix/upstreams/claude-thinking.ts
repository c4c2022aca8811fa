/** What Claude demands of requests in which it thinks, at Anthropic and at Bedrock alike. */

import { SIGNATURE } from '../script.js';
import { integer, nullable, record, refuse, tagged, text } from '../shapes.js';

export const thinking = tagged('type', {
  enabled: record({ type: text, budget_tokens: integer(1024) }, { display: text }),
  adaptive: record({ type: text }, { display: nullable(text) }),
  disabled: record({ type: text }, {}),
});
export type Thinking = ReturnType<typeof thinking> | undefined;

/** Models that think as they see fit, and take neither a budget nor anything that steers sampling. */
const ADAPTIVE = /claude-opus-4-8/;

/** A request as far as thinking goes. */
export interface Thoughtful {
  readonly model: string;
  readonly thinking: Thinking;
  readonly maxTokens: number;
  readonly temperature: number | undefined;
  readonly topP: number | undefined;
  /** Whether a tool has to be called. */
  readonly isForced: boolean;
  /** The proofs of all earlier thoughts. */
  readonly signatures: readonly (string | undefined)[];
  /** What the blocks of the last answer are, in order. */
  readonly lastAnswer: readonly ('thought' | 'call' | 'other')[];
}

export function isThinking(thinking: Thinking): boolean {
  return thinking !== undefined && thinking.type !== 'disabled';
}

/** A model that thinks is told what it thought before its calls, and takes nothing else for that. */
export function checkThinking(request: Thoughtful): void {
  if (request.signatures.some((signature) => signature !== SIGNATURE)) {
    refuse('messages', 'invalid `signature` in `thinking` block');
  }
  checkSampling(request);
  if (!isThinking(request.thinking)) return;
  const isAdaptive = ADAPTIVE.test(request.model);
  if ((request.thinking?.type === 'adaptive') !== isAdaptive) {
    refuse('thinking', `${request.thinking?.type} thinking is not supported on this model`);
  }
  if (isAdaptive) return;
  checkParameters(request);
  if (request.lastAnswer.includes('call') && request.lastAnswer[0] !== 'thought') {
    refuse('messages', 'expected `thinking` before `tool_use` in the last answer');
  }
}

function checkSampling({ model, temperature, topP }: Thoughtful): void {
  if (temperature !== undefined && topP !== undefined) {
    refuse('top_p', 'is not taken together with temperature');
  }
  if (ADAPTIVE.test(model) && (temperature ?? topP) !== undefined) {
    refuse('temperature', 'is not taken by this model');
  }
}

function checkParameters({ thinking, maxTokens, temperature = 1, isForced }: Thoughtful): void {
  if (thinking !== undefined && 'budget_tokens' in thinking && thinking.budget_tokens >= maxTokens) {
    refuse('max_tokens', 'must be greater than `thinking.budget_tokens`');
  }
  if (temperature !== 1) refuse('temperature', 'may only be set to 1 when thinking is enabled');
  if (isForced) refuse('thinking', 'may not be enabled when tool_choice forces tool use');
}
