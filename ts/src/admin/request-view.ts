/** One recorded request in the API's terms. */
import { type Static, Type } from 'typebox';
import { ERRORS, RECORD_FLAGS, ROUTES, SERVICE_TIER_LABELS } from '../bridge/generated/record.js';
import { formatUsd } from '../prices/index.js';
import type { RecordedRequest } from '../usage/index.js';
import type { Names } from './names.js';
import { costUsd, named, nullable, record, timestamp, toTimestamp } from './schemas.js';

const NamedId = record({ id: Type.Integer(), name: nullable(Type.String()) });
const count = (description: string) => Type.Integer({ description });

/** A request, as answered. */
export const UsageRequest = named(
  'UsageRequest',
  record(
    {
      id: Type.String({ description: 'Request id, 32 hexadecimal digits, as in `x-sluice-request-id`.' }),
      started_at: timestamp('When its first byte was read.'),
      key: NamedId,
      model: NamedId,
      provider: NamedId,
      target: NamedId,
      route: Type.String(),
      status: count('HTTP status sent; 499 where the client was gone before.'),
      error: nullable(Type.String({ description: 'Code of the error it ended in.' })),
      stream: Type.Boolean(),
      client_aborted: Type.Boolean({ description: 'The client went away first.' }),
      truncated: Type.Boolean({ description: 'The answer broke off upstream.' }),
      estimated: Type.Boolean({ description: 'Tokens are our estimate: the provider reported none.' }),
      attempts: count('Upstream attempts made.'),
      input_tokens: count('Prompt tokens, cached ones included.'),
      cached_input_tokens: count("Of these, read from the provider's cache."),
      cache_write_tokens: count("Of these, written to the provider's cache."),
      output_tokens: count('Generated tokens, reasoning included.'),
      reasoning_tokens: count('Of these, spent on reasoning.'),
      cache_write_1h_tokens: count('Of the tokens written to the cache, those to be kept for an hour.'),
      audio_input_tokens: count('Of the prompt tokens, those of sound.'),
      image_input_tokens: count('Of the prompt tokens, those of images.'),
      audio_output_tokens: count('Of the generated tokens, those of sound.'),
      image_output_tokens: count('Of the generated tokens, those of images.'),
      cost_usd: costUsd(
        'What it cost, in USD, as an exact decimal number; null where its model had no price.',
      ),
      price_version: nullable(
        Type.String({ description: 'Version of the prices; null for a request from before there were any.' }),
      ),
      service_tier: Type.Unsafe<(typeof SERVICE_TIER_LABELS)[number]>({
        type: 'string',
        enum: SERVICE_TIER_LABELS,
        description:
          'Tier that it was served with, by what the provider says; standard where it says nothing.',
      }),
      duration_us: count('From the first byte read to the last byte written, microseconds.'),
      gateway_us: count("The gateway's own part of that, microseconds."),
      first_byte_us: count(
        'From the request sent upstream to the first byte of the body, microseconds; 0 if none came.',
      ),
      request_bytes: count('Bytes of the request body.'),
      response_bytes: count('Bytes of the response body sent.'),
    },
    { description: 'One finished request.' },
  ),
);

/** Puts names to a record. */
export function requestView(one: RecordedRequest, names: Names): Static<(typeof UsageRequest)['schema']> {
  const has = (flag: number): boolean => (one.flags & flag) !== 0;
  return {
    id: one.requestId,
    started_at: toTimestamp(one.startedAtMs),
    key: names.key(one.keyId),
    model: names.label('model', one.modelId),
    provider: names.label('provider', one.providerId),
    target: names.label('target', one.targetId),
    route: ROUTES.find(({ id }) => id === one.route)?.label ?? 'none',
    status: one.status,
    error: ERRORS.find(({ id }) => id === one.error)?.code ?? null,
    stream: has(RECORD_FLAGS.stream),
    client_aborted: has(RECORD_FLAGS.client_aborted),
    truncated: has(RECORD_FLAGS.truncated),
    estimated: has(RECORD_FLAGS.estimated),
    attempts: one.attempts,
    input_tokens: one.inputTokens,
    cached_input_tokens: one.cachedInputTokens,
    cache_write_tokens: one.cacheWriteTokens,
    output_tokens: one.outputTokens,
    reasoning_tokens: one.reasoningTokens,
    cache_write_1h_tokens: one.cacheWrite1hTokens,
    audio_input_tokens: one.audioInputTokens,
    image_input_tokens: one.imageInputTokens,
    audio_output_tokens: one.audioOutputTokens,
    image_output_tokens: one.imageOutputTokens,
    cost_usd: one.cost === null ? null : formatUsd(one.cost),
    price_version: names.label('prices', one.pricesId).name ?? one.priceVersion,
    service_tier: SERVICE_TIER_LABELS[one.serviceTier] ?? 'standard',
    duration_us: one.durationUs,
    gateway_us: one.gatewayUs,
    first_byte_us: one.firstByteUs,
    request_bytes: one.requestBytes,
    response_bytes: one.responseBytes,
  };
}
