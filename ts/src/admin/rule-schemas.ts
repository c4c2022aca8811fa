/** Budgets, rate limits and allow lists, as several routes take and answer them. */
import { type Static, Type } from 'typebox';
import { ROUTES } from '../bridge/generated/record.js';
import type { AllowList } from '../governance/allow-list.js';
import { MAX_METADATA_ENTRIES, MAX_METADATA_VALUE_CHARACTERS, type Metadata } from '../governance/entity.js';
import {
  MAX_RULES,
  METER_MODES,
  type MeterRule,
  REFUSAL_STATUSES,
  type RefusalStatus,
  TOKEN_KINDS,
  type TokenKind,
} from '../governance/meter-rule.js';
import {
  MAX_WEIGHT,
  readBudget,
  readRateLimit,
  repeatedNames,
  type RuleReading,
} from '../governance/meter-text.js';
import { WINDOW_EXPECTED, WINDOW_KINDS } from '../governance/meter-window.js';
import { MAX_NAME_CHARACTERS } from '../governance/name-pattern.js';
import { rulesToJson } from '../governance/stored-settings.js';
import { MAX_ALLOWED_MODELS, MAX_CONCURRENCY, MAX_RATE } from '../governance/virtual-key.js';
import { AdminError } from './errors.js';
import { nullable, oneOf, record } from './schemas.js';

const MAX_WORD_CHARACTERS = 64;

const word = (description: string) =>
  Type.String({ minLength: 1, maxLength: MAX_WORD_CHARACTERS, description });
const amount = (description: string, maximum = MAX_RATE) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, description }));

const common = {
  name: Type.Optional(word('Name in refusals; what it limits, such as `usd/month`, unless given.')),
  kind: Type.Optional(
    oneOf(WINDOW_KINDS, {
      description: 'How windows follow each other; by the window unless given, as in the configuration file.',
    }),
  ),
  time_zone: Type.Optional(word('Time zone of a calendar, as `Europe/Berlin`; UTC unless given.')),
  mode: Type.Optional(oneOf(METER_MODES, { description: '`normal` unless given.' })),
  status: Type.Optional(
    Type.Unsafe<RefusalStatus>({
      type: 'integer',
      enum: REFUSAL_STATUSES,
      description: 'Status of a refusal; 429 unless given.',
    }),
  ),
};

const Budget = record(
  {
    ...common,
    usd: Type.String({
      pattern: String.raw`^\d{1,7}(\.\d{1,6})?$`,
      description: 'The most that may be spent in a window, in USD: a decimal number as text.',
      examples: ['49.90'],
    }),
    window: word(`${WINDOW_EXPECTED}.`),
  },
  { description: 'A limit of money over a time.' },
);

const Weights = record({
  limit: Type.Integer({ minimum: 1, maximum: MAX_RATE, description: 'Weighted tokens in a window.' }),
  ...(Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, weight()])) as Record<
    TokenKind,
    ReturnType<typeof weight>
  >),
});

function weight() {
  return Type.Optional(
    Type.Number({ minimum: 0, maximum: MAX_WEIGHT, description: 'What such a token counts.' }),
  );
}

const RateLimit = record(
  {
    ...common,
    requests: amount('Requests in a window.'),
    tokens: amount('Tokens in a window.'),
    input_tokens: amount('Tokens of prompts in a window.'),
    output_tokens: amount('Tokens of answers in a window.'),
    weighted_tokens: Type.Optional(Weights),
    concurrency: amount('Requests at once; takes no window.', MAX_CONCURRENCY),
    window: Type.Optional(word(`${WINDOW_EXPECTED}.`)),
  },
  { description: 'A limit of use: exactly one of the amounts.' },
);

const ROUTE_LABELS: readonly string[] = ROUTES.map(({ label }) => label).filter((label) => label !== 'none');

const names = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: MAX_NAME_CHARACTERS }), {
    maxItems: MAX_ALLOWED_MODELS,
    description,
  });

/** Lists of what may be used; null for no limit of its own. */
export const allowLists = {
  providers: nullable(names('Providers that may be reached, each exact or with one `*`; null for all.')),
  routes: nullable(
    Type.Array(oneOf(ROUTE_LABELS), {
      maxItems: ROUTE_LABELS.length,
      description: 'Routes that may be called; null for all.',
    }),
  ),
};

/** The same for models. */
export const modelList = nullable(
  names('Models that may be used, each exact or with one `*`; null for all.'),
);

/** Rules as they are taken and answered. */
export const ruleLists = {
  budgets: Type.Array(Budget, { maxItems: MAX_RULES, description: 'Limits of money; all of them hold.' }),
  rate_limits: Type.Array(RateLimit, {
    maxItems: MAX_RULES,
    description: 'Limits of use; all of them hold.',
  }),
};

/** Free text. */
export const MetadataSchema = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: MAX_METADATA_ENTRIES,
  propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
  additionalProperties: { type: 'string', maxLength: MAX_METADATA_VALUE_CHARACTERS },
  description: 'Notes of your own.',
});

interface RuleBody {
  readonly budgets?: Static<(typeof ruleLists)['budgets']> | undefined;
  readonly rate_limits?: Static<(typeof ruleLists)['rate_limits']> | undefined;
}

/** The rules of a body; lists that it leaves out are taken from the present ones. */
export function rulesOf(body: RuleBody, present: readonly MeterRule[]): readonly MeterRule[] {
  const [budgets, limits] = partsOf(present);
  const next = [
    body.budgets === undefined ? budgets : read(body.budgets.map(readBudget), 'budgets'),
    body.rate_limits === undefined ? limits : read(body.rate_limits.map(readRateLimit), 'rate_limits'),
  ];
  return next.flat();
}

/** Rules as answered, every part spelt out. */
export function rulesView(rules: readonly MeterRule[]): RulesView {
  const { budgets = [], rate_limits = [] } = rulesToJson(rules);
  return { budgets, rate_limits } as unknown as RulesView;
}

interface RulesView {
  readonly budgets: Static<(typeof ruleLists)['budgets']>;
  readonly rate_limits: Static<(typeof ruleLists)['rate_limits']>;
}

/** A list as answered. */
export function listView(list: AllowList): string[] | null {
  return list === null ? null : [...list];
}

/** Notes as answered. */
export function metadataView(metadata: Metadata): Record<string, string> {
  return { ...metadata };
}

function partsOf(rules: readonly MeterRule[]): [budgets: MeterRule[], limits: MeterRule[]] {
  const isBudget = ({ measure }: MeterRule): boolean => measure.kind === 'cost';
  return [rules.filter(isBudget), rules.filter((rule) => !isBudget(rule))];
}

function read(readings: readonly RuleReading[], list: string): MeterRule[] {
  const rules = readings.map(({ rule, problems }, at) => {
    if (rule !== null) return rule;
    const [first] = problems;
    const path = ['body', list, at, ...(first?.path ?? [])].join('.');
    throw new AdminError('invalid_request', `found ${first?.found}, expected ${first?.expected}`, path);
  });
  const [twice] = repeatedNames(rules);
  if (twice === undefined) return rules;
  const message = `found the name ${JSON.stringify(twice.name)} twice, expected it once`;
  throw new AdminError('invalid_request', message, `body.${list}.${twice.at}.name`);
}
