/** The processes of a run: upstreams, nginx, Sluice. Each is started when a row first needs it and kept until the end. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asMb, familyOf, residentKb } from './cpu.js';
import { findNginx, prepareNginx, type Ports, type UpstreamAt, type Upstreams } from './nginx.js';
import { answering, freePort, launch, type Child, type Place } from './processes.js';
import { UPSTREAMS, type Subject, type UpstreamName, type Workers } from './rows.js';
import { freshSecrets, prepareSluice, sluiceArguments } from './sluice.js';

/** Processors for what is measured and for the upstreams, as `taskset` takes them. */
export interface Pins {
  readonly proxy?: string;
  readonly upstream?: string;
}

/** Something to send requests to. */
export interface Endpoint {
  /** Base of the URL towards an upstream, without `/v1`. */
  url(upstream: UpstreamName): string;
  readonly headers: Readonly<Record<string, string>>;
  /** The same with the key that has budgets; where there are no keys, no headers. */
  readonly meteredHeaders: Readonly<Record<string, string>>;
  /** Its processes; none for the upstream itself, which is not measured. */
  pids(): number[];
  /** Resident memory before any load, MiB. */
  readonly idleMb: number | undefined;
  check(): void;
}

export class Lab {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  readonly #children: Child[] = [];
  readonly #endpoints = new Map<string, Promise<Endpoint>>();
  #upstreams: Promise<Upstreams> | undefined;

  constructor(
    readonly upstreamNames: readonly UpstreamName[],
    readonly pins: Pins,
  ) {}

  /** The endpoint, started if it is not running yet. */
  async endpoint(subject: Subject, workers: Workers): Promise<Endpoint> {
    const name = subject === 'direct' ? subject : `${subject}-${workers}`;
    let endpoint = this.#endpoints.get(name);
    if (endpoint === undefined) {
      endpoint = this.#start(subject, workers, join(this.#folder, name));
      this.#endpoints.set(name, endpoint);
    }
    return endpoint;
  }

  /** Throws if any process has ended. */
  check(): void {
    for (const child of this.#children) child.check();
  }

  /** Stops everything and removes what was written. */
  async stop(): Promise<void> {
    await Promise.all(this.#children.toReversed().map((child) => child.stop()));
    this.abandon();
  }

  /** Removes what was written, where there is no time to stop anything: the processes end with this one. */
  abandon(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(subject: Subject, workers: Workers, folder: string): Promise<Endpoint> {
    this.#upstreams ??= this.#startUpstreams();
    const upstreams = await this.#upstreams;
    if (subject === 'nginx') return this.#startNginx(workers, folder, upstreams);
    if (subject === 'sluice') return this.#startSluice(workers, folder, upstreams);
    return direct(upstreams);
  }

  #launch(command: string, args: readonly string[], place: Place): Child {
    const child = launch(command, args, place);
    this.#children.push(child);
    return child;
  }

  async #startUpstreams(): Promise<Upstreams> {
    const start = async (name: UpstreamName): Promise<[UpstreamName, UpstreamAt]> => [
      name,
      await this.#startUpstream(name),
    ];
    return new Map(await Promise.all(this.upstreamNames.map(start)));
  }

  async #startUpstream(name: UpstreamName): Promise<UpstreamAt> {
    const args = sluiceArguments('demo-provider', '--port', '0', '--json', ...demoFlags(name));
    const child = this.#launch(process.execPath, args, { pin: this.pins.upstream });
    const line = JSON.parse(await child.firstLine()) as { address: string; certificate_pem: string | null };
    if (line.certificate_pem === null) return { address: line.address, certificateFile: null };
    const certificateFile = join(this.#folder, `${name}.pem`);
    writeFileSync(certificateFile, line.certificate_pem);
    return { address: line.address, certificateFile };
  }

  async #startNginx(workers: Workers, folder: string, upstreams: Upstreams): Promise<Endpoint> {
    const nginx = findNginx();
    if (nginx === undefined) throw new Error('nginx is not installed');
    const ports = await freePorts(this.upstreamNames);
    const args = prepareNginx(folder, workers === 'one' ? 1 : 'auto', ports, upstreams);
    const child = this.#launch(nginx.program, args, { pin: this.pins.proxy });
    const url = (upstream: UpstreamName): string => `http://127.0.0.1:${ports.get(upstream)}`;
    for (const name of this.upstreamNames) await answering(`${url(name)}/v1/models`, child);
    return proxy(child, url, {});
  }

  async #startSluice(workers: Workers, folder: string, upstreams: Upstreams): Promise<Endpoint> {
    const [dataPort, adminPort] = [await freePort(), await freePort()];
    const secrets = freshSecrets();
    const args = prepareSluice({ folder, dataPort, adminPort, workers }, upstreams);
    const child = this.#launch(process.execPath, args, { pin: this.pins.proxy, variables: { ...secrets } });
    await answering(`http://127.0.0.1:${dataPort}/readyz`, child);
    const bearing = (key: string): Endpoint['headers'] => ({ authorization: `Bearer ${key}` });
    const headers = bearing(secrets.SLUICE_BENCH_KEY);
    const endpoint = proxy(child, () => `http://127.0.0.1:${dataPort}`, headers);
    return { ...endpoint, meteredHeaders: bearing(secrets.SLUICE_BENCH_METERED_KEY) };
  }
}

function direct(upstreams: Upstreams): Endpoint {
  return {
    url: (upstream) => `http://${upstreams.get(upstream)?.address}`,
    headers: {},
    meteredHeaders: {},
    pids: () => [],
    idleMb: undefined,
    check: () => {},
  };
}

function proxy(child: Child, url: Endpoint['url'], headers: Endpoint['headers']): Endpoint {
  const idle = residentKb(familyOf(child.pid));
  return {
    url,
    headers,
    meteredHeaders: headers,
    pids: () => familyOf(child.pid),
    idleMb: idle === undefined ? undefined : asMb(idle),
    check: () => child.check(),
  };
}

/** The options of an upstream as flags of `sluice demo-provider`. */
export function demoFlags(name: UpstreamName): string[] {
  return Object.entries(UPSTREAMS[name]).flatMap(([option, value]) => {
    if (option === 'tls') return ['--tls'];
    const flag = `--${option.replaceAll('_', '-')}`;
    return value === true ? [flag] : [flag, String(value)];
  });
}

async function freePorts(names: readonly UpstreamName[]): Promise<Ports> {
  const ports = new Map<UpstreamName, number>();
  for (const name of names) ports.set(name, await freePort());
  return ports;
}
