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
});
export type PlatformEvent = EventOf<typeof platformEvents>;
