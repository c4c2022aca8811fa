/** `sluice demo-provider`: an OpenAI-shaped upstream without an account, for first steps, tests and benchmarks. */

import { writeFileSync } from 'node:fs';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { startDemoProvider, type DemoOptions, type DemoProvider } from '../bridge/index.js';

/** What the command line gave. */
interface Flags {
  readonly host: string;
  readonly port: number;
  readonly threads: number;
  readonly delayMs: number;
  readonly chunks: number;
  readonly chunkGapMs: number;
  readonly responseBytes: number;
  readonly errorRate: number;
  readonly seed: number;
  readonly stampChunks: boolean;
  readonly tls: boolean;
  readonly certificateFile?: string;
  readonly json: boolean;
}

const HELP = `
Any model name is served, and any key is accepted. Examples:

  $ sluice demo-provider --port 9090
  $ sluice demo-provider --delay-ms 300 --chunks 50 --chunk-gap-ms 20    like a model that thinks and then types
  $ sluice demo-provider --error-rate 0.1                                one request in ten answered with a 500

To have a gateway use it, name it in sluice.yaml:

  providers:
    demo: { base_url: "http://127.0.0.1:9090/v1", auth: none }
`;

/** Adds the command. */
export function registerDemoProvider(program: Command): void {
  const command = program
    .command('demo-provider')
    .description('run a provider that speaks the OpenAI API and needs no account')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 lets the system choose', whole(0, 65_535), 9090)
    .option('--threads <number>', 'threads that serve', whole(1, 64), 1)
    .option('--delay-ms <number>', 'wait before the first byte of an answer', whole(0), 0)
    .option('--chunks <number>', 'content chunks of a stream; 0 sends one per word', whole(0), 0)
    .option('--chunk-gap-ms <number>', 'wait between two chunks; 0 sends a stream at once', whole(0), 0)
    .option('--response-bytes <number>', 'bytes of filler in place of the friendly answer', whole(0), 0)
    .option('--error-rate <share>', 'share of requests answered with a 500, from 0 to 1', share, 0)
    .option('--seed <number>', 'which requests fail', whole(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--stamp-chunks', 'write the time of sending into every chunk of a chat stream', false)
    .option('--tls', 'speak TLS with a certificate made for this run', false);
  command.addOption(
    new Option('--certificate-file <path>', 'with --tls: where to write the certificate to trust').implies({
      tls: true,
    }),
  );
  command.option('--json', 'print one line of JSON, address and certificate_pem, and nothing else', false);
  command.addHelpText('after', HELP).action((flags: Flags) => run(flags));
}

async function run(flags: Flags): Promise<void> {
  const provider = startDemoProvider(demoOptions(flags));
  if (flags.certificateFile !== undefined)
    writeFileSync(flags.certificateFile, provider.certificatePem ?? '');
  process.stdout.write(flags.json ? machineLine(provider) : greeting(provider, flags.tls));
  await interrupted();
  provider.stop();
}

/** The options as the provider takes them. */
export function demoOptions(flags: Flags): DemoOptions {
  const host = flags.host.includes(':') ? `[${flags.host}]` : flags.host;
  return {
    address: `${host}:${flags.port}`,
    threads: flags.threads,
    delay_ms: flags.delayMs,
    chunks: flags.chunks,
    chunk_gap_ms: flags.chunkGapMs,
    response_bytes: flags.responseBytes,
    error_rate: flags.errorRate,
    seed: flags.seed,
    stamp_chunks: flags.stampChunks,
    ...(flags.tls ? { tls: 'self_signed' as const } : {}),
  };
}

function machineLine(provider: DemoProvider): string {
  const { address, certificatePem } = provider;
  return `${JSON.stringify({ address, certificate_pem: certificatePem ?? null })}\n`;
}

function greeting(provider: DemoProvider, tls: boolean): string {
  const url = `${tls ? 'https' : 'http'}://${provider.address}/v1`;
  return [
    `The demo provider listens on ${url}. Ctrl-C stops it. Try:`,
    '',
    `  curl ${tls ? '--insecure ' : ''}${url}/chat/completions -H 'content-type: application/json' \\`,
    `    -d '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'`,
    '',
    '',
  ].join('\n');
}

/** Resolves at the first signal to stop. */
async function interrupted(): Promise<void> {
  await new Promise<void>((resolve) => {
    // Signals do not keep a process alive; this does.
    const alive = setInterval(() => {}, 0x7fff_ffff);
    const stop = (): void => {
      clearInterval(alive);
      resolve();
    };
    process.once('SIGINT', stop).once('SIGTERM', stop);
  });
}

function whole(least: number, most = 4_294_967_295): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 1.');
}
