import { headers, type MsgHdrs } from '@nats-io/transport-node';
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
export function headersOf(event: StoredEvent): MsgHdrs {
  const all = headers();
  all.set('ce-specversion', '1.0');
  all.set('ce-id', messageIdOf(event));
  all.set('ce-source', `/tenantry/${ownersByType[event.type] ?? owners[event.context]}`);
  all.set('ce-type', `tenantry.${event.context}.${event.type}.v${event.version}`);
  all.set('ce-time', event.recordedAt);
  all.set('ce-subject', event.stream);
  all.set('ce-tenantid', event.tenantId);
  all.set('ce-position', String(event.position));
  all.set('ce-previncontext', event.previousInContext === null ? '' : String(event.previousInContext));
  all.set('ce-eventid', event.id);
  if (event.metadata.traceparent !== undefined) all.set('traceparent', event.metadata.traceparent);
  return all;
}
