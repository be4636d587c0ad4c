import { z } from 'zod';
import { Actor, contexts, Encrypted } from '../events.js';
import { face, route } from '../route.js';
import { InstantText, Uuid } from '../values.js';

const base = '/api/v1/platform/tenants/:tenantId/events';
const ById = z.strictObject({ tenantId: Uuid });
const common = { owner: 'provisioning', tag: 'Events', scope: 'platform', params: ById } as const;

/** An event as the log has it: personal data, IP address and user agent included, is encrypted. */
export const LogEvent = z.object({
  tenantId: Uuid,
  position: z.number().int().describe("Position in the tenant's log, from 0 without gaps"),
  stream: z.string(),
  streamVersion: z.number().int(),
  id: Uuid.describe("The event's own id, `ce-eventid` on the bus"),
  context: z.enum(contexts),
  type: z.string(),
  version: z.number().int().describe('Of the data; older ones are brought to what is written today'),
  data: z.json().describe('Its schema: `/schemas/events/<context>.<type>.v<version>.json`'),
  metadata: z.object({
    commandId: z.string(),
    actor: Actor,
    traceparent: z.string().optional(),
    causationId: z.string().optional(),
    correlationId: z.string().optional(),
    ip: Encrypted.optional(),
    userAgent: Encrypted.optional(),
  }),
  recordedAt: InstantText,
  bodyHash: z.string(),
  leaf: z.string(),
  previousInContext: z.number().int().nullable().describe('Position of the previous event of the same context'),
});
type LogEvent = z.infer<typeof LogEvent>;

const Page = z.strictObject({
  after: z.coerce
    .number()
    .int()
    .min(-1)
    .max(Number.MAX_SAFE_INTEGER - 1)
    .optional()
    .describe('Read on after this position; -1, the default, is from the first event'),
  limit: z.coerce.number().int().min(1).max(200).optional().describe('50 unless given'),
});

export const listEvents = route({
  ...common,
  name: 'tenants.events',
  summary:
    "Read the tenant's log. The whole of it was read when the last position is `head`; a page may be shorter than its limit before that",
  permission: 'event:read',
  method: 'GET',
  path: base,
  query: Page,
  answers: { 200: z.object({ items: z.array(LogEvent), head: z.number().int().describe('Position of the last event of the log') }) },
});

/** Positions that are asked for in one request lie within this many of each other. */
export const DECRYPT_SPAN = 1_000;
const Decrypt = z.strictObject({
  positions: z
    .array(z.number().int().min(0).max(Number.MAX_SAFE_INTEGER))
    .min(1)
    .max(200)
    .refine((all) => Math.max(...all) - Math.min(...all) < DECRYPT_SPAN, {
      message: `must lie within ${DECRYPT_SPAN} positions of each other: ask for the others separately`,
      params: { rule: 'span' },
    }),
});
const Clear = LogEvent.pick({ position: true, id: true, type: true, version: true }).extend({
  data: z.json().describe('In clear; null stands where the key was destroyed. Values of sensitive settings stay `{enc}` for everybody'),
});
const Decrypted = z.object({
  items: z.array(Clear),
  remaining: z.array(z.number().int()).describe('Positions that did not fit into the answer: ask for them again'),
});

export const decryptEvents = route({
  ...common,
  name: 'tenants.events.decrypt',
  summary: 'Personal data of events in clear, by their positions; those that the log does not have are left out',
  permission: 'personal:read',
  method: 'POST',
  path: `${base}/decrypt`,
  body: Decrypt,
  answers: { 200: Decrypted },
  timeoutMs: 20_000,
});

const LogEventRow = LogEvent.omit({
  tenantId: true,
  streamVersion: true,
  recordedAt: true,
  bodyHash: true,
  previousInContext: true,
}).extend({
  tenant_id: Uuid,
  stream_version: z.number().int(),
  recorded_at: InstantText,
  body_hash: z.string(),
  previous_in_context: z.number().int().nullable(),
});
const row = ({ tenantId, streamVersion, recordedAt, bodyHash, previousInContext, ...same }: LogEvent): z.infer<typeof LogEventRow> => ({
  ...same,
  tenant_id: tenantId,
  stream_version: streamVersion,
  recorded_at: recordedAt,
  body_hash: bodyHash,
  previous_in_context: previousInContext,
});

export const eventRoutes = [listEvents, decryptEvents];
export const eventFaces = [
  face({
    of: listEvents,
    summary: "Read the tenant's own log. `X-Total-Count` is the number of its events; a page may be shorter than its limit before the end",
    tag: common.tag,
    scope: 'tenant',
    permission: listEvents.permission,
    method: 'GET',
    path: '/api/tenants/:tenantId/events',
    params: ById,
    query: Page,
    answers: { 200: z.array(LogEventRow) },
    request: ({ params, query }) => ({ params, query }),
    answer: (body) => body.items.map(row),
  }),
  face({
    of: decryptEvents,
    summary: decryptEvents.summary,
    tag: common.tag,
    scope: 'tenant',
    permission: decryptEvents.permission,
    method: 'POST',
    path: '/api/tenants/:tenantId/events/decrypt',
    params: ById,
    body: Decrypt,
    answers: decryptEvents.answers,
    request: ({ params, body }) => ({ params, body }),
    answer: (body) => body,
  }),
];
