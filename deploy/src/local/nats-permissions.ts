import type { Permissions } from '@nats-io/jwt';
import type { ServiceName } from '@tenantry/contracts/route';

/** A reply is due within this time; requests that take longer have given up anyway. */
const replyTtlNs = 120_000_000_000;

/**
 * What a process may say and hear in the platform's account. The subjects name caller and callee,
 * so the broker itself proves who calls; replies go to an inbox that only the caller can hear.
 */
export function processPermissions(process: ServiceName): Permissions {
  const publish = [`rpc.*.${process}.>`, 'tenantry.nudge'];
  const subscribe = [`rpc.${process}.*.>`, `_INBOX_${process}.>`, 'tenantry.events.>'];
  if (process === 'relay') {
    publish.push(
      'tenantry.events.>',
      // Makes the stream, compares it with what was published, and looks through it where it cannot tell.
      '$JS.API.INFO',
      '$JS.API.STREAM.CREATE.TENANTRY_EVENTS',
      '$JS.API.STREAM.UPDATE.TENANTRY_EVENTS',
      '$JS.API.STREAM.INFO.TENANTRY_EVENTS',
      '$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS',
      '$JS.API.CONSUMER.CREATE.TENANTRY_EVENTS',
      '$JS.API.CONSUMER.CREATE.TENANTRY_EVENTS.*',
      '$JS.API.CONSUMER.INFO.TENANTRY_EVENTS.*',
      '$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.*',
      '$JS.API.CONSUMER.DELETE.TENANTRY_EVENTS.*',
    );
    subscribe.push('tenantry.nudge');
  }
  // The smoke test of a new tenant looks its events up in the stream.
  if (process === 'provisioning') publish.push('$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS');
  // Makes and ends the consumers of event subscriptions, and looks up how far they have come. It fetches nothing from them.
  if (process === 'identity') {
    publish.push(
      '$JS.API.STREAM.INFO.TENANTRY_EVENTS',
      '$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS',
      '$JS.API.CONSUMER.DURABLE.CREATE.TENANTRY_EVENTS.*',
      '$JS.API.CONSUMER.DELETE.TENANTRY_EVENTS.*',
      '$JS.API.CONSUMER.INFO.TENANTRY_EVENTS.*',
      '$JS.API.CONSUMER.LIST.TENANTRY_EVENTS',
    );
  }
  return { pub: { allow: publish }, sub: { allow: subscribe }, resp: { max: 1, ttl: replyTtlNs } };
}

/** Reads every event, with consumers of its own; publishes nothing but what consumers need. */
export const readerPermissions: Permissions = {
  pub: {
    allow: [
      '$JS.API.INFO',
      '$JS.API.STREAM.NAMES',
      '$JS.API.STREAM.LIST',
      '$JS.API.STREAM.INFO.TENANTRY_EVENTS',
      '$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS',
      '$JS.API.DIRECT.GET.TENANTRY_EVENTS',
      '$JS.API.DIRECT.GET.TENANTRY_EVENTS.>',
      '$JS.API.CONSUMER.*.TENANTRY_EVENTS',
      '$JS.API.CONSUMER.*.TENANTRY_EVENTS.>',
      '$JS.API.CONSUMER.DURABLE.CREATE.TENANTRY_EVENTS.>',
      '$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.>',
      '$JS.ACK.TENANTRY_EVENTS.>',
      '$JS.FC.TENANTRY_EVENTS.>',
    ],
  },
  sub: { allow: ['_INBOX.>', 'tenantry.events.>'] },
};

/** Of the system account: pushes accounts to the resolver and reads what it has. Identity alone has it. */
export const systemPermissions: Permissions = {
  pub: { allow: ['$SYS.REQ.CLAIMS.UPDATE', '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP', '$SYS.REQ.CLAIMS.LIST'] },
  sub: { allow: ['_INBOX_identity.>'] },
};
