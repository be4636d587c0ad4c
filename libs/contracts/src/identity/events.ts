import { z } from 'zod';
import { contexts, type EventOf, event, events, personal } from '../events.js';
import { InstantText, Uuid } from '../values.js';

export const memberRoles = ['owner', 'admin', 'member', 'viewer'] as const;

/** Where a subscription begins: with what comes now, with the oldest there is, at an instant, or at a position of each tenant's log. */
export const SubscriptionStart = z.union([
  z.enum(['new', 'first']),
  z.strictObject({ time: InstantText }),
  z.strictObject({ positions: z.record(Uuid, z.number().int().min(0)) }),
]);
export type SubscriptionStart = z.infer<typeof SubscriptionStart>;

const started = {
  from: SubscriptionStart,
  /** The instant from which on messages are delivered, by tenant or for `all`; null where that is the oldest one. */
  startsAt: z.record(z.string(), z.string()).nullable(),
};

const createdKey = z.object({
  keyId: z.string(),
  name: z.string(),
  permissions: z.array(z.string()),
  prefix: z.string(),
  createdAt: z.string(),
  /** From when on it does not work; it always does where this is left out. */
  expiresAt: z.string().optional(),
});

/**
 * Streams `security` (of the platform's logs too), `signing` (platform log), `member-<id>`, `api-key-<id>`, `event-subscription-<id>` (the platform's own are on the platform log).
 * Owner: identity.
 */
export const identityEvents = events('identity', {
  SecurityInitialized: event({
    version: 1,
    summary: 'The tenant has its keys and its roles',
    data: z.object({
      securityLevel: z.string(),
      roles: z.array(z.object({ role: z.enum(memberRoles), permissions: z.array(z.string()) })),
      keyVersion: z.number().int(),
    }),
  }),
  TenantKeyRotated: event({
    version: 1,
    summary: "The tenant's key got a newer version: what is encrypted from now on is encrypted with it",
    data: z.object({ keyVersion: z.number().int().min(2), cause: z.enum(['requested', 'age']), rotatedAt: z.string() }),
  }),
  SigningKeyRotated: event({
    version: 1,
    summary: 'The platform signs documents with another key; the public key of the one before stays published',
    data: z.object({ keyId: z.string(), rotatedAt: z.string() }),
  }),
  MemberInvited: event({
    version: 1,
    summary: 'A person was invited to the tenant',
    subject: (data) => `member-${data.memberId}`,
    data: z.object({
      memberId: z.string(),
      email: personal(z.string()),
      /** HMAC of the address under the tenant's key: finds it again without showing it. */
      emailIndex: z.string(),
      role: z.enum(memberRoles),
      invitationId: z.string(),
      tenantName: z.string(),
      expiresAt: z.string(),
      invitedAt: z.string(),
    }),
  }),
  InvitationSent: event({
    version: 1,
    summary: 'The invitation went out by mail',
    data: z.object({ memberId: z.string(), invitationId: z.string(), simulated: z.boolean(), sentAt: z.string() }),
  }),
  MemberRemoved: event({
    version: 1,
    summary: 'A person no longer belongs to the tenant',
    data: z.object({ memberId: z.string(), reason: z.string(), removedAt: z.string() }),
  }),
  ApiKeyCreated: event({
    version: 2,
    summary: 'An API key of the tenant was created',
    subject: (data) => `api-key-${data.keyId}`,
    data: createdKey.extend({ name: personal(z.string()) }),
    // Version 1 had the name in clear, which a personal field may be too.
    upcasters: { 1: (old) => old },
    earlier: { 1: createdKey },
  }),
  ApiKeyRevoked: event({
    version: 1,
    summary: 'An API key of the tenant stopped working',
    data: z.object({ keyId: z.string(), reason: z.string(), revokedAt: z.string() }),
  }),
  EventSubscriptionCreated: event({
    version: 1,
    summary: 'Another system may read events from the bus',
    subject: (data) => `event-subscription-${data.subscriptionId}`,
    data: z.object({
      subscriptionId: z.string(),
      name: personal(z.string()),
      tenants: z.union([z.literal('all'), z.array(z.string())]),
      contexts: z.union([z.literal('all'), z.array(z.enum(contexts))]),
      /** All of the contexts where null. */
      types: z.array(z.string()).nullable(),
      ...started,
      /** Public key of its account on the broker. */
      account: z.string(),
      createdAt: z.string(),
    }),
  }),
  EventSubscriptionRotated: event({
    version: 1,
    summary: 'An event subscription got new credentials; the old ones stopped working',
    data: z.object({ subscriptionId: z.string(), credentials: z.number().int().min(2), rotatedAt: z.string() }),
  }),
  EventSubscriptionPaused: event({
    version: 1,
    summary: 'An event subscription gets nothing until it is resumed',
    /** `because`: it goes on by itself when the tenant may be used again. */
    data: z.object({ subscriptionId: z.string(), because: z.literal('tenant_closed').optional(), pausedAt: z.string() }),
  }),
  EventSubscriptionResumed: event({
    version: 1,
    summary: 'An event subscription goes on where it was paused',
    data: z.object({ subscriptionId: z.string(), resumedAt: z.string() }),
  }),
  EventSubscriptionReplayed: event({
    version: 1,
    summary: 'An event subscription begins again at another point',
    data: z.object({ subscriptionId: z.string(), ...started, replayedAt: z.string() }),
  }),
  EventSubscriptionRevoked: event({
    version: 1,
    summary: 'An event subscription and its credentials stopped working for good',
    data: z.object({ subscriptionId: z.string(), reason: z.string(), revokedAt: z.string() }),
  }),
});
export type IdentityEvent = EventOf<typeof identityEvents>;
