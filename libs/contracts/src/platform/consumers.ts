import { z } from 'zod';
import { operation, route, type ServiceName, services } from '../route.js';
import { OperationView } from '../tenant/bodies.js';
import { InstantText, PageQuery, page, text, Uuid } from '../values.js';

const base = '/api/v1/platform';
const owner = 'provisioning';
const common = { owner, tag: 'Consumers', scope: 'platform' } as const;

/** The services with read models and process managers. Each answers for its own rows; the owner of the routes asks them all. */
export type ConsumerService = Exclude<ServiceName, 'gateway' | 'relay'>;
export const consumerServices = services.filter((name): name is ConsumerService => name !== 'gateway' && name !== 'relay');
const Service = z.enum(consumerServices as [ConsumerService, ...ConsumerService[]]);

const states = ['running', 'parked', 'stopped'] as const;
export const ConsumerView = z.object({
  service: Service,
  consumer: z
    .string()
    .describe('`service`: rows in the service’s own schema and its process managers; the service’s name: rows in the tenants’ schemas'),
  tenantId: Uuid,
  position: z.number().int().describe('Everything up to here was looked at, as of a second ago; -1 for nothing'),
  head: z.number().int().describe('Position of the last event of the log'),
  state: z
    .enum(states)
    .describe('parked: waits at an event that it cannot take; stopped: there is something to apply, and nothing has been for a minute'),
  error: z.string().nullable(),
});
export type ConsumerView = z.infer<typeof ConsumerView>;

export const ParkedView = z.object({
  id: Uuid,
  kind: z.enum(['event', 'effect', 'timer']),
  service: Service,
  consumer: z.string().describe('Of an event; `effects` or `timers` else'),
  tenantId: Uuid,
  position: z.number().int().nullable().describe('Of the event; null for an effect or a timer'),
  type: z.string().describe('Of the event, name of the effect, purpose of the timer'),
  error: z.string().nullable(),
  attempts: z.number().int(),
  parkedAt: InstantText.nullable(),
  nextRetryAt: InstantText.nullable().describe('Null: it is tried again only when an operator says so'),
});
export type ParkedView = z.infer<typeof ParkedView>;

/** The services that could not be asked: what is theirs is missing from the answer. */
const Unanswered = z.object({ unanswered: z.array(z.object({ service: Service, error: z.string() })) });
const ParkedId = z.strictObject({ parkedId: Uuid });
const itemStates = ['pending', 'succeeded', 'failed'] as const;
export const isRebuildState = (state: string): state is (typeof itemStates)[number] => (itemStates as readonly string[]).includes(state);
const RebuildItem = z.object({
  tenantId: Uuid,
  status: z.enum(itemStates),
  attempts: z.number().int(),
  durationMs: z.number().nullable(),
  error: z.string().nullable(),
});
export type RebuildItem = z.infer<typeof RebuildItem>;
export const jobItemStates = ['pending', 'running', 'succeeded', 'failed', 'quarantined', 'skipped'] as const;
export const OperationItem = RebuildItem.extend({
  tenantId: Uuid.nullable().describe('Null where the item is no single tenant'),
  target: z.string().nullable().optional().describe('What is worked on, where the tenant does not say it'),
  status: z.enum(jobItemStates),
  code: z.string().nullable().optional().describe('Stable code of the error'),
});
export type OperationItem = z.infer<typeof OperationItem>;
export const Counts = z.object({
  total: z.number().int(),
  succeeded: z.number().int(),
  failed: z.number().int(),
  pending: z.number().int(),
});
export type Counts = z.infer<typeof Counts>;

export const listConsumers = route({
  ...common,
  name: 'consumers.list',
  summary: 'How far every read model and process manager of every service has come with every log',
  permission: 'consumer:read',
  method: 'GET',
  path: `${base}/consumers`,
  query: z.strictObject({ ...PageQuery, service: Service.optional(), tenantId: Uuid.optional(), state: z.enum(states).optional() }),
  answers: { 200: page(ConsumerView).extend(Unanswered.shape) },
});
export const listParked = route({
  ...common,
  name: 'parked.list',
  summary: 'Events, effects and timers that could not be handled and wait',
  permission: 'consumer:read',
  method: 'GET',
  path: `${base}/parked`,
  query: z.strictObject({ ...PageQuery, service: Service.optional(), tenantId: Uuid.optional() }),
  answers: { 200: page(ParkedView).extend(Unanswered.shape) },
});
export const retryParked = route({
  ...common,
  name: 'parked.retry',
  summary: 'Have it tried again within seconds',
  permission: 'consumer:update',
  method: 'POST',
  path: `${base}/parked/:parkedId/retry`,
  params: ParkedId,
  answers: { 200: ParkedView },
});
export const skipParked = route({
  ...common,
  name: 'parked.skip',
  summary: 'Leave it out for good: an event in every rebuild too. Recorded, with who and why',
  permission: 'consumer:skip',
  method: 'POST',
  path: `${base}/parked/:parkedId/skip`,
  params: ParkedId,
  body: z.strictObject({ reason: text(500) }),
  answers: { 200: ParkedView },
});
export const rebuildProjection = route({
  ...common,
  name: 'projections.rebuild',
  summary: 'Rebuild a read model from the log, of one tenant or of all; readers see the old rows until a tenant’s new ones are there',
  permission: 'consumer:update',
  method: 'POST',
  path: `${base}/projections/:service/:name/rebuild`,
  params: z.strictObject({ service: Service, name: z.string().min(1).max(100).describe('Of a projection, or of a consumer') }),
  body: z.strictObject({ tenantId: Uuid.optional() }),
  bodyOptional: true,
  answers: { 202: OperationView },
});
export const listOperationItems = route({
  owner,
  tag: 'Operations',
  scope: 'platform',
  name: 'operations.items',
  summary: 'The tenants that work over many tenants goes through',
  permission: 'operation:read',
  method: 'GET',
  path: `${base}/operations/:operationId/items`,
  params: z.strictObject({ operationId: Uuid }),
  query: z.strictObject({ ...PageQuery, status: z.enum(jobItemStates).optional() }),
  answers: { 200: page(OperationItem) },
});

export const consumerRoutes = [listConsumers, listParked, retryParked, skipParked, rebuildProjection, listOperationItems];

const Limit = z.number().int().min(1).max(201);
const calls = (callee: ServiceName) => ({
  consumers: operation({
    name: 'consumers.of',
    owner: callee,
    callers: [owner],
    timeoutMs: 5_000,
    input: z.object({
      after: z.object({ consumer: z.string(), tenantId: Uuid }).nullable(),
      limit: Limit,
      tenantId: Uuid.optional(),
      state: z.enum(states).optional(),
    }),
    output: z.object({ items: z.array(ConsumerView) }),
  }),
  parked: operation({
    name: 'parked.of',
    owner: callee,
    callers: [owner],
    timeoutMs: 5_000,
    input: z.object({ after: Uuid.nullable(), limit: Limit, tenantId: Uuid.optional(), id: Uuid.optional() }),
    output: z.object({ items: z.array(ParkedView) }),
  }),
  /** `skip`: who leaves it out and why; null: it is tried again. Null where the service has no such thing (any more). */
  settle: operation({
    name: 'parked.settle',
    owner: callee,
    callers: [owner],
    timeoutMs: 5_000,
    input: z.object({ id: Uuid, skip: z.object({ by: z.string(), reason: z.string() }).nullable() }),
    output: z.object({ item: ParkedView.nullable() }),
  }),
  /** The consumer that a projection belongs to; null where there is none of that name. */
  consumerOf: operation({
    name: 'projections.consumer',
    owner: callee,
    callers: [owner],
    timeoutMs: 5_000,
    input: z.object({ name: z.string() }),
    output: z.object({ consumer: z.string().nullable() }),
  }),
  /** Idempotent by the operation. */
  rebuild: operation({
    name: 'projections.rebuild-all',
    owner: callee,
    callers: [owner],
    timeoutMs: 30_000,
    input: z.object({ operationId: Uuid, consumer: z.string(), tenantId: Uuid.nullable() }),
    output: z.object({}),
  }),
  progress: operation({
    name: 'projections.progress',
    owner: callee,
    callers: [owner],
    timeoutMs: 5_000,
    input: z.object({ operationId: Uuid }),
    output: Counts,
  }),
  items: operation({
    name: 'projections.items',
    owner: callee,
    callers: [owner],
    timeoutMs: 5_000,
    input: z.object({ operationId: Uuid, after: Uuid.nullable(), limit: Limit, status: z.enum(itemStates).optional() }),
    output: z.object({ items: z.array(RebuildItem) }),
  }),
});
export type OversightCalls = ReturnType<typeof calls>;

const byService = new Map<ServiceName, OversightCalls>(consumerServices.map((name) => [name, calls(name)]));
/** What the service is asked of its consumers. @throws Error for one that has none */
export function oversightOf(service: ServiceName): OversightCalls {
  const found = byService.get(service);
  if (!found) throw new Error(`${service} has no consumers`);
  return found;
}
