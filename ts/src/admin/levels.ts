/**
 * How budgets and rate limits stand: what the configuration says of them, joined with what the data plane has counted.
 * Amounts are exact decimal texts, whatever they count.
 */
import { type Static, Type } from 'typebox';
import type { MeterLevel } from '../bridge/generated/snapshot.js';
import { meterKind, type MeterRule, METER_MODES, WEIGHT_UNIT } from '../governance/meter-rule.js';
import { writeWindow } from '../governance/meter-window.js';
import { METER_OWNER_KINDS, type MeterView } from '../governance/ports.js';
import { formatUsd } from '../prices/index.js';
import type { AdminDependencies } from './ports.js';
import { named, nullable, oneOf, record, timestamp, toTimestampOrNull } from './schemas.js';

/** Kinds of meters. */
export const METER_KINDS = ['budget', 'rate_limit'] as const;

const MEASURES = [
  'usd',
  'requests',
  'tokens',
  'input_tokens',
  'output_tokens',
  'weighted_tokens',
  'concurrency',
] as const;

/** Pico-USD in the micro-USD of a limit. */
const PICO_USD_PER_MICRO_USD = 1_000_000n;

const amount = (description: string) =>
  Type.String({ pattern: String.raw`^-?\d+(\.\d{1,12})?$`, description, examples: ['12.5'] });

/** A budget or rate limit as it stands. */
export const MeterLevelSchema = named(
  'MeterLevel',
  record(
    {
      id: Type.Integer({ description: 'Stays the same while its owner and its name do.' }),
      kind: oneOf(METER_KINDS),
      name: Type.String({ description: 'As in refusals.' }),
      owner: record({
        kind: oneOf(METER_OWNER_KINDS),
        name: Type.String(),
        key_id: nullable(Type.Integer({ description: 'Id of the key, where the owner is one.' })),
      }),
      measure: oneOf(MEASURES, { description: 'What the amounts are of.' }),
      window: nullable(Type.String({ description: 'The time it is over; null for requests at once.' })),
      mode: oneOf(METER_MODES),
      limit: amount('The most that may be used.'),
      used: amount('What has been used in the window that is open.'),
      reserved: amount('What requests that are running may yet use.'),
      remaining: amount('What is left of both; never below 0.'),
      exhausted: Type.Boolean({
        description: 'Nothing is left. A request can be refused before that: what it may use must be left.',
      }),
      refused: Type.Integer({ description: 'Requests it has refused since the gateway started.' }),
      window_start: nullable(timestamp('When the window began; null where there is none.')),
      resets_at: nullable(timestamp('When the window ends; null where it has no end.')),
    },
    { description: 'A budget or a rate limit as it stands. Amounts are decimal numbers as text, exact.' },
  ),
);

type LevelView = Static<(typeof MeterLevelSchema)['schema']>;

/** How these stand. Those that the data plane has just dropped or not taken yet are left out. */
export function levelsOf(
  meters: readonly MeterView[],
  dataPlane: Pick<AdminDependencies['dataPlane'], 'meterLevels'>,
): LevelView[] {
  if (meters.length === 0) return [];
  const levels = new Map(dataPlane.meterLevels(meters.map(({ id }) => id)).map((level) => [level.id, level]));
  return meters.flatMap((meter) => {
    const level = levels.get(meter.id);
    return level === undefined ? [] : [viewOf(meter, level)];
  });
}

function viewOf({ id, owner, rule }: MeterView, level: MeterLevel): LevelView {
  const { measure, mode } = rule;
  const limit = limitOf(rule);
  const taken = BigInt(level.used);
  const reserved = BigInt(level.reserved);
  const remaining = taken > limit ? 0n : limit - taken;
  const text = (value: bigint): string => amountText(value, rule);
  return {
    id,
    kind: meterKind(rule),
    name: rule.name,
    owner: { kind: owner.kind, name: owner.name, key_id: owner.keyId },
    measure: measure.kind === 'cost' ? 'usd' : measure.kind,
    window: measure.kind === 'concurrency' ? null : writeWindow(rule.window).window,
    mode,
    limit: text(limit),
    used: text(taken - reserved),
    reserved: text(reserved),
    remaining: text(remaining),
    exhausted: remaining === 0n,
    refused: level.refused,
    window_start: toTimestampOrNull(level.window_start_ms ?? null),
    resets_at: toTimestampOrNull(level.window_end_ms ?? null),
  };
}

/** In the unit of the counter. */
function limitOf({ measure, limit }: MeterRule): bigint {
  if (measure.kind === 'cost') return BigInt(limit) * PICO_USD_PER_MICRO_USD;
  return BigInt(limit) * ('weights' in measure ? BigInt(WEIGHT_UNIT) : 1n);
}

function amountText(value: bigint, { measure }: MeterRule): string {
  if (measure.kind === 'cost') return formatUsd(value);
  if (!('weights' in measure)) return String(value);
  const sign = value < 0n ? '-' : '';
  const digits = String(value < 0n ? -value : value).padStart(4, '0');
  const fraction = digits.slice(-3).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -3)}${fraction === '' ? '' : `.${fraction}`}`;
}
