import { eventually } from '@tenantry/testing/eventually';
import type { Api } from './api.js';

export const PLATFORM = '/api/v1/platform';

/** Waits until the tenant has left `pending`, and gives it. */
export const settled = (on: Api, tenantId: string, timeoutMs = 30_000, intervalMs = 20) =>
  eventually(
    async () => {
      const { status, body } = await on.get(`${PLATFORM}/tenants/${tenantId}`);
      if (status !== 200 || body.status === 'pending') throw new Error(`tenant is ${status} ${body?.status}`);
      return body;
    },
    { timeoutMs, intervalMs, what: `tenant ${tenantId} to leave pending` },
  );

/** A created tenant that is active; fails with the operation when it is not. */
export async function activeTenant(on: Api, body: Record<string, unknown>, headers: Record<string, string> = {}) {
  const created = await on.post(`${PLATFORM}/tenants`, body, headers);
  if (created.status !== 202) throw new Error(`creation answered ${created.status}: ${created.text}`);
  const tenant = await settled(on, created.body.id);
  if (tenant.status !== 'active' && tenant.status !== 'trial') {
    const operation = await on.get(created.body.operation.url);
    throw new Error(`tenant is ${tenant.status}: ${operation.text}`);
  }
  return { created, tenant };
}

/** All events of a tenant's log. */
export async function eventsOf(on: Api, tenantId: string): Promise<any[]> {
  const found: any[] = [];
  for (;;) {
    const { body } = await on.get(`${PLATFORM}/tenants/${tenantId}/events?after=${found.length - 1}&limit=200`);
    found.push(...body.items);
    if (found.length > body.head) return found;
  }
}

export const unique = (prefix: string) => `${prefix}-${Math.random().toString(36).slice(2, 10)}`;
