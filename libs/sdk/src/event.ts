import type { Msg } from '@nats-io/transport-node';

/** An event of a tenant's log. Schemas of `data`, by context, type and version: `/schemas/events/<context>.<type>.v<version>.json`. */
export interface TenantEvent<Data = any> {
  tenantId: string;
  /** In the tenant's log, from 0 without gaps. */
  position: number;
  /** Of the tenant's previous event of the same context; null for the first. */
  previousInContext: number | null;
  /** The event's own id, a UUID. Another one at a known position: history was rewritten from there. */
  id: string;
  context: string;
  type: string;
  version: number;
  /** The aggregate's stream within the log, such as `tenant` or `member-<id>`. */
  stream: string;
  /** Personal data is `{enc: "<key id>:<base64>"}`, or in clear where the subscription decrypts. */
  data: Data;
  /** RFC 3339. */
  recordedAt: string;
  /** W3C trace context of the request behind it. */
  traceparent?: string;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const COUNT = /^(?:0|[1-9][0-9]{0,15})$/;

/** A message of the bus as an event; null where it is none, or where its subject and its headers say different things. */
export function eventOf(message: Pick<Msg, 'subject' | 'headers' | 'data'>): TenantEvent | null {
  const header = (name: string) => message.headers?.get(name) ?? '';
  const [prefix, kind, tenantId = '', context = '', type = '', ...rest] = message.subject.split('.');
  if (prefix !== 'tenantry' || kind !== 'events' || rest.length > 0 || !UUID.test(tenantId)) return null;
  const [, version] = /[.]v([1-9][0-9]{0,5})$/.exec(header('ce-type')) ?? [];
  const position = header('ce-position');
  const previous = header('ce-previncontext');
  const id = header('ce-eventid');
  const fits =
    header('ce-type') === `tenantry.${context}.${type}.v${version}` &&
    header('ce-tenantid') === tenantId &&
    header('ce-id') === `${tenantId}:${position}` &&
    COUNT.test(position) &&
    UUID.test(id) &&
    (previous === '' || (COUNT.test(previous) && Number(previous) < Number(position)));
  if (!fits) return null;
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder().decode(message.data));
  } catch {
    return null;
  }
  const traceparent = header('traceparent');
  return {
    tenantId,
    position: Number(position),
    previousInContext: previous === '' ? null : Number(previous),
    id,
    context,
    type,
    version: Number(version),
    stream: header('ce-subject'),
    data,
    recordedAt: header('ce-time'),
    ...(traceparent === '' ? {} : { traceparent }),
  };
}

/** Whether something in the data is encrypted. */
export const holdsPersonal = (data: unknown): boolean =>
  typeof data === 'object' &&
  data !== null &&
  (typeof (data as { enc?: unknown }).enc === 'string' || Object.values(data).some((inner) => holdsPersonal(inner)));
