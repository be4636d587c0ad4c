import { z } from 'zod';
import { event, personal } from '../events.js';

/** Long work on one tenant that goes step by step, by its type, and its steps in their order. Provisioning has events of its own. */
export const operationSteps = {
  erasure: ['export', 'close', 'broker', 'rows', 'files', 'place', 'keys', 'check', 'certify', 'finish'],
  move: ['prepare', 'copy', 'catch-up', 'fence', 'verify', 'switch', 'retire'],
} as const satisfies Record<string, readonly string[]>;
export type SteppedType = keyof typeof operationSteps;

const reason = personal(z.string()).optional();
const subject = () => 'reasons';
const error = z.object({ code: z.string(), detail: z.string() });
const step = {
  operationId: z.string(),
  step: z.string(),
  attempt: z.number().int().min(1),
  startedAt: z.string(),
  durationMs: z.number().min(0),
};
const facts = z.record(z.string(), z.json());

/** Stream `operation-<id>` of a tenant's log. Part of the context `tenant`. */
export const operationEvents = {
  OperationStarted: event({
    version: 1,
    summary: 'Long work on the tenant began',
    data: z.object({ operationId: z.string(), type: z.string(), steps: z.array(z.string()).min(1), input: facts, startedAt: z.string() }),
  }),
  OperationStepCompleted: event({
    version: 1,
    summary: 'A step of the work is done, or was not needed',
    /** `result`: what later steps need to know of it. */
    data: z.object({ ...step, skipped: z.boolean(), result: facts.nullable() }),
  }),
  OperationStepFailed: event({
    version: 1,
    summary: 'An attempt at a step of the work failed',
    data: z.object({ ...step, error, retryAt: z.string().nullable() }),
  }),
  OperationStepCompensated: event({
    version: 1,
    summary: 'A step of the work was undone',
    data: z.object(step),
  }),
  OperationCompensationFailed: event({
    version: 1,
    summary: 'An attempt to undo a step of the work failed',
    /** `retryAt` null: it was the last; an operator may have it tried again. */
    data: z.object({ ...step, error, retryAt: z.string().nullable() }),
  }),
  OperationCommitted: event({
    version: 1,
    summary: 'From now on the work can only go forward',
    data: z.object({ operationId: z.string(), step: z.string(), committedAt: z.string() }),
  }),
  OperationCancelRequested: event({
    version: 1,
    summary: 'The work is to stop, and what was done to be undone',
    subject,
    data: z.object({ operationId: z.string(), reason, requestedAt: z.string() }),
  }),
  OperationRollbackRequested: event({
    version: 1,
    summary: 'What the work has done is to be undone, although it had its effect',
    subject,
    data: z.object({ operationId: z.string(), reason, requestedAt: z.string() }),
  }),
  OperationRetried: event({
    version: 1,
    summary: 'Work that ended without success goes on',
    subject,
    data: z.object({ operationId: z.string(), type: z.string(), round: z.number().int().min(1), reason, retriedAt: z.string() }),
  }),
  OperationEnded: event({
    version: 1,
    summary: 'Long work on the tenant is over',
    data: z.object({
      operationId: z.string(),
      type: z.string(),
      status: z.enum(['succeeded', 'failed', 'compensated', 'cancelled']),
      error: error.nullable(),
      endedAt: z.string(),
    }),
  }),
};
