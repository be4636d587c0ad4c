import { z } from 'zod';
import { Actor } from '../events.js';
import { face, route } from '../route.js';
import { InstantText, Moment, OffsetQuery, PageQuery, page, Uuid } from '../values.js';

const base = '/api/v1/platform/tenants/:tenantId';
const ById = z.strictObject({ tenantId: Uuid });
const common = { owner: 'provisioning', tag: 'History', scope: 'platform', method: 'GET', params: ById } as const;

/** `from` and `to` are null where there was, or is, nothing. Values that the caller may not see, and sensitive settings always, are masked. */
export const Change = z.object({
  path: z
    .string()
    .describe('Such as plan.id, settings.theme or quotas.users.limit; a name with other characters is written settings["smtp.host"]'),
  from: z.json(),
  to: z.json(),
});
export type Change = z.infer<typeof Change>;
export const HistoryItem = z.object({
  position: z.number().int(),
  type: z.string(),
  recordedAt: InstantText,
  actor: Actor,
  changes: z.array(Change),
});
export type HistoryItem = z.infer<typeof HistoryItem>;

export const listHistory = route({
  ...common,
  name: 'history.list',
  summary:
    'Every event of the tenant, oldest first, with what it changed; a page may be shorter than its limit where the next cursor says so',
  permission: 'audit:read',
  path: `${base}/history`,
  query: z.strictObject({
    ...PageQuery,
    order: z.enum(['asc', 'desc']).optional().describe('asc, the default, is oldest first'),
    type: z.string().max(100).optional().describe('Only events of this type'),
    actor: z.string().max(200).optional().describe('Only what the actor with this id did'),
    from: Moment.optional().describe('The first moment to be listed'),
    to: Moment.optional().describe('The last moment to be listed'),
  }),
  answers: { 200: page(HistoryItem) },
});
export const diffHistory = route({
  ...common,
  name: 'history.diff',
  summary: 'What is different at one moment from how it was at another',
  permission: 'audit:read',
  path: `${base}/history/diff`,
  query: z.strictObject({
    from: Moment.optional().describe('The first event unless given'),
    to: Moment.optional().describe('Now unless given'),
  }),
  answers: { 200: z.object({ changes: z.array(Change) }) },
});

const HistoryRow = HistoryItem.omit({ recordedAt: true }).extend({ recorded_at: InstantText });
const surface = { tag: 'History', scope: 'tenant', method: 'GET', params: ById, permission: 'audit:read' } as const;
export const historyRoutes = [listHistory, diffHistory];
export const historyFaces = [
  face({
    ...surface,
    of: listHistory,
    summary: 'Every event of the tenant, oldest first, with what it changed',
    path: '/api/tenants/:tenantId/history',
    query: z.strictObject({ ...OffsetQuery, limit: PageQuery.limit }),
    answers: { 200: z.array(HistoryRow) },
    // Every event is listed, and positions have no gaps: an offset is the position before which nothing is shown.
    request: ({ params, query }) => ({ params, query: { limit: query.limit, ...(query.offset ? { cursor: String(query.offset) } : {}) } }),
    answer: (body) => body.items.map(({ recordedAt, ...item }: HistoryItem) => ({ ...item, recorded_at: recordedAt })),
  }),
  face({
    ...surface,
    of: diffHistory,
    summary: 'What is different at one moment from how it was at another',
    path: '/api/tenants/:tenantId/history/diff',
    query: diffHistory.query,
    answers: diffHistory.answers,
    request: ({ params, query }) => ({ params, query }),
    answer: (body) => body,
  }),
];
