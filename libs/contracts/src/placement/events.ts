import { z } from 'zod';
import { type EventOf, event, events } from '../events.js';
import { Isolation } from '../values.js';

const Place = z.object({
  isolation: Isolation,
  server: z.string(),
  database: z.string(),
  schema: z.string(),
  appSchema: z.string(),
  role: z.string(),
  generation: z.number().int().min(1),
  /** The pool of workers that serves it: `shared`, or a group of its own. */
  workerGroup: z.string(),
});

/** Stream `placement`. Owner: provisioning. */
export const placementEvents = events('placement', {
  TenantPlaced: event({
    version: 1,
    summary: 'It was decided where the tenant lives',
    data: Place,
  }),
  TenantUnplaced: event({
    version: 1,
    summary: "The tenant's place was given up",
    data: z.object({ generation: z.number().int().min(1) }),
  }),
  TenantMoveStarted: event({
    version: 1,
    summary: 'The tenant is to live somewhere else; until it does, it lives where it is',
    data: z.object({ operationId: z.string(), from: Place, to: Place, keepSourceMinutes: z.number().int().min(0) }),
  }),
  TenantMoveEnded: event({
    version: 1,
    summary: 'The move is over: the tenant lives at its new place, or still where it was',
    data: z.object({ operationId: z.string(), status: z.enum(['succeeded', 'failed', 'compensated', 'cancelled']) }),
  }),
});
export type PlacementEvent = EventOf<typeof placementEvents>;
