#!/usr/bin/env node
// Writes docs/reference/openapi.json from the schemas of the admin API's routes, and the table in
// docs/reference/metrics.md from the metrics there are. Tests fail when either is not current.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { buildTypeScript } from './build.mjs';
import { isMain, runMain } from './lib/steps.mjs';
import { ROOT, writeWithFolders } from './lib/tree.mjs';

const OPENAPI = join(ROOT, 'docs', 'reference', 'openapi.json');
const METRICS = join(ROOT, 'docs', 'reference', 'metrics.md');

/** The table stands between these lines. */
const TABLE = /(<!-- generated: metrics -->\n)[^]*?(\n<!-- end -->)/;

async function openApi() {
  const { buildAdminApp } = await import('../dist/admin/index.js');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const options = {
    tokenDigests: [],
    boundHost: '127.0.0.1',
    allowedHosts: [],
    metricsAccess: 'token',
    failuresPerMinute: 0,
  };
  const app = await buildAdminApp({ version }, options);
  const text = JSON.stringify(app.swagger());
  await app.close();
  return format(text, { ...(await resolveConfig(OPENAPI)), filepath: OPENAPI });
}

async function metricsTable() {
  const { METRICS: metrics } = await import('../dist/telemetry/definitions.js');
  const rows = metrics.map(({ name, type, labels, help }) => {
    const names = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${names} | ${help} |`;
  });
  return ['| Metric | Type | Labels | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}

async function main() {
  await buildTypeScript();
  writeWithFolders(OPENAPI, await openApi());
  const page = readFileSync(METRICS, 'utf8');
  const table = await metricsTable();
  writeWithFolders(
    METRICS,
    page.replace(TABLE, (_, before, after) => `${before}${table}${after}`),
  );
}

if (isMain(import.meta.url)) await runMain(main);
