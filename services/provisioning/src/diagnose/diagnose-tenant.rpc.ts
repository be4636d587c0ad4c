import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { diagnoseTenant } from '@tenantry/contracts/platform/isolation';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { tenant as tenantAggregate } from '../tenant/tenant.js';
import { AccessChecks } from './access.checks.js';
import { DataChecks } from './data.checks.js';
import { type Check, findingOf, notApplicable } from './finding.js';
import { LifeChecks } from './life.checks.js';

/** Parts of an installation that are not there: said, so that nobody takes them for looked at. */
const missing: Check[] = [
  ['dns', 'Host names are not looked up in the public DNS yet; the check domains says which records are needed'],
  ['ssl', 'No certificates are issued here yet'],
  ['cdn', 'No CDN is configured'],
  ['load-balancer', 'Whatever balances the load is outside: the readiness of each process is at its /readyz'],
  ['firewall', 'Tenants have no lists of allowed addresses yet'],
  ['backups', 'No backups are made by the platform yet'],
].map(([check, why]) => ({ check: check as string, look: async () => notApplicable(why as string) }));

@Controller()
export class DiagnoseTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
    private readonly life: LifeChecks,
    private readonly data: DataChecks,
    private readonly access: AccessChecks,
  ) {}

  @Handles(diagnoseTenant)
  async handle({ tenantId }: Call<typeof diagnoseTenant>): Reply<typeof diagnoseTenant> {
    const { state } = await this.log.load(tenantAggregate, { tenant: tenantId });
    if (state.status === 'none') throw new DomainError('tenant.not_found');
    const checks = [
      ...this.life.of(tenantId, state, this.clock.nowMs()),
      ...this.data.of(tenantId),
      ...this.access.of(tenantId, state),
      ...missing,
    ];
    const findings = await Promise.all(checks.map((check) => findingOf(check)));
    return { status: 200, body: { tenantId, checkedAt: this.clock.now(), findings } };
  }
}
