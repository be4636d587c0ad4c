import { Injectable } from '@nestjs/common';
import { Reports } from '../isolation/reports.js';
import { Operations } from '../operation/operations.js';
import type { RegisteredTenant } from '../tenant/tenant.js';
import { type Check, failed, notApplicable, ok, type Result, warning } from './finding.js';

const DAY_MS = 86_400_000;

/** Pure. What the state of a tenant means for those who use it. */
export function statusResult({ status, statusCause, legalHold, deletion }: RegisteredTenant): Result {
  const because = statusCause ? ` (${statusCause})` : '';
  const held = legalHold ? '; it is under legal hold' : '';
  switch (status) {
    case 'active':
    case 'trial':
      return ok(`The tenant is ${status}${held}`);
    case 'pending':
      return warning(
        'The tenant is not active yet',
        'Wait for its provisioning; where it was made with activation: review, activate it: POST …/activate',
      );
    case 'suspended':
      return failed(
        `The tenant is suspended${because}: nobody but the platform reaches it`,
        'Settle what it was suspended for, then POST …/reactivate',
      );
    case 'archived':
      return failed('The tenant is archived: its data is kept, and nobody uses it', 'POST …/restore');
    case 'failed':
      return failed('The provisioning of the tenant was given up and undone', 'POST …/retry');
    case 'deleting':
      return failed(
        `The tenant is to be erased${deletion && !deletion.erasing ? ` after ${deletion.graceEndsAt}` : ' right now'}`,
        deletion?.erasing ? 'Nothing: it cannot be taken back any more' : 'POST …/undelete takes it back',
      );
    default:
      return failed(`The tenant is ${status}`, 'Nothing: it is gone');
  }
}

@Injectable()
export class LifeChecks {
  constructor(
    private readonly operations: Operations,
    private readonly reports: Reports,
  ) {}

  of(tenantId: string, tenant: RegisteredTenant, nowMs: number): Check[] {
    return [
      { check: 'tenant-status', look: async () => statusResult(tenant) },
      { check: 'provisioning', look: () => this.provisioning(tenant) },
      { check: 'isolation', look: () => this.isolation(tenantId, nowMs) },
    ];
  }

  private async provisioning({ operationId }: RegisteredTenant): Promise<Result> {
    const { view } = await this.operations.view(operationId);
    const step = view.steps.find(({ error }) => error !== null);
    const why = step ? ` at ${step.name}: ${step.error?.detail ?? ''}` : '';
    const remedy = `GET /api/v1/platform/operations/${operationId} has the steps; mend what the failing one says, and POST …/retry where it was undone`;
    if (view.status === 'succeeded') return ok('The provisioning has succeeded');
    return ['pending', 'running'].includes(view.status) && !step
      ? warning(`The provisioning is ${view.status}`, 'Wait')
      : failed(`The provisioning is ${view.status}${why}`, remedy);
  }

  private async isolation(tenantId: string, nowMs: number): Promise<Result> {
    const report = await this.reports.latestOf(tenantId);
    const again = `POST /api/v1/platform/isolation-checks {"tenantIds": ["${tenantId}"]}`;
    if (!report) return notApplicable(`Its isolation was not checked yet: ${again}`);
    const open = report.attempts.filter(({ outcome }) => outcome === 'breached');
    if (open.length > 0)
      return failed(
        `${open.length} attempts got through on ${report.checkedAt}, first at ${open[0]?.target}`,
        `Close what the report ${report.checkId} names, then ${again}`,
      );
    return nowMs - Date.parse(report.checkedAt) > 7 * DAY_MS
      ? warning(`The last check is of ${report.checkedAt}`, again)
      : ok(`${report.attempts.length} attempts on ${report.checkedAt}, none got through`);
  }
}
