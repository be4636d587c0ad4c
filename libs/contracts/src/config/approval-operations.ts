import { z } from 'zod';
import { operation } from '../route.js';
import { Preview } from '../tenant/config-routes.js';
import { Uuid } from '../values.js';
import { ApprovalPending } from './approval-routes.js';

/** Commands of other services than the one that holds: they ask before they make anything. */
const command = z.enum(['limits']);

/** Where a policy has others approve it, what it is asked with waits for them; null where it may be made. Idempotent by the request's id. */
export const holdCommand = operation({
  name: 'approvals.hold',
  owner: 'provisioning',
  callers: ['quota-metering'],
  input: z.object({
    tenantId: Uuid,
    command,
    /** As whoever carries it out gets it again. */
    body: z.json(),
    /** Of the resource that it would change. */
    version: z.number().int(),
    request: z.object({
      id: z.string(),
      requestHash: z.string(),
      principal: z.object({
        kind: z.enum(['staff', 'api-key', 'service', 'anonymous']),
        id: z.string(),
        person: z.string().optional(),
        permissions: z.array(z.string()),
      }),
      ip: z.string().optional(),
      userAgent: z.string().optional(),
      traceparent: z.string().optional(),
      correlationId: z.string().optional(),
      ifMatch: z.number().int().optional(),
    }),
  }),
  output: z.object({
    held: z
      .object({
        status: z.literal(202),
        body: ApprovalPending,
        location: z.string(),
        position: z.object({ tenantId: z.string(), position: z.number().int() }),
      })
      .nullable(),
  }),
});

/** What a preview says of the approval that such a command would wait for, if it would. */
export const approvalImpacts = operation({
  name: 'approvals.impacts',
  owner: 'provisioning',
  callers: ['quota-metering'],
  input: z.object({ command }),
  output: z.object({ impacts: Preview.shape.impacts }),
});
