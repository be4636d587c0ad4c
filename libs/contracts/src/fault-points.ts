import { provisioningSteps } from './tenant/events.js';

/**
 * Places where a test may stop a process (`TENANTRY_FAULT=<process>:<point|*>:<action>`, only with `TENANTRY_TEST=1`).
 * `<x>.done`: the effect took place and is not recorded yet; `<x>.recorded`: it is.
 */
const worker = ['append.done', 'projection.done', 'projection.recorded', 'effect.done', 'effect.recorded'] as const;
const steps = provisioningSteps.flatMap((step) => [`${step}.done`, `${step}.recorded`] as const);

export const faultPoints = {
  gateway: ['forward.before', 'forward.done', 'answer.recorded'],
  provisioning: [...steps, ...worker],
  'quota-metering': ['assign.done', 'assign.recorded', ...worker],
  'domain-ssl': ['claim.done', 'claim.recorded', ...worker],
  billing: ['open.done', 'open.recorded', ...worker],
  audit: ['projection.done', 'projection.recorded'],
  identity: ['secure.done', 'secure.recorded', 'invite.done', 'invite.recorded', ...worker],
  relay: ['publish.done', 'publish.recorded'],
} as const satisfies Record<string, readonly string[]>;
export const faultActions = ['kill', 'fail', 'hang', 'kill-postgres', 'kill-nats'] as const;
