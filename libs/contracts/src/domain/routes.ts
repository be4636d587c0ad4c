import { z } from 'zod';
import { face, operation, route } from '../route.js';
import { closedAccess } from '../tenant/access.js';
import { Uuid } from '../values.js';
import { DnsRecord } from './events.js';

const ById = z.strictObject({ tenantId: Uuid });
export const DomainView = z.object({
  id: Uuid,
  host: z.string(),
  unicodeHost: z.string(),
  type: z.enum(['subdomain', 'custom']),
  status: z.enum(['active', 'pending', 'released']),
  primary: z.boolean(),
  ssl: z.boolean(),
  records: z.array(DnsRecord).describe('What to set at the DNS provider'),
  createdAt: z.string(),
});
export type DomainView = z.infer<typeof DomainView>;

export const listDomains = route({
  name: 'domains.list',
  summary: "The tenant's host names, with the DNS records to set",
  owner: 'domain-ssl',
  tag: 'Domains',
  scope: 'platform',
  permission: 'domain:read',
  method: 'GET',
  path: '/api/v1/platform/tenants/:tenantId/domains',
  params: ById,
  answers: { 200: z.object({ items: z.array(DomainView) }) },
});

/** Part of creating a tenant: nobody else gets the subdomain while the reservation lasts. Idempotent per tenant. */
export const reserveHost = operation({
  name: 'hosts.reserve',
  owner: 'domain-ssl',
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, host: z.string(), ttlMs: z.number().int() }),
  output: z.object({ reserved: z.boolean() }),
});
/** The `domain` step of provisioning: claims a subdomain, or registers a custom host as pending. Idempotent. */
export const claimHost = operation({
  name: 'hosts.claim',
  owner: 'domain-ssl',
  callers: ['provisioning'],
  input: z.object({
    tenantId: Uuid,
    operationId: Uuid,
    type: z.enum(['subdomain', 'custom']),
    host: z.string(),
    ssl: z.boolean(),
    primary: z.boolean(),
  }),
  output: z.object({ domainId: Uuid, status: z.enum(['active', 'pending']) }),
});
/** Undoes `hosts.claim`. Idempotent. */
export const releaseHost = operation({
  name: 'hosts.release',
  owner: 'domain-ssl',
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, operationId: Uuid, host: z.string() }),
  output: z.object({}),
});
/** Whose host name is this? Null where it routes nowhere; `closed` where that is so because its tenant may not be used. */
export const resolveHost = operation({
  name: 'hosts.resolve',
  owner: 'domain-ssl',
  callers: ['provisioning', 'gateway'],
  input: z.object({ host: z.string() }),
  output: z.object({ tenantId: Uuid.nullable(), closed: z.enum(closedAccess).optional() }),
});

const DomainRow = z.object({
  id: Uuid,
  host: z.string(),
  unicode_host: z.string(),
  type: z.string(),
  status: z.string(),
  is_primary: z.boolean(),
  ssl: z.boolean(),
  records: z.array(DnsRecord),
  created_at: z.string(),
});
export const domainRoutes = [listDomains];
export const domainFaces = [
  face({
    of: listDomains,
    summary: "The tenant's host names",
    tag: 'Domains',
    scope: 'tenant',
    permission: 'domain:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/domains',
    params: ById,
    answers: { 200: z.array(DomainRow) },
    request: ({ params }) => ({ params }),
    answer: (body) =>
      body.items.map((domain: DomainView) => ({
        id: domain.id,
        host: domain.host,
        unicode_host: domain.unicodeHost,
        type: domain.type,
        status: domain.status,
        is_primary: domain.primary,
        ssl: domain.ssl,
        records: domain.records,
        created_at: domain.createdAt,
      })),
  }),
];
