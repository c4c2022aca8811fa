/** nginx as the yardstick: `proxy_pass` with keep-alive upstream connections and nothing else switched on. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UPSTREAMS, type UpstreamName } from './rows.js';

/** Debian keeps it where an ordinary user's PATH does not look. */
const PLACES = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx', '/opt/homebrew/bin/nginx'];
/** Idle upstream connections kept per worker: as many as Sluice keeps by default. */
const KEEPALIVE = 256;

/** Where an upstream listens, and the certificate it is trusted by when it speaks TLS. */
export interface UpstreamAt {
  readonly address: string;
  readonly certificateFile: string | null;
}

/** The upstreams that the rows of a run need. */
export type Upstreams = ReadonlyMap<UpstreamName, UpstreamAt>;
/** Where nginx listens for each of them. */
export type Ports = ReadonlyMap<UpstreamName, number>;

/** The nginx of this machine and its version. */
export function findNginx(): { readonly program: string; readonly version: string } | undefined {
  for (const program of PLACES) {
    if (program.startsWith('/') && !existsSync(program)) continue;
    const version = /nginx\/(\S+)/.exec(spawnSync(program, ['-v'], { encoding: 'utf8' }).stderr ?? '')?.[1];
    if (version !== undefined) return { program, version };
  }
  return undefined;
}

/** Writes the configuration into a folder of its own and returns the arguments to start nginx with. */
export function prepareNginx(
  folder: string,
  workers: number | 'auto',
  ports: Ports,
  upstreams: Upstreams,
): string[] {
  mkdirSync(join(folder, 'temp'), { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, nginxConfig(folder, workers, ports, upstreams));
  return ['-p', folder, '-c', file, '-e', join(folder, 'error.log')];
}

/** The configuration: one server per upstream, bodies held in memory, nothing logged. */
export function nginxConfig(
  folder: string,
  workers: number | 'auto',
  ports: Ports,
  upstreams: Upstreams,
): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${join(folder, 'temp', kind)};`,
  );
  return [
    'daemon off;',
    `worker_processes ${workers};`,
    'worker_rlimit_nofile 65536;',
    `pid ${join(folder, 'nginx.pid')};`,
    `error_log ${join(folder, 'error.log')} warn;`,
    'events { worker_connections 16384; }',
    'http {',
    ...temporary,
    '  access_log off;',
    '  tcp_nodelay on;',
    '  keepalive_requests 1000000000;',
    '  keepalive_timeout 300s;',
    '  client_body_buffer_size 256k;',
    '  client_max_body_size 64m;',
    ...[...upstreams].flatMap(([name, upstream]) => serverOf(name, ports.get(name) ?? 0, upstream)),
    '}',
    '',
  ].join('\n');
}

function serverOf(name: UpstreamName, port: number, upstream: UpstreamAt): string[] {
  const streamed = 'chunk_gap_ms' in UPSTREAMS[name];
  return [
    `  upstream ${name} {`,
    `    server ${upstream.address};`,
    `    keepalive ${KEEPALIVE};`,
    '    keepalive_requests 1000000000;',
    '    keepalive_timeout 300s;',
    '  }',
    '  server {',
    `    listen 127.0.0.1:${port} backlog=4096;`,
    '    location / {',
    `      proxy_pass ${upstream.certificateFile === null ? 'http' : 'https'}://${name};`,
    '      proxy_http_version 1.1;',
    '      proxy_set_header Connection "";',
    ...(streamed ? ['      proxy_buffering off;'] : []),
    ...(upstream.certificateFile === null ? [] : verified(upstream.certificateFile)),
    '    }',
    '  }',
  ];
}

/** The upstream's certificate is checked, as a gateway checks it. */
function verified(certificateFile: string): string[] {
  return [
    '      proxy_ssl_verify on;',
    `      proxy_ssl_trusted_certificate ${certificateFile};`,
    '      proxy_ssl_name localhost;',
    '      proxy_ssl_server_name on;',
  ];
}
