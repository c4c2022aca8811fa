/** Reads `budgets` and `rate_limits`, wherever they are. */

import type { MeterRule } from '../governance/meter-rule.js';
import { readBudget, readRateLimit, repeatedNames, type RuleReading } from '../governance/meter-text.js';
import type { RawBudget, RawRateLimit } from './schema-governance.js';
import type { Reading } from './section.js';
import { quoteName, suggestion, type DocumentPath } from './wording.js';

/** What can have rules. */
interface RawRules {
  readonly budgets?: readonly RawBudget[];
  readonly rate_limits?: readonly RawRateLimit[];
}

/** Every rule that can be read, budgets first. */
export function readRules(reading: Reading, raw: RawRules, path: DocumentPath): MeterRule[] {
  const budgets = (raw.budgets ?? []).map(readBudget);
  const limits = (raw.rate_limits ?? []).map(readRateLimit);
  return [
    ...readList(reading, budgets, [...path, 'budgets']),
    ...readList(reading, limits, [...path, 'rate_limits']),
  ];
}

function readList(reading: Reading, list: readonly RuleReading[], path: DocumentPath): MeterRule[] {
  for (const [at, { problems }] of list.entries()) {
    for (const { path: inside, found, expected, choices } of problems) {
      const meant = suggestion(found.replaceAll('"', ''), choices ?? []);
      const message = `found ${found}, expected ${expected}${meant}`;
      reading.problems.error({ path: [...path, at, ...inside] }, 'bad_rule', message);
    }
  }
  const rules = list.flatMap(({ rule }) => rule ?? []);
  if (rules.length === list.length) checkNames(reading, rules, path);
  return rules;
}

function checkNames(reading: Reading, rules: readonly MeterRule[], path: DocumentPath): void {
  for (const { at, name } of repeatedNames(rules)) {
    const message = `found the name ${quoteName(name)} twice, expected it once; give them names of their own`;
    reading.problems.error({ path: [...path, at] }, 'duplicate_name', message);
  }
}
