import { DomainError } from '@tenantry/contracts/errors';
import type { Finding } from '@tenantry/contracts/platform/isolation';

export type Result = Omit<Finding, 'check'>;
export const ok = (detail: string): Result => ({ status: 'ok', detail, remedy: '' });
export const warning = (detail: string, remedy: string): Result => ({ status: 'warning', detail, remedy });
export const failed = (detail: string, remedy: string): Result => ({ status: 'failed', detail, remedy });
export const notApplicable = (detail: string): Result => ({ status: 'not_applicable', detail, remedy: '' });

/** One line of the list. */
export interface Check {
  check: string;
  look(): Promise<Result>;
}

const LOOK_MS = 8_000;
const LATE = Symbol('late');

/** What the check says; one that breaks or hangs is a finding too, and takes nothing from the others. */
export async function findingOf({ check, look }: Check, lateMs = LOOK_MS): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(resolve, lateMs, LATE);
  });
  try {
    const result = await Promise.race([look(), late]);
    if (result === LATE)
      return { check, ...failed(`There was no answer for ${lateMs / 1000} s`, 'Look at the readiness of the processes: npm run doctor') };
    return { check, ...result };
  } catch (error) {
    return error instanceof DomainError
      ? { check, ...failed(error.detail, remedies[error.code] ?? 'Mend what the detail says, and ask again') }
      : { check, ...failed('It could not be looked at', 'The log of provisioning has the cause; ask again when that is mended') };
  } finally {
    clearTimeout(timer);
  }
}

const remedies: Partial<Record<DomainError['code'], string>> = {
  'placement.not_found': 'Retry the provisioning of the tenant: POST …/retry',
  'placement.closed': 'Wait for the move that is going on, or cancel its operation',
  'placement.busy': 'Ask again when there is less to do; where it stays so, move tenants to another database',
  'placement.unavailable': "Bring the tenant's database back, or open its way to the services",
  'service.unavailable': 'Bring the process back that the detail names: npm run doctor says which are not ready',
  'service.timeout': 'Look at the load and the log of the process that did not answer',
  'keys.destroyed': 'Nothing: the keys were destroyed with the tenant, and cannot be made again',
};
