import type { z } from 'zod';

/** Every service there is: each is a process, `services/<name>/dist/main.js`. The launcher, the bus's credentials, the doctor and the manifests' tests go through this list. */
export const services = ['gateway', 'provisioning', 'quota-metering', 'domain-ssl', 'billing', 'audit', 'identity', 'relay'] as const;
export type ServiceName = (typeof services)[number];

/**
 * What a service answers to a call. `body` is the canonical (platform surface) shape.
 * `version` becomes the ETag, `position` the header `Tenantry-Position`.
 */
export interface Answer<B = unknown> {
  status: number;
  body: B;
  version?: number;
  position?: { tenantId: string; position: number };
  /** Of what is made of several streams, instead of `version`: the position up to which it is true; the ETag is `W/"<asOf>"`. */
  asOf?: number;
  location?: string;
  /** For bare-array lists: `X-Total-Count`. */
  total?: number;
  retryAfterSeconds?: number;
  /** The body shows a secret once: a replay answers 409 instead of storing it. */
  secret?: boolean;
}

export type Scope =
  /** Staff credentials only; a tenant's own are refused with 403. */
  | 'platform'
  /** Staff, or credentials of the very tenant in the path; another tenant's answer 404. */
  | 'tenant'
  /** Staff, or a reseller's credentials: for the children of its tenant, never for that tenant itself. */
  | 'reseller'
  /** No credentials. */
  | 'public';

type Schema = z.ZodType;
type In<S> = S extends Schema ? z.infer<S> : Record<string, never>;

/** An operation that one service serves, over HTTP through the gateway. */
export interface Route<
  P extends Schema | undefined = Schema | undefined,
  Q extends Schema | undefined = Schema | undefined,
  B extends Schema | undefined = Schema | undefined,
  A extends Schema = Schema,
> {
  kind: 'route';
  /** Name on the bus, e.g. `tenants.create`. */
  name: string;
  summary: string;
  tag: string;
  owner: ServiceName;
  scope: Scope;
  permission: string | null;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `:name` parameters; the tenant's is always `:tenantId`. */
  path: string;
  params?: P;
  query?: Q;
  body?: B;
  /** A body may be left out altogether. */
  bodyOptional?: boolean;
  answers: Record<number, A>;
  /** Answered of an erased tenant too: what it says is of the erasure. Everything else of the tenant is gone (410). */
  ofErased?: true;
  /** Milliseconds until the gateway gives up on the owner. Default 10,000. */
  timeoutMs?: number;
  /**
   * Over HTTP a file's content instead of JSON: in the request (`upload`) or in the answer (`download`). `query` and `body` are then what
   * the gateway tells the owner about it, and no part of the request.
   */
  raw?: 'upload' | 'download';
}

export interface RouteInput<R extends Route = Route> {
  params: In<R['params']>;
  query: In<R['query']>;
  body: In<R['body']>;
}
export type RouteAnswer<R extends Route> = Answer<z.infer<R['answers'][number]>>;

export const route = <
  P extends Schema | undefined = undefined,
  Q extends Schema | undefined = undefined,
  B extends Schema | undefined = undefined,
  A extends Schema = Schema,
>(
  definition: Omit<Route<P, Q, B, A>, 'kind'>,
): Route<P, Q, B, A> => ({ kind: 'route', ...definition });

/** A second HTTP face of a route, with shapes of its own that are mapped to the route's and back. */
export interface Face {
  kind: 'face';
  of: Route;
  summary: string;
  tag: string;
  scope: Scope;
  permission: string | null;
  method: Route['method'];
  path: string;
  params?: Schema;
  query?: Schema;
  body?: Schema;
  bodyOptional?: boolean;
  answers: Record<number, Schema>;
  /** From this face's validated request to the route's input. */
  request: (
    input: { params: any; query: any; body: any },
    caller: { tenantId?: string },
  ) => { params?: unknown; query?: unknown; body?: unknown };
  /** From the route's answer body to this face's. */
  answer: (body: any, status: number) => unknown;
  /** Status codes that differ on this face, e.g. `{201: 200}`. */
  status?: Record<number, number>;
}
export const face = (definition: Omit<Face, 'kind'>): Face => ({ kind: 'face', ...definition });

/** An operation between services: never reachable over HTTP. */
export interface Operation<I extends Schema = Schema, O extends Schema = Schema> {
  kind: 'operation';
  name: string;
  owner: ServiceName;
  /** The processes that may call it; the broker proves who calls. */
  callers: readonly ServiceName[];
  input: I;
  output: O;
  timeoutMs?: number;
  /** Asked of one process of the owner, by its own name (`Bus.instance`), and not of whichever comes first. */
  addressed?: true;
}
export const operation = <I extends Schema, O extends Schema>(definition: Omit<Operation<I, O>, 'kind'>): Operation<I, O> => ({
  kind: 'operation',
  ...definition,
});

/** Who is calling, as the gateway established it. */
export interface Principal {
  kind: 'staff' | 'api-key' | 'service' | 'anonymous';
  id: string;
  /** Whose credentials these are: others of the same person have the same. Absent where nobody has them. */
  person?: string;
  /** The one tenant that the credentials belong to; absent for platform credentials. */
  tenantId?: string;
  /** The tenant that this request is about, where it is a child of theirs: found by the gateway, never said by a caller. */
  childId?: string;
  permissions: string[];
}

/** What accompanies a call. `id` is hash(principal, operation, Idempotency-Key), or random where there is no key. */
export interface CommandContext {
  id: string;
  /** SHA-256 (hex) of the canonical request: another request under the same id is refused. */
  requestHash: string;
  principal: Principal;
  ip?: string;
  userAgent?: string;
  traceparent?: string;
  correlationId?: string;
  /** `If-Match`: the version the caller expects. */
  ifMatch?: number;
  /** `If-None-Match: *`: it may create, and not replace. The gateway has looked; the owner of what two may create at once looks again. */
  onlyNew?: boolean;
  /** `Tenantry-Min-Position`. */
  minPosition?: { tenantId: string; position: number };
}
