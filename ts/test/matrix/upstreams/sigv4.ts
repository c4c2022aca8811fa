/** Checks signatures of AWS, version 4, as the service does: by making the signature again from what arrived. */

import { createHash, createHmac } from 'node:crypto';
import type { Received } from '../server.js';
import { Refused } from '../shapes.js';

/** Credentials that the upstream knows. */
export const ACCESS_KEY_ID = 'AKIASCRIPTED00000000';
export const SECRET_ACCESS_KEY = 'scripted/secret+access+key0123456789abcd';
export const REGION = 'eu-west-1';

/** How far a clock may be off. */
const SKEW_MS = 5 * 60_000;

const FORM =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** As AWS encodes: all but letters, digits and `-_.~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function forbid(why: string): never {
  throw new Refused(403, why, 'InvalidSignatureException');
}

function valueOf(received: Received, name: string): string {
  const value = received.headers[name];
  if (value === undefined) return forbid(`the signed header ${name} is missing`);
  return String(value).trim().replace(/ +/g, ' ');
}

/** The path is encoded once more than it is on the wire, for every service but S3. */
function canonicalRequest(received: Received, signed: readonly string[]): string {
  const path = received.path.split('/').map(encode).join('/');
  const query = [...received.query]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const headers = signed.map((name) => `${name}:${valueOf(received, name)}\n`).join('');
  return [received.method, path, query, headers, signed.join(';'), sha256(received.body)].join('\n');
}

function checkHeaders(received: Received, signed: readonly string[], day: string): void {
  // HTTP/2 has the host under another name, and its SDK signs that.
  if (!signed.includes('host') && !signed.includes(':authority')) forbid('the host must be signed');
  if (!signed.includes('x-amz-date')) forbid('x-amz-date must be signed');
  const date = valueOf(received, 'x-amz-date');
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  const time = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  if (!(Math.abs(Date.now() - time) < SKEW_MS)) forbid(`the signature of ${date} has expired`);
  if (`${y}${mo}${d}` !== day) forbid('the date of the credential is another one');
  const digest = received.headers['x-amz-content-sha256'];
  if (digest !== undefined && digest !== sha256(received.body))
    forbid('x-amz-content-sha256 is not the body’s');
}

/** Refuses a request that is not signed with the known credentials for a service. */
export function requireSignature(received: Received, service: string): void {
  const parts = FORM.exec(received.headers.authorization ?? '');
  if (parts === null) return forbid(`authorization: ${received.headers.authorization}`);
  const [, accessKey, day = '', region, forService, names = '', signature] = parts;
  if (accessKey !== ACCESS_KEY_ID) forbid('the access key is unknown');
  if (region !== REGION || forService !== service) forbid(`signed for ${region}/${forService}`);
  const signed = names.split(';');
  if ([...signed].sort().join() !== signed.join()) forbid('the signed headers are not sorted');
  checkHeaders(received, signed, day);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = [
    'AWS4-HMAC-SHA256',
    valueOf(received, 'x-amz-date'),
    scope,
    sha256(canonicalRequest(received, signed)),
  ].join('\n');
  const key = [region, service, 'aws4_request'].reduce(hmac, hmac(`AWS4${SECRET_ACCESS_KEY}`, day));
  if (hmac(key, toSign).toString('hex') !== signature) forbid('the signature does not match');
}
