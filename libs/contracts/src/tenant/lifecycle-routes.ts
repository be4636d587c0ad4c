import { z } from 'zod';
import { ApprovalPending } from '../config/approval-routes.js';
import { PendingRow, pendingRow } from '../config/routes.js';
import { face, route } from '../route.js';
import { Uuid } from '../values.js';
import {
  DeletionAccepted,
  DeletionBody,
  DeletionPreview,
  LegalHoldBody,
  ScheduledTransition,
  Tenant,
  TenantAccepted,
  TransitionBody,
} from './bodies.js';
import { ById, base, Organization, organization, orgTag } from './routes.js';

const common = { owner: 'provisioning', tag: 'Tenants', scope: 'platform' } as const;

/** One command of a tenant's life: now, or with `at` later. */
const transition = <A extends Record<number, z.ZodType>>(name: string, summary: string, permission: string, answers: A) =>
  route({
    ...common,
    name: `tenants.${name}`,
    summary,
    permission,
    method: 'POST',
    path: `${base}/:tenantId/${name}`,
    params: ById,
    body: TransitionBody,
    bodyOptional: true,
    answers: { ...answers, 202: z.union([TenantAccepted, ScheduledTransition, ApprovalPending]) },
  });
const done = { 200: Tenant };

export const activateTenant = transition(
  'activate',
  'Activate a tenant after the review of its configuration, or end its trial',
  'tenant:update',
  done,
);
export const retryTenant = transition('retry', 'Provision a failed tenant again', 'tenant:update', {});
export const suspendTenant = transition(
  'suspend',
  'Suspend a tenant: its own keys are refused until it is reactivated',
  'tenant:suspend',
  done,
);
export const reactivateTenant = transition(
  'reactivate',
  'End a suspension; the tenant is again what it was before',
  'tenant:suspend',
  done,
);
export const archiveTenant = transition('archive', 'Put a tenant away: its data is kept, nothing of it runs', 'tenant:suspend', done);
export const restoreTenant = transition('restore', 'Bring a tenant back from the archive, as it was before', 'tenant:suspend', done);
export const undeleteTenant = transition(
  'undelete',
  'Cancel a deletion during its grace; the tenant is again what it was before',
  'tenant:delete',
  done,
);

/** The states that a tenant can be asked to go to. */
const ToStatus = z.strictObject({ tenantId: Uuid, status: z.enum(['active', 'trial', 'suspended', 'archived']) });
export const setTenantStatus = route({
  ...common,
  name: 'tenants.set-status',
  summary: 'Bring a tenant to a status: activates, suspends, reactivates, archives or restores it, as its state asks for',
  permission: 'tenant:suspend',
  method: 'POST',
  path: `${base}/:tenantId/status/:status`,
  params: ToStatus,
  body: TransitionBody,
  bodyOptional: true,
  answers: { 200: Tenant, 202: z.union([ScheduledTransition, ApprovalPending]) },
});

export const deleteTenant = route({
  ...common,
  name: 'tenants.delete',
  summary: 'Close a tenant at once and erase it when its grace ends',
  permission: 'tenant:delete',
  method: 'DELETE',
  path: `${base}/:tenantId`,
  params: ById,
  body: DeletionBody,
  bodyOptional: true,
  answers: { 202: z.union([DeletionAccepted, ApprovalPending]) },
});
export const previewDeletion = route({
  ...common,
  name: 'tenants.deletion-preview',
  summary: 'What a deletion of the tenant would take with it',
  permission: 'tenant:delete',
  method: 'GET',
  path: `${base}/:tenantId/deletion-preview`,
  params: ById,
  answers: { 200: DeletionPreview },
  timeoutMs: 30_000,
});
export const setLegalHold = route({
  ...common,
  name: 'tenants.legal-hold',
  summary: 'Hold a tenant: it cannot be deleted, and one in its grace is not erased, until the hold is released',
  permission: 'tenant:hold',
  method: 'PUT',
  path: `${base}/:tenantId/legal-hold`,
  params: ById,
  body: LegalHoldBody,
  answers: { 200: Tenant },
});

export const listScheduledTransitions = route({
  ...common,
  name: 'tenants.scheduled-transitions',
  summary: 'Changes of state whose time has not come, soonest first',
  permission: 'tenant:read',
  method: 'GET',
  path: `${base}/:tenantId/scheduled-transitions`,
  params: ById,
  answers: { 200: z.object({ items: z.array(ScheduledTransition) }) },
});
export const deleteScheduledTransition = route({
  ...common,
  name: 'tenants.unschedule-transition',
  summary: 'Take a scheduled transition back',
  permission: 'tenant:suspend',
  method: 'DELETE',
  path: `${base}/:tenantId/scheduled-transitions/:transitionId`,
  params: z.strictObject({ tenantId: Uuid, transitionId: Uuid }),
  answers: { 204: z.undefined() },
});

const ScheduledRow = z.object({ id: Uuid, command: z.string(), at: z.string(), cause: z.string(), reason: z.string().nullable() });
/** `inactive` is another word for archived. */
const ToOrganizationStatus = ToStatus.extend({ status: z.enum([...ToStatus.shape.status.options, 'inactive']) });

export const lifecycleFaces = [
  face({
    of: setTenantStatus,
    summary: "Activate, suspend, reactivate, archive or restore a tenant; a reseller's credentials reach its children",
    tag: orgTag,
    scope: 'reseller',
    permission: 'tenant:suspend',
    method: 'POST',
    path: '/api/tenants/:tenantId/status/:status',
    params: ToOrganizationStatus,
    body: TransitionBody,
    bodyOptional: true,
    answers: { 200: Organization, 202: z.union([ScheduledRow, PendingRow]) },
    request: ({ params, body }) => ({ params: { ...params, status: params.status === 'inactive' ? 'archived' : params.status }, body }),
    answer: (body, status) => ('approval' in body ? pendingRow(body) : status === 202 ? body : organization(body)),
  }),
  face({
    of: deleteTenant,
    summary: 'Close a tenant at once and erase it when its grace ends',
    tag: orgTag,
    scope: 'platform',
    permission: 'tenant:delete',
    method: 'DELETE',
    path: '/api/tenants/:tenantId',
    params: ById,
    body: z.strictObject({
      reason: DeletionBody.shape.reason,
      cause: DeletionBody.shape.cause,
      grace_days: DeletionBody.shape.graceDays,
      confirm: DeletionBody.shape.confirm,
      feedback: DeletionBody.shape.feedback,
      win_back: DeletionBody.shape.winBack,
    }),
    bodyOptional: true,
    answers: { 202: z.union([Organization.extend({ deletion: z.object({ grace_ends_at: z.string() }) }), PendingRow]) },
    request: ({ params, body }) => ({
      params,
      body: body && {
        ...{ reason: body.reason, cause: body.cause, graceDays: body.grace_days, confirm: body.confirm },
        ...{ feedback: body.feedback, winBack: body.win_back },
      },
    }),
    answer: (body) =>
      'approval' in body ? pendingRow(body) : { ...organization(body), deletion: { grace_ends_at: body.deletion.graceEndsAt } },
  }),
];

export const lifecycleRoutes = [
  activateTenant,
  retryTenant,
  suspendTenant,
  reactivateTenant,
  archiveTenant,
  restoreTenant,
  undeleteTenant,
  setTenantStatus,
  deleteTenant,
  previewDeletion,
  setLegalHold,
  listScheduledTransitions,
  deleteScheduledTransition,
];
