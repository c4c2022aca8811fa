/** Small parsers of JSON: each takes a value and its path, and returns it typed or refuses it as a provider would. */

/** A request that a provider does not take. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The provider's own name of the error, where it is not the usual one of the status. */
    readonly type?: string,
  ) {
    super(message);
  }
}

/** Refuses a request for what stands at a path. */
export function refuse(path: string, message: string): never {
  throw new Refused(400, `${path}: ${message}`);
}

/** Reads the value at a path. */
export type Shape<T> = (value: unknown, path: string) => T;
type Shapes = Readonly<Record<string, Shape<unknown>>>;
type Read<S> = S extends Shape<infer T> ? T : never;
type Required<S extends Shapes> = { readonly [K in keyof S]: Read<S[K]> };
type Optional<S extends Shapes> = { readonly [K in keyof S]?: Read<S[K]> };

/** What a value is called in a refusal. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

export const text: Shape<string> = (value, path) =>
  typeof value === 'string' ? value : refuse(path, `expected a string, got ${kindOf(value)}`);

/** A string that says something. */
export const filled: Shape<string> = (value, path) => {
  const read = text(value, path);
  return read.trim() === '' ? refuse(path, 'must not be blank') : read;
};

/** A string of a form. */
export function matching(pattern: RegExp): Shape<string> {
  return (value, path) => {
    const read = text(value, path);
    return pattern.test(read) ? read : refuse(path, `${JSON.stringify(read)} does not match ${pattern}`);
  };
}

export const flag: Shape<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : refuse(path, `expected a boolean, got ${kindOf(value)}`);

export function number(min: number, max: number): Shape<number> {
  return (value, path) => {
    if (typeof value !== 'number') return refuse(path, `expected a number, got ${kindOf(value)}`);
    return value >= min && value <= max ? value : refuse(path, `${value} is not within ${min} and ${max}`);
  };
}

export function integer(min = 0, max = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, path) => {
    const read = number(min, max)(value, path);
    return Number.isInteger(read) ? read : refuse(path, `${read} is no integer`);
  };
}

export function oneOf<T extends string>(...values: readonly T[]): Shape<T> {
  return (value, path) =>
    values.find((known) => known === value) ??
    refuse(path, `${JSON.stringify(value)} is none of ${values.join(', ')}`);
}

export const anything: Shape<unknown> = (value) => value;

/** Any object. */
export const object: Shape<Readonly<Record<string, unknown>>> = (value, path) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : refuse(path, `expected an object, got ${kindOf(value)}`);

/** A value that may be null, which is as if it were absent. */
export function nullable<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, path) => (value === null ? undefined : shape(value, path));
}

export function list<T>(shape: Shape<T>, min = 0, max = Number.MAX_SAFE_INTEGER): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return refuse(path, `expected an array, got ${kindOf(value)}`);
    if (value.length < min) return refuse(path, `needs at least ${min} items`);
    if (value.length > max) return refuse(path, `takes at most ${max} items`);
    return value.map((item: unknown, index) => shape(item, `${path}[${index}]`));
  };
}

/** An object with these members and no others. */
export function record<R extends Shapes, O extends Shapes>(
  required: R,
  optional: O,
): Shape<Required<R> & Optional<O>> {
  return (value, path) => {
    const members = object(value, path);
    for (const name of Object.keys(required)) {
      if (!(name in members)) refuse(`${path}.${name}`, 'field required');
    }
    const read = Object.entries(members).map(([name, member]) => {
      const shape = required[name] ?? optional[name];
      if (shape === undefined) return refuse(`${path}.${name}`, 'extra inputs are not permitted');
      return [name, shape(member, `${path}.${name}`)] as const;
    });
    return Object.fromEntries(read) as Required<R> & Optional<O>;
  };
}

/** A string or something else, as most providers let contents be. */
export function textOr<T>(shape: Shape<T>, asText: Shape<string> = text): Shape<string | T> {
  return (value, path) => (typeof value === 'string' ? asText(value, path) : shape(value, path));
}

/** One of several objects, told apart by a member. */
export function tagged<S extends Shapes>(tag: string, shapes: S): Shape<Read<S[keyof S]>> {
  return (value, path) => {
    const kind = object(value, path)[tag];
    const shape = typeof kind === 'string' ? shapes[kind] : undefined;
    if (shape === undefined) {
      return refuse(`${path}.${tag}`, `${JSON.stringify(kind)} is none of ${Object.keys(shapes).join(', ')}`);
    }
    return shape(value, path) as Read<S[keyof S]>;
  };
}

/** An object of which exactly one of some members is there, besides others. */
export function union<S extends Shapes, O extends Shapes>(
  shapes: S,
  others: O,
): Shape<Optional<S> & Optional<O>> {
  return (value, path) => {
    const read = record({}, { ...shapes, ...others })(value, path) as Optional<S> & Optional<O>;
    const present = Object.keys(shapes).filter((name) => name in read);
    if (present.length !== 1) {
      return refuse(path, `needs exactly one of ${Object.keys(shapes).join(', ')}, has ${present.length}`);
    }
    return read;
  };
}

/** The parts of a URL that is its own content. */
export function dataOf(url: string): { readonly mediaType: string; readonly data: string } {
  const [, mediaType, data] = /^data:([^;,]+);base64,(.+)$/.exec(url) ?? [];
  if (mediaType === undefined || data === undefined) return refuse('image_url', `is ${url.slice(0, 40)}`);
  return { mediaType, data };
}

/** Parses a body. */
export function parse<T>(shape: Shape<T>, body: Buffer): T {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new Refused(400, 'the body is not JSON');
  }
  return shape(value, 'body');
}
