import { z } from 'zod';
import { type EventOf, event, events } from '../events.js';
import { Isolation } from '../values.js';

/** Stream `placement`. Owner: provisioning. */
export const placementEvents = events('placement', {
  TenantPlaced: event({
    version: 1,
    summary: 'It was decided where the tenant lives',
    data: z.object({
      isolation: Isolation,
      server: z.string(),
      database: z.string(),
      schema: z.string(),
      appSchema: z.string(),
      role: z.string(),
      generation: z.number().int().min(1),
      /** The pool of workers that serves it: `shared`, or a group of its own. */
      workerGroup: z.string(),
    }),
  }),
  TenantUnplaced: event({
    version: 1,
    summary: "The tenant's place was given up",
    data: z.object({ generation: z.number().int().min(1) }),
  }),
});
export type PlacementEvent = EventOf<typeof placementEvents>;
