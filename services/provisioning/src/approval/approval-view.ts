import type { Approval as ApprovalBody } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import type { Personal } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Keyring } from '@tenantry/crypto/keyring';
import { permits } from '@tenantry/service/authorize';
import type { NodeChange } from '../history/changes.js';
import { type Node, Sealed } from '../history/document.js';
import { type Reader, shown } from '../history/present.js';
import type { KnownApproval } from './approval.js';

const contacts = new Set(['adminEmail', 'billingEmail', 'contactPhone']);
const value = (setting: { value: Personal; encrypted: boolean } | undefined): Node =>
  setting === undefined ? null : new Sealed(setting.encrypted ? 'secret' : 'setting', setting.value);

/** What is to change, by the paths that the history uses too. A value that is to be sensitive, or was, is so on both sides. */
export function proposed({ settings, removed, features, reset, planVersion, tenant }: ConfigChange): NodeChange[] {
  return [
    ...settings.map(({ key, before, ...to }) => {
      const encrypted = to.encrypted || before?.encrypted === true;
      return { path: ['settings', key], from: value(before && { ...before, encrypted }), to: value({ ...to, encrypted }) };
    }),
    ...removed.map(({ key, before }) => ({ path: ['settings', key], from: value(before), to: null })),
    ...features.map(({ flag, ...to }) => ({ path: ['features', flag], from: null, to })),
    ...reset.map((flag) => ({ path: ['features', flag], from: null, to: null })),
    ...(planVersion === undefined ? [] : [{ path: ['plan', 'version'], from: null, to: planVersion }]),
    ...Object.entries(tenant).map(([field, to]) => ({
      path: field === 'plan' ? ['plan', 'id'] : [field],
      from: null,
      to: contacts.has(field) && to !== null ? new Sealed('personal', to as Personal) : (to as Node),
    })),
  ];
}

/** As it is shown to somebody; `reader` null: without any value of a setting or a person. */
export async function approvalView(
  keyring: Keyring,
  tenantId: string,
  asked: Omit<KnownApproval, 'body' | 'ifMatch' | 'requestedAt' | 'people'> & { body?: KnownApproval['body'] },
  createdAt: string,
  reader: Reader | null,
): Promise<ApprovalBody> {
  const changes = asked.change ? proposed(asked.change) : [];
  const [visible = []] = await shown(keyring, tenantId, [changes], reader ?? { permissions: [], sensitive: new Set() });
  const mayRead = reader !== null && permits(reader.permissions, 'personal:read');
  return {
    id: asked.approvalId,
    tenantId: tenantId === PLATFORM_LOG ? null : tenantId,
    status: asked.status,
    command: asked.command,
    changes: visible,
    request: asked.body && reader ? await requestOf(keyring, tenantId, asked.body, mayRead) : null,
    requestedBy: asked.requestedBy,
    approvers: asked.approvers,
    approvedBy: asked.approvedBy,
    rejectedBy: asked.rejectedBy,
    reason: asked.reason === null || !mayRead ? null : await keyring.reveal(tenantId, asked.reason),
    error: asked.error,
    createdAt,
    expiresAt: asked.expiresAt,
  };
}

/** Who approves sees what there is to approve: a deletion after thirty days is not one after none. What somebody typed is personal. */
async function requestOf(keyring: Keyring, tenantId: string, body: Personal, mayRead: boolean): Promise<ApprovalBody['request']> {
  const { reason, ...request } = JSON.parse(await keyring.reveal<string>(tenantId, body)) as Record<string, never>;
  return mayRead && reason !== undefined ? { ...request, reason } : request;
}
