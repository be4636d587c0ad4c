import type { Account, Import, Permissions } from '@nats-io/jwt';
import type { Existing } from './event-subscription.js';
import { consumersOf } from './grant.js';

export const EVENT_STREAM = 'TENANTRY_EVENTS';
const NEXT = `$JS.API.CONSUMER.MSG.NEXT.${EVENT_STREAM}`;
const ACK = `$JS.ACK.${EVENT_STREAM}`;

/** Connections of one subscription at once. */
const CONNECTIONS = 32;
/** Requests for messages and acknowledgements are small. */
const PAYLOAD_BYTES = 8 * 1024;

/** What the platform's account offers to subscriptions' accounts. What each may use of it, its own imports say. */
export const platformExports: NonNullable<Account['exports']> = [
  { name: 'event-subscriptions-next', subject: `${NEXT}.*`, type: 'service', response_type: 'Stream' },
  { name: 'event-subscriptions-ack', subject: `${ACK}.>`, type: 'service' },
];

/** `closed` ends every connection that there is; it is only ever pushed on the way to something else, and for revoked ones. */
type Mode = 'open' | 'silent' | 'closed';

/**
 * A subscription's account: without JetStream, without exports, and with imports of its own consumers' subjects alone. Whatever its
 * users publish stays in it, replies included, but for requests and acknowledgements of these consumers.
 * @param platform public key of the platform's account, which also signs its users
 * @param replaced public keys of users whose credentials were replaced
 */
export function accountClaims(of: Existing, mode: Mode, platform: string, replaced: readonly string[]): Account {
  const consumers = mode === 'open' ? consumersOf(of.subscriptionId, of) : [];
  const issuedUntil = of.revokedAt === null ? null : Math.floor(Date.parse(of.revokedAt) / 1000);
  const revocations: Record<string, number> = {};
  // A user's key is used for one set of credentials only: every one that was ever issued for it is meant.
  for (const key of replaced) revocations[key] = FOREVER;
  if (issuedUntil !== null) revocations['*'] = issuedUntil + 1;
  return {
    limits: {
      ...{ subs: 1_000, data: -1, payload: PAYLOAD_BYTES, imports: -1, exports: 0, wildcards: false, leaf: 0, disallow_bearer: true },
      conn: mode === 'closed' ? 0 : CONNECTIONS,
    },
    signing_keys: [platform],
    imports: consumers.flatMap(({ name }): Import[] => [
      { name: `${name} next`, account: platform, subject: `${NEXT}.${name}`, type: 'service' },
      { name: `${name} ack`, account: platform, subject: `${ACK}.${name}.>`, type: 'service' },
    ]),
    revocations,
    type: 'account',
    version: 2,
  };
}
/** The year 9999: a time of issue is always before. */
const FOREVER = 253_370_764_800;

/** What a subscription's user may say and hear: fetch from and acknowledge on its own consumers, hear its own inbox. */
export function userPermissions(of: Pick<Existing, 'subscriptionId' | 'tenants' | 'contexts'>, inboxPrefix: string): Permissions {
  return {
    pub: { allow: consumersOf(of.subscriptionId, of).flatMap(({ name }) => [`${NEXT}.${name}`, `${ACK}.${name}.>`]) },
    sub: { allow: [`${inboxPrefix}.>`] },
  };
}
