import { createHash } from 'node:crypto';
import type { DnsRecord } from '@tenantry/contracts/domain/events';
import type { z } from 'zod';

/**
 * What to set at the DNS provider for a custom host: a TXT record that proves ownership, and a CNAME that leads visitors here.
 * The token is derived from tenant and host, so that it stays the same however often it is shown, and is another one for every
 * tenant that wants the host. It needs not be secret: only who writes the zone can publish it.
 */
export function dnsRecords({
  tenantId,
  host,
  baseDomain,
}: {
  tenantId: string;
  host: string;
  baseDomain: string;
}): z.infer<typeof DnsRecord>[] {
  const token = createHash('sha256').update(`tenantry-domain-ownership\0${tenantId}\0${host}`).digest('base64url');
  return [
    { purpose: 'ownership', type: 'TXT', name: `_tenantry-challenge.${host}`, value: `tenantry-verification=${token}` },
    { purpose: 'routing', type: 'CNAME', name: host, value: `edge.${baseDomain}` },
  ];
}
