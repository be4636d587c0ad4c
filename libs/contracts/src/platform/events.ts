import { z } from 'zod';
import { type EventOf, event, events } from '../events.js';
import { PlanTerms } from '../plans.js';

/** On the platform log. Stream `plan-<id>`: owner billing. */
export const platformEvents = events('platform', {
  PlanPublished: event({
    version: 1,
    summary: 'A version of a plan can be subscribed to from now on',
    data: PlanTerms.extend({ planId: z.string(), planVersion: z.number().int().min(1) }),
  }),
  PlatformKeyCreated: event({
    version: 1,
    summary: 'A platform API key was created',
    data: z.object({ keyId: z.string(), name: z.string(), permissions: z.array(z.string()), createdAt: z.string() }),
  }),
  ParkedSkipped: event({
    version: 1,
    summary: 'An operator has something left out that a service could not handle',
    data: z.object({
      parkedId: z.string(),
      kind: z.enum(['event', 'effect', 'timer']),
      service: z.string(),
      consumer: z.string(),
      tenantId: z.string(),
      position: z.number().int().nullable(),
      type: z.string(),
      reason: z.string(),
    }),
  }),
  ProjectionRebuildRequested: event({
    version: 1,
    summary: 'Read models are to be rebuilt from the log, of one tenant or of all',
    data: z.object({ operationId: z.string(), service: z.string(), consumer: z.string(), tenantId: z.string().nullable() }),
  }),
  ProjectionRebuildEnded: event({
    version: 1,
    summary: 'The rebuilding of read models is over',
    data: z.object({ operationId: z.string(), succeeded: z.number().int(), failed: z.number().int() }),
  }),
});
export type PlatformEvent = EventOf<typeof platformEvents>;
