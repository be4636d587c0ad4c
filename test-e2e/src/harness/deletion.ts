import { eventually } from '@tenantry/testing/eventually';
import type { Api } from './api.js';
import { PLATFORM } from './tenants.js';

/** Deletes a tenant without a grace. */
export const deleteAtOnce = (on: Api, tenant: { id: string; slug: string }, more: object = {}) =>
  on.raw('DELETE', `${PLATFORM}/tenants/${tenant.id}`, {
    headers: { authorization: `Bearer ${on.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ graceDays: 0, confirm: tenant.slug, ...more }),
  });

/** Deletes a tenant without a grace and waits for the end of its erasure. Gives the operation. */
export async function erase(on: Api, tenant: { id: string; slug: string }, timeoutMs = 60_000, more: object = {}): Promise<any> {
  const deleted = await deleteAtOnce(on, tenant, more);
  if (deleted.status !== 202) throw new Error(`the deletion answered ${deleted.status}: ${deleted.text}`);
  return eventually(
    async () => {
      const { body, text } = await on.get(deleted.body.operation.url);
      if (!['succeeded', 'failed'].includes(body?.status)) throw new Error(text);
      return body;
    },
    { timeoutMs, intervalMs: 100, what: `the erasure of ${tenant.id}` },
  );
}
