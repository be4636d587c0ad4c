import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG, PLATFORM_SECURITY_LOG } from '@tenantry/contracts/ids';
import type { TenantLog } from '@tenantry/event-store/tenant-log';

/** A tenant exists from its log's first event on; the platform's own logs are no tenants. @throws DomainError `tenant.not_found` */
export async function requireTenant(log: TenantLog, tenantId: string): Promise<void> {
  if (tenantId === PLATFORM_LOG || tenantId === PLATFORM_SECURITY_LOG) throw new DomainError('tenant.not_found');
  const [head] = await log.heads({ tenantIds: [tenantId] });
  if (!head || head.position < 0) throw new DomainError('tenant.not_found');
}
