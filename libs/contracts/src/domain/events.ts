import { z } from 'zod';
import { type EventOf, event, events } from '../events.js';

export const DnsRecord = z.object({
  purpose: z.enum(['ownership', 'routing']),
  type: z.enum(['TXT', 'CNAME', 'A', 'AAAA']),
  name: z.string(),
  value: z.string(),
});

/** Stream `domain-<domain id>`. Owner: domain-ssl. */
export const domainEvents = events('domain', {
  DomainClaimed: event({
    version: 1,
    summary: 'A subdomain of the platform belongs to the tenant',
    data: z.object({
      domainId: z.string(),
      host: z.string(),
      unicodeHost: z.string(),
      primary: z.boolean(),
      ssl: z.boolean(),
      claimedAt: z.string(),
    }),
  }),
  CustomDomainRegistered: event({
    version: 1,
    summary: 'The tenant wants to use a host name of its own; ownership is not proven yet',
    data: z.object({
      domainId: z.string(),
      host: z.string(),
      unicodeHost: z.string(),
      primary: z.boolean(),
      ssl: z.boolean(),
      records: z.array(DnsRecord),
      registeredAt: z.string(),
    }),
  }),
  DomainReleased: event({
    version: 1,
    summary: 'The tenant no longer has the host name',
    data: z.object({ domainId: z.string(), host: z.string(), releasedAt: z.string() }),
  }),
  DomainClaimAbandoned: event({
    version: 1,
    summary: 'A claim was not finished in time; the host name is free again',
    data: z.object({ domainId: z.string(), host: z.string(), abandonedAt: z.string() }),
  }),
});
export type DomainEvent = EventOf<typeof domainEvents>;
