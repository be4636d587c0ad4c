import type { Context, StoredEvent } from '@tenantry/contracts/events';

/** The service that owns a context's events. */
const owners: Record<Context, string> = {
  tenant: 'provisioning',
  config: 'provisioning',
  placement: 'provisioning',
  quota: 'quota-metering',
  domain: 'domain-ssl',
  billing: 'billing',
  identity: 'identity',
  audit: 'audit',
  insight: 'insight',
  platform: 'billing',
};
/** Events whose owner isn't their context's. */
const ownersByType: Readonly<Record<string, string>> = { PlatformKeyCreated: 'identity' };

export const subjectOf = (event: StoredEvent): string => `tenantry.events.${event.tenantId}.${event.context}.${event.type}`;
export const messageIdOf = (event: StoredEvent): string => `${event.tenantId}:${event.position}`;

/** The headers of a CloudEvent in binary mode. The body is the event's data as JSON; personal fields in it are encrypted. */
export function headersOf(event: StoredEvent): [name: string, value: string][] {
  const all: [string, string][] = [
    ['ce-specversion', '1.0'],
    ['ce-id', messageIdOf(event)],
    ['ce-source', `/tenantry/${ownersByType[event.type] ?? owners[event.context]}`],
    ['ce-type', `tenantry.${event.context}.${event.type}.v${event.version}`],
    ['ce-time', event.recordedAt],
    ['ce-subject', event.stream],
    ['ce-tenantid', event.tenantId],
    ['ce-position', String(event.position)],
    ['ce-previncontext', event.previousInContext === null ? '' : String(event.previousInContext)],
    ['ce-eventid', event.id],
  ];
  if (event.metadata.traceparent !== undefined) all.push(['traceparent', event.metadata.traceparent]);
  return all;
}
