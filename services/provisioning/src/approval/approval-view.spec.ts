import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { expect, it } from 'vitest';
import type { KnownApproval } from './approval.js';
import { approvalView } from './approval-view.js';

it('shows who approves a command what it is asked with, and its reason to who may read what people typed', async () => {
  const [keyring, tenantId] = [new MemoryKeyring(), newId()];
  const body = await keyring.encrypt(tenantId, 'config', JSON.stringify({ graceDays: 0, reason: 'Anna left' }));
  const asked = { approvalId: newId(), command: 'delete', change: null, body, reason: null } as unknown as KnownApproval;
  const request = async (permissions: string[] | null) =>
    (await approvalView(keyring, tenantId, asked, '', permissions && { permissions, sensitive: new Set() })).request;
  expect(await request(['approval:read'])).toEqual({ graceDays: 0 });
  expect(await request(['approval:read', 'personal:read'])).toEqual({ graceDays: 0, reason: 'Anna left' });
  expect(await request(null)).toBeNull();
});
