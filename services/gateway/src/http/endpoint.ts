import type { Face, Route, RouteInput, Scope } from '@tenantry/contracts/route';
import type { z } from 'zod';

/** One method of one path: a route itself, or one of its faces. */
export interface Endpoint {
  /** Unique: in metrics, and as the scope of idempotency keys together with the route's name. */
  id: string;
  route: Route;
  face: Face | null;
  method: Route['method'];
  path: string;
  summary: string;
  tag: string;
  scope: Scope;
  permission: string | null;
  params?: z.ZodType;
  query?: z.ZodType;
  body?: z.ZodType;
  bodyOptional: boolean;
  /** Of what is put: how the same is read. */
  reads?: Endpoint;
  answers: Record<number, z.ZodType>;
  /** It is about the tenant that the credentials belong to: `…/current`. */
  ownTenant: boolean;
  /** The face's names of the route's fields, for refusals that come from behind. */
  fieldNames: ReadonlyMap<string, string>;
}

export function endpointsOf(routes: readonly Route[], faces: readonly Face[]): Endpoint[] {
  const endpoints = [...routes.map((route) => endpoint(route, route, null)), ...faces.map((face) => endpoint(face, face.of, face))];
  const reading = new Map(endpoints.filter(({ method }) => method === 'GET').map((one) => [one.path, one]));
  for (const one of endpoints) if (one.method === 'PUT') one.reads = reading.get(one.path);
  return endpoints;
}

function endpoint(source: Route | Face, route: Route, face: Face | null): Endpoint {
  const { method, path, summary, tag, scope, permission, params, query, body, answers } = source;
  return {
    ...{ method, path, summary, tag, scope, permission, params, query, body, answers, route, face },
    id: face === null ? route.name : `${route.name} ${method} ${path}`,
    bodyOptional: source.bodyOptional ?? false,
    ownTenant: scope === 'tenant' && !path.includes(':tenantId'),
    fieldNames: face === null ? new Map() : fieldNamesOf(face),
  };
}

/** The route's input for a validated request of the endpoint. */
export function routeInput({ face }: Endpoint, input: { params: any; query: any; body: any }, tenantId: string | undefined): RouteInput {
  const { params = {}, query = {}, body = {} } = face === null ? input : face.request(input, { tenantId });
  return { params, query, body } as RouteInput;
}

type Shape = Record<string, unknown>;
const shapeOf = (schema: z.ZodType | undefined): Shape => (schema as { shape?: Shape } | undefined)?.shape ?? {};

/** Sends each field's own name through the face's mapping, and sees where it comes out. */
function fieldNamesOf(face: Face): Map<string, string> {
  const names = (schema: z.ZodType | undefined) => Object.fromEntries(Object.keys(shapeOf(schema)).map((name) => [name, `field:${name}`]));
  const mapped = face.request(
    { params: names(face.params), query: names(face.query), body: names(face.body) },
    { tenantId: 'field:tenantId' },
  );
  const found = new Map<string, string>();
  const collect = (value: unknown, path: string): void => {
    if (typeof value === 'string' && value.startsWith('field:')) found.set(path, value.slice('field:'.length));
    else if (typeof value === 'object' && value !== null)
      for (const [name, member] of Object.entries(value)) collect(member, path ? `${path}.${name}` : name);
  };
  for (const part of [mapped.params, mapped.query, mapped.body]) collect(part, '');
  return found;
}
