import { provisioningSteps } from './tenant/events.js';

/**
 * Places where a test may stop a process (`TENANTRY_FAULT=<process>:<point|*>:<action>`, only with `TENANTRY_TEST=1`).
 * `<x>.done`: the effect took place and is not recorded yet; `<x>.recorded`: it is.
 */
const projection = ['projection.done', 'projection.recorded'] as const;
const effect = ['effect.done', 'effect.recorded'] as const;
const steps = provisioningSteps.flatMap((step) => [`${step}.done`, `${step}.recorded`] as const);

export const faultPoints = {
  gateway: ['forward.before', 'forward.done', 'answer.recorded'],
  provisioning: [...steps, ...projection, ...effect],
  'quota-metering': ['assign.done', 'assign.recorded', ...projection],
  'domain-ssl': ['claim.done', 'claim.recorded', ...projection],
  billing: ['open.done', 'open.recorded', ...projection],
  audit: projection,
  identity: ['secure.done', 'secure.recorded', 'invite.done', 'invite.recorded', ...projection, ...effect],
  relay: ['publish.done', 'publish.recorded'],
} as const satisfies Record<string, readonly string[]>;
export const faultActions = ['kill', 'fail', 'hang', 'kill-postgres', 'kill-nats'] as const;
