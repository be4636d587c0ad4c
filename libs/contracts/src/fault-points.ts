import { provisioningSteps } from './tenant/events.js';
import { operationSteps } from './tenant/operation-events.js';

/**
 * Places where a test may stop a process (`TENANTRY_FAULT=<process>:<point|*>:<action>`, only with `TENANTRY_TEST=1`).
 * `<x>.done`: the effect took place and is not recorded yet; `<x>.recorded`: it is.
 */
const projection = ['projection.done', 'projection.recorded'] as const;
const effect = ['effect.done', 'effect.recorded'] as const;
/** Of other long work: `<type>.<step>.done` and so on; `.undone`: taken back and not recorded yet. */
const operations = Object.entries(operationSteps).flatMap(([type, names]) =>
  names.flatMap((step) => [`${type}.${step}.done`, `${type}.${step}.recorded`, `${type}.${step}.undone`] as const),
);
/** Of a move: behind the closed gate; the gate says that the tenant has left; the placement says where it is. */
const gates = ['move.gate.closed', 'move.gate.left', 'move.gate.placed'] as const;
/** Of work over many tenants: an item, whatever it does. */
const items = ['item.done', 'item.recorded'] as const;
/** Of a change of a file: room for it is held; all of it has come, and replaces nothing yet; it is written. None is settled yet. */
const files = ['file.held', 'file.received', 'file.written'] as const;
const steps = provisioningSteps.flatMap((step) => [`${step}.done`, `${step}.recorded`] as const);

export const faultPoints = {
  gateway: ['forward.before', 'forward.done', 'answer.recorded'],
  provisioning: [...steps, ...operations, ...gates, ...items, ...files, ...projection, ...effect],
  'quota-metering': ['assign.done', 'assign.recorded', ...projection],
  'domain-ssl': ['claim.done', 'claim.recorded', ...projection],
  billing: ['open.done', 'open.recorded', ...projection],
  audit: projection,
  identity: ['secure.done', 'secure.recorded', 'invite.done', 'invite.recorded', ...projection, ...effect],
  relay: ['publish.done', 'publish.recorded'],
} as const satisfies Record<string, readonly string[]>;
/** Those that the creation of a tenant passes. */
export const pointsOfCreation = (process: keyof typeof faultPoints): readonly string[] =>
  faultPoints[process].filter((point) => ![...operations, ...gates, ...items, ...files].some((other) => other === point));
export const faultActions = ['kill', 'fail', 'hang', 'kill-postgres', 'kill-nats'] as const;
