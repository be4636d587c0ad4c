import { DomainError } from '@tenantry/contracts/errors';
import type { TenantLog } from '@tenantry/event-store/tenant-log';

/** @throws DomainError `tenant.not_found` */
export async function demandTenant(log: TenantLog, tenantId: string): Promise<void> {
  const [head] = await log.heads({ tenantIds: [tenantId] });
  if (!head || head.position < 0) throw new DomainError('tenant.not_found');
}
