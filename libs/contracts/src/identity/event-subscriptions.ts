import { z } from 'zod';
import { contexts } from '../events.js';
import { face, route } from '../route.js';
import { text, Uuid } from '../values.js';
import { SubscriptionStart } from './events.js';

const base = '/api/v1/platform';
const common = { owner: 'identity', tag: 'Event subscriptions', scope: 'platform' } as const;
/** Signing, pushing and making up to 32 consumers takes its time on a busy broker. */
const timeoutMs = 20_000;

/** More of them and one broker is kept busy by one subscriber. */
export const MAX_CONSUMERS = 32;

const Contexts = z.union([z.literal('all'), z.array(z.enum(contexts)).min(1).max(contexts.length)]);
const Types = z.array(z.string().min(1).max(100)).min(1).max(200);
const Tenants = z.union([z.literal('all'), z.array(Uuid).min(1).max(1_000)]);
export const CreateEventSubscription = z.strictObject({
  name: text(100),
  tenants: Tenants,
  contexts: Contexts,
  types: Types.optional().describe('Of the named contexts; the subscriber leaves the others out'),
  from: SubscriptionStart,
});
/** `tenants` may only name the tenant itself. */
const CreateForTenant = CreateEventSubscription.extend({ tenants: Tenants.optional() });
const Replay = z.strictObject({ from: SubscriptionStart });

export const EventSubscription = z.object({
  id: Uuid,
  name: z.string(),
  status: z.enum(['active', 'paused', 'revoked']),
  tenants: z.union([z.literal('all'), z.array(Uuid)]),
  contexts: z.union([z.literal('all'), z.array(z.enum(contexts))]),
  types: z.array(z.string()).nullable(),
  from: SubscriptionStart,
  natsUrl: z.string(),
  stream: z.string(),
  consumers: z.array(z.object({ name: z.string(), filterSubject: z.string() })),
  inboxPrefix: z.string().nullable().describe('The only inbox that the credentials may listen to'),
  credentialsExpireAt: z.string().nullable().describe('The end of the API key that the newest credentials were issued with'),
  createdAt: z.string(),
});
const Issued = EventSubscription.extend({ credentials: z.string().describe('The text of a NATS `.creds` file, shown this once') });
const Lag = z.object({
  tenantId: Uuid,
  context: z.union([z.literal('all'), z.enum(contexts)]),
  delivered: z.number().int().describe('Position of the last event before the first that was not delivered yet; -1 for none'),
  acknowledged: z.number().int().describe('The same for what was acknowledged'),
  head: z.number().int().describe('Position of the last event of the context; -1 for none'),
});
const WithLag = EventSubscription.extend({
  lag: z.array(Lag).describe('For all tenants: of the logs that grew last').nullable(),
});

/** The same operations on the platform's subscriptions and on those of one tenant. */
function operations<P extends z.ZodType, O extends z.ZodType, B extends z.ZodType>(
  prefix: string,
  path: string,
  whose: string,
  params: P,
  byIdParams: O,
  body: B,
) {
  const one = { ...common, params: byIdParams, timeoutMs };
  const byId = `${path}/:subscriptionId`;
  return {
    create: route({
      ...common,
      name: `${prefix}.create`,
      summary: `Let another system read ${whose} from the bus; its credentials are shown this once`,
      permission: 'event-subscription:create',
      method: 'POST',
      path,
      params,
      body,
      answers: { 201: Issued },
      timeoutMs,
    }),
    list: route({
      ...common,
      name: `${prefix}.list`,
      summary: `Subscriptions to ${whose}, without revoked ones`,
      permission: 'event-subscription:read',
      method: 'GET',
      path,
      params,
      answers: { 200: z.object({ items: z.array(EventSubscription) }) },
    }),
    get: route({
      ...one,
      name: `${prefix}.get`,
      summary: 'An event subscription, and how far it has come',
      permission: 'event-subscription:read',
      method: 'GET',
      path: byId,
      answers: { 200: WithLag },
    }),
    revoke: route({
      ...one,
      name: `${prefix}.revoke`,
      summary: 'End an event subscription for good; its credentials stop working at once',
      permission: 'event-subscription:delete',
      method: 'DELETE',
      path: byId,
      answers: { 204: z.undefined() },
    }),
    rotate: route({
      ...one,
      name: `${prefix}.rotate`,
      summary: 'Issue new credentials; the old ones are refused at once',
      permission: 'event-subscription:update',
      method: 'POST',
      path: `${byId}/rotate`,
      answers: { 200: Issued },
    }),
    pause: route({
      ...one,
      name: `${prefix}.pause`,
      summary: 'Deliver nothing until it is resumed',
      permission: 'event-subscription:update',
      method: 'POST',
      path: `${byId}/pause`,
      answers: { 200: EventSubscription },
    }),
    resume: route({
      ...one,
      name: `${prefix}.resume`,
      summary: 'Go on after what was acknowledged last',
      permission: 'event-subscription:update',
      method: 'POST',
      path: `${byId}/resume`,
      answers: { 200: EventSubscription },
    }),
    replay: route({
      ...one,
      name: `${prefix}.replay`,
      summary: 'Deliver again from another point on',
      permission: 'event-subscription:update',
      method: 'POST',
      path: `${byId}/replay`,
      body: Replay,
      answers: { 200: EventSubscription },
    }),
  };
}

export const ofPlatform = operations(
  'event-subscriptions',
  `${base}/event-subscriptions`,
  'events',
  z.strictObject({}),
  z.strictObject({ subscriptionId: Uuid }),
  CreateEventSubscription,
);
export const ofTenant = operations(
  'tenant-event-subscriptions',
  `${base}/tenants/:tenantId/event-subscriptions`,
  "the tenant's events",
  z.strictObject({ tenantId: Uuid }),
  z.strictObject({ tenantId: Uuid, subscriptionId: Uuid }),
  CreateForTenant,
);

type Shown = z.infer<typeof EventSubscription> & { credentials?: string; lag?: z.infer<typeof Lag>[] | null };
const row = ({ natsUrl, inboxPrefix, credentialsExpireAt, createdAt, consumers, lag, ...same }: Shown) => ({
  ...same,
  consumers: consumers.map(({ name, filterSubject }) => ({ name, filter_subject: filterSubject })),
  nats_url: natsUrl,
  inbox_prefix: inboxPrefix,
  credentials_expire_at: credentialsExpireAt,
  created_at: createdAt,
  ...(lag === undefined ? {} : { lag: lag?.map(({ tenantId, ...rest }) => ({ tenant_id: tenantId, ...rest })) ?? null }),
});
const Row = EventSubscription.omit({
  natsUrl: true,
  inboxPrefix: true,
  credentialsExpireAt: true,
  createdAt: true,
  consumers: true,
}).extend({
  consumers: z.array(z.object({ name: z.string(), filter_subject: z.string() })),
  nats_url: z.string(),
  inbox_prefix: z.string().nullable(),
  credentials_expire_at: z.string().nullable(),
  created_at: z.string(),
});
const IssuedRow = Row.extend({ credentials: z.string().describe('The text of a NATS `.creds` file, shown this once') });
const RowWithLag = Row.extend({ lag: z.array(Lag.omit({ tenantId: true }).extend({ tenant_id: Uuid })).nullable() });
const shapes = {
  create: { 201: IssuedRow },
  list: { 200: z.array(Row) },
  get: { 200: RowWithLag },
  revoke: { 204: z.undefined() },
  rotate: { 200: IssuedRow },
  pause: { 200: Row },
  resume: { 200: Row },
  replay: { 200: Row },
};

export const eventSubscriptionRoutes = [...Object.values(ofPlatform), ...Object.values(ofTenant)];
export const eventSubscriptionFaces = (Object.keys(shapes) as (keyof typeof shapes)[]).map((use) => {
  const of = ofTenant[use];
  const { summary, tag, permission, method, params } = of;
  return face({
    ...{ of, summary, tag, permission, method, params },
    scope: 'tenant',
    path: of.path.replace(base, '/api'),
    ...('body' in of ? { body: of.body } : {}),
    answers: shapes[use],
    request: ({ params: inPath, body }) => ({ params: inPath, body }),
    answer: (answer) => (use === 'list' ? answer.items.map(row) : row(answer)),
  });
});
