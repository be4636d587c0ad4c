import { z } from 'zod';
import { Actor, type EventOf, event, events, personal } from '../events.js';
import { ConfigChange } from './events.js';

/** What somebody typed to say why. */
const reason = personal(z.string()).optional();
const reasons = () => 'reasons';
const approval = { approvalId: z.string() };

/** Streams `approval-<id>`. Owner: provisioning. */
export const approvalEvents = events('config', {
  ApprovalRequested: event({
    version: 1,
    summary: 'A change waits until others than who asked have approved it',
    subject: () => 'config',
    data: z.object({
      ...approval,
      /** What was asked for, such as `settings` or `suspend`. */
      command: z.string(),
      change: ConfigChange.nullable(),
      /** Of another command than a change of the configuration: the request's body as JSON text. */
      body: personal(z.string()).nullable(),
      /** The version of the resource that the caller expected. */
      ifMatch: z.number().int().nullable(),
      /** How many have to approve. */
      approvers: z.number().int().min(1),
      /** They have to be people whom the first platform key has named. */
      named: z.boolean().optional(),
      /** Whose credentials asked. Before there was this, each credential is a person. */
      person: z.string().optional(),
      expiresAt: z.string(),
      requestedAt: z.string(),
    }),
  }),
  ApprovalGiven: event({
    version: 1,
    summary: 'Somebody approved a change; with the last one needed it is granted',
    subject: reasons,
    /** `approvedBy`: all who have approved so far, and `people`: whose credentials these are. */
    data: z.object({
      ...approval,
      approvedBy: z.array(Actor),
      people: z.array(z.string()).optional(),
      granted: z.boolean(),
      reason,
      givenAt: z.string(),
    }),
  }),
  ApprovalRejected: event({
    version: 1,
    summary: 'Somebody refused a change that waited for approval',
    subject: reasons,
    data: z.object({ ...approval, reason, rejectedAt: z.string() }),
  }),
  ApprovalExpired: event({
    version: 1,
    summary: 'Nobody approved a change in time',
    data: z.object({ ...approval, expiredAt: z.string() }),
  }),
  ApprovalApplied: event({
    version: 1,
    summary: 'A change that was approved is made',
    data: z.object({ ...approval, appliedAt: z.string() }),
  }),
  ApprovalFailed: event({
    version: 1,
    summary: 'A change that was approved could not be made',
    data: z.object({ ...approval, error: z.object({ code: z.string(), detail: z.string() }), failedAt: z.string() }),
  }),
});
export type ApprovalEvent = EventOf<typeof approvalEvents>;
