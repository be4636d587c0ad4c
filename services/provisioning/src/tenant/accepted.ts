import type { Answer } from '@tenantry/contracts/route';
import type { OperationRef, Tenant } from '@tenantry/contracts/tenant/bodies';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { z } from 'zod';
import type { RegisteredTenant } from './tenant.js';
import { tenantView } from './tenant-view.js';

type Accepted = Tenant & { operation: z.infer<typeof OperationRef> };

/** 202: the tenant, and the operation where its progress can be followed. */
export async function accepted(
  keyring: Keyring,
  tenantId: string,
  state: RegisteredTenant,
  at: { version: number; position: number },
): Promise<Answer<Accepted>> {
  const url = `/api/v1/platform/operations/${state.operationId}`;
  return {
    status: 202,
    body: { ...(await tenantView(keyring, tenantId, state, at)), operation: { id: state.operationId, url } },
    version: at.version,
    position: { tenantId, position: at.position },
    location: url,
  };
}
