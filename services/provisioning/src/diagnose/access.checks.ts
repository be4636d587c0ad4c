import { Injectable } from '@nestjs/common';
import { resolveHost } from '@tenantry/contracts/domain/routes';
import { RpcClient } from '@tenantry/messaging/rpc';
import { type ApiAnswer, TenantApi } from '../isolation/tenant-api.js';
import type { RegisteredTenant } from '../tenant/tenant.js';
import { type Check, failed, notApplicable, ok, type Result, warning } from './finding.js';

const SLOW_MS = 1_000;
const NEAR = 0.8;
const UNDER_MAINTENANCE = 'tenant.maintenance';

interface QuotaRow {
  resource_type: string;
  quota_limit: number | null;
  current_usage: number;
}

/** Pure. What is used up, and what soon will be. */
export function limitsResult(rows: readonly QuotaRow[]): Result {
  const share = ({ quota_limit, current_usage }: QuotaRow) =>
    quota_limit === null ? 0 : quota_limit === 0 ? (current_usage > 0 ? 1 : 0) : current_usage / quota_limit;
  const text = (row: QuotaRow) => `${row.resource_type} ${row.current_usage} of ${row.quota_limit}`;
  const full = rows.filter((row) => share(row) >= 1);
  const near = rows.filter((row) => share(row) >= NEAR && share(row) < 1);
  const remedy = 'Raise the limit (PUT …/limits) or the plan, or give back what is not needed';
  if (full.length > 0) return failed(`Used up: ${full.map(text).join(', ')}`, remedy);
  if (near.length > 0) return warning(`Nearly used up: ${near.map(text).join(', ')}`, remedy);
  return ok(`${rows.length} limits, none nearly reached`);
}

interface DomainRow {
  host: string;
  type: string;
  status: string;
  records: { type: string; name: string; value: string }[];
}

/** Pure. */
export function domainsResult(rows: readonly DomainRow[]): Result {
  const pending = rows.find(({ status }) => status === 'pending');
  if (pending) {
    const records = pending.records.map(({ type, name, value }) => `${type} ${name} ${value}`).join('; ');
    return warning(`${pending.host} is not proven yet`, `Set at the DNS provider: ${records}`);
  }
  return rows.some(({ status }) => status === 'active')
    ? ok(rows.map(({ host, status }) => `${host} ${status}`).join(', '))
    : failed('The tenant has no host name', 'Retry its provisioning, or add a host name');
}

/** How the tenant is reached, seen with a key of its own: the API, its people, its limits, its host names. */
@Injectable()
export class AccessChecks {
  constructor(
    private readonly api: TenantApi,
    private readonly rpc: RpcClient,
  ) {}

  of(tenantId: string, { domain, adminEmail }: RegisteredTenant): Check[] {
    const key = this.api.key(tenantId);
    // Whoever awaits it says why; nobody may, where no check gets that far.
    key.catch(() => undefined);
    const get = async (path: string) => this.api.ask('GET', path, { authorization: `Bearer ${await key}` });
    const own = `/api/tenants/${tenantId}`;
    return [
      { check: 'api', look: async () => apiResult(await get('/api/tenants/current'), tenantId) },
      { check: 'limits', look: async () => seen(await get(`${own}/quotas`), limitsResult) },
      { check: 'permissions', look: async () => seen(await get(`${own}/api-keys`), keysResult) },
      {
        check: 'user-accounts',
        look: async () => seen(await get(`${own}/members`), (rows: MemberRow[]) => membersResult(rows, adminEmail !== undefined)),
      },
      { check: 'domains', look: async () => seen(await get(`${own}/domains`), domainsResult) },
      { check: 'routing', look: () => this.routing(tenantId, domain) },
    ];
  }

  private async routing(tenantId: string, { type, host }: RegisteredTenant['domain']): Promise<Result> {
    const resolved = await this.rpc.call(resolveHost, { host });
    if (resolved.tenantId === tenantId) return ok(`${host} leads to the tenant`);
    return type === 'custom'
      ? warning(`${host} leads nowhere yet`, 'Prove it: GET …/domains has the DNS records to set')
      : failed(`${host} does not lead to the tenant`, 'Look at the log of domain-ssl; a retry of the provisioning claims it again');
  }
}

function apiResult({ status, body, durationMs }: ApiAnswer, tenantId: string): Result {
  if (body?.code === UNDER_MAINTENANCE)
    return warning('The tenant is under maintenance', 'Wait for its end, or end it: POST /api/v1/platform/maintenance-windows/{id}/end');
  if (status !== 200)
    return failed(
      `The API answers ${status} ${body?.code ?? ''} to the tenant`,
      'Mend what the check tenant-status says, or look at the log of gateway',
    );
  if (body?.tenant_id !== tenantId) return failed('The API answers for another tenant', 'Stop the gateway and check isolation at once');
  return durationMs > SLOW_MS
    ? warning(`The API answered in ${durationMs} ms`, 'Look at the load of the gateway')
    : ok(`The API answered in ${durationMs} ms`);
}

/** What only a tenant that is served can be asked. */
function seen<T>({ status, body }: ApiAnswer, result: (rows: T[]) => Result): Result {
  if (status === 200) return result(body as T[]);
  return status === 403 || status === 410 || (body as { code?: string } | null)?.code === UNDER_MAINTENANCE
    ? notApplicable(`The tenant itself is not served (${body?.code ?? status})`)
    : failed(`The API answered ${status} ${body?.code ?? ''}`, 'Look at the log of gateway');
}

const keysResult = (rows: { revoked_at: string | null }[]): Result => {
  const active = rows.filter(({ revoked_at }) => revoked_at === null).length;
  return active > 0
    ? ok(`${active} API keys work`)
    : warning('The tenant has no API key that works', 'POST …/api-keys, where it is to use the API');
};

interface MemberRow {
  role: string;
  status: string;
}
function membersResult(rows: MemberRow[], hasAdmin: boolean): Result {
  const owners = rows.filter(({ role, status }) => role === 'owner' && status !== 'removed');
  if (owners.some(({ status }) => status === 'active')) return ok(`${rows.length} people, ${owners.length} owners`);
  if (owners.length > 0) return warning('Its owner has not accepted the invitation yet', 'Ask for the mail to be opened, or invite again');
  return hasAdmin
    ? failed('The tenant has no owner', 'Retry its provisioning, or invite an owner')
    : notApplicable('The tenant was made without an address of an administrator');
}
