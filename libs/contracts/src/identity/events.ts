import { z } from 'zod';
import { type EventOf, event, events, personal } from '../events.js';

export const memberRoles = ['owner', 'admin', 'member', 'viewer'] as const;

/** Streams `security`, `member-<id>`, `api-key-<id>`. Owner: identity. */
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
    data: z.object({
      keyId: z.string(),
      name: personal(z.string()),
      permissions: z.array(z.string()),
      prefix: z.string(),
      createdAt: z.string(),
    }),
    // Version 1 had the name in clear, which a personal field may be too.
    upcasters: { 1: (old) => old },
  }),
  ApiKeyRevoked: event({
    version: 1,
    summary: 'An API key of the tenant stopped working',
    data: z.object({ keyId: z.string(), reason: z.string(), revokedAt: z.string() }),
  }),
});
export type IdentityEvent = EventOf<typeof identityEvents>;
