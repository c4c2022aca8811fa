/**
 * Every dialect in, every provider out: official SDKs against the running gateway, which sends to scripted providers
 * that check what they get. Prints one mark per cell and aspect, what is wrong with each cell that is not green, and in
 * the last line how many are.
 *
 *   node run.js --program dist/cli/main.js [--from DIALECT] [--to DIALECT]
 *   node run.js --direct     every SDK against the provider of its own dialect: are the providers what SDKs expect?
 */

import { parseArgs } from 'node:util';
import { MARKS, runCell, type Failure, type Target, type Verdict } from './cell.js';
import { CLIENTS } from './clients/index.js';
import {
  failingModelOf,
  KEY,
  modelOf,
  siblingOf,
  startGateway,
  type Gateway,
  type Upstreams,
} from './gateway.js';
import { DIALECTS, type Dialect } from './script.js';
import { PROVIDER_KEY, Upstream } from './server.js';
import { PROVIDERS } from './upstreams/index.js';

interface Row {
  readonly client: Dialect;
  readonly cells: Readonly<Partial<Record<Dialect, Verdict>>>;
}

const WIDTH = Math.max(...DIALECTS.map((name) => name.length)) + 2;

function isGreen(verdict: Verdict): boolean {
  return MARKS.every((mark) => verdict[mark].length === 0);
}

function marksOf(verdict: Verdict | undefined): string {
  if (verdict === undefined) return '·';
  return MARKS.map((mark) => (verdict[mark].length === 0 ? '✔' : '✘')).join(' ');
}

function print(rows: readonly Row[]): void {
  console.log(`client ↓  provider →  (${MARKS.join(', ')})\n`);
  console.log(`${' '.repeat(WIDTH)}${DIALECTS.map((name) => name.padEnd(WIDTH)).join('')}`.trimEnd());
  for (const { client, cells } of rows) {
    const marks = DIALECTS.map((upstream) => marksOf(cells[upstream]).padEnd(WIDTH));
    console.log(`${client.padEnd(WIDTH)}${marks.join('')}`.trimEnd());
  }
  for (const { client, cells } of rows) {
    for (const [upstream, verdict] of Object.entries(cells)) {
      const problems = MARKS.flatMap((mark) => verdict[mark].map((problem) => `  ${mark}: ${problem}`));
      if (problems.length > 0) console.log(`\n${client} → ${upstream}\n${problems.join('\n')}`);
    }
  }
}

async function startUpstreams(): Promise<Upstreams> {
  const started = DIALECTS.map(async (name) => [name, await Upstream.start(PROVIDERS[name])] as const);
  return Object.fromEntries(await Promise.all(started)) as Record<Dialect, Upstream>;
}

/** A client's row: its cells with the upstreams asked for. */
async function runRow(
  client: Dialect,
  upstreams: Upstreams,
  targets: Readonly<Partial<Record<Dialect, Target>>>,
): Promise<Row> {
  const cells: Partial<Record<Dialect, Verdict>> = {};
  for (const [upstream, target] of Object.entries(targets) as [Dialect, Target][]) {
    cells[upstream] = await runCell(CLIENTS[client], upstreams[upstream], target);
  }
  return { client, cells };
}

/** The provider itself. AWS is asked with a signature, which is what its providers mostly see. */
function directTarget({ origin, provider }: Upstream): Target {
  const key = provider.dialect === 'bedrock' ? '' : PROVIDER_KEY;
  return { origin, key, model: provider.model, failing: () => provider.model };
}

function gatewayTarget({ origin }: Gateway, client: Dialect, upstream: Dialect): Target {
  const failing = (how: Failure): string => failingModelOf(client, upstream, how);
  return { origin, key: KEY, model: modelOf(upstream), sibling: siblingOf(upstream), failing };
}

async function runDirect(upstreams: Upstreams): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of DIALECTS) {
    rows.push(await runRow(name, upstreams, { [name]: directTarget(upstreams[name]) }));
  }
  return rows;
}

async function runThrough(
  program: string,
  upstreams: Upstreams,
  from: readonly Dialect[],
  to: readonly Dialect[],
): Promise<Row[]> {
  const gateway = await startGateway(program, upstreams);
  try {
    const rows: Row[] = [];
    for (const client of from) {
      const targets = to.map((upstream) => [upstream, gatewayTarget(gateway, client, upstream)]);
      rows.push(await runRow(client, upstreams, Object.fromEntries(targets) as Record<Dialect, Target>));
    }
    return rows;
  } finally {
    await gateway.stop();
  }
}

function selected(name: string | undefined): readonly Dialect[] {
  if (name === undefined) return DIALECTS;
  const found = DIALECTS.filter((dialect) => dialect === name);
  if (found.length === 0) throw new Error(`no such dialect: ${name}. There are: ${DIALECTS.join(', ')}`);
  return found;
}

const { values } = parseArgs({
  options: {
    program: { type: 'string', default: 'dist/cli/main.js' },
    direct: { type: 'boolean', default: false },
    from: { type: 'string' },
    to: { type: 'string' },
  },
});
const upstreams = await startUpstreams();
try {
  const rows = values.direct
    ? await runDirect(upstreams)
    : await runThrough(values.program, upstreams, selected(values.from), selected(values.to));
  print(rows);
  const verdicts = rows.flatMap(({ cells }) => Object.values(cells));
  const green = verdicts.filter(isGreen).length;
  console.log(`\n${green}/${verdicts.length}`);
  process.exitCode = green === verdicts.length ? 0 : 1;
} finally {
  for (const upstream of Object.values(upstreams)) upstream.close();
}
