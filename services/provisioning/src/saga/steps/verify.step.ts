import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { resolveHost } from '@tenantry/contracts/domain/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { issueProbeKey } from '@tenantry/contracts/identity/operations';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';
import { Storage } from '@tenantry/tenancy/storage';
import { Tenants } from '@tenantry/tenancy/tenants';
import { sql } from 'drizzle-orm';
import { letsChildren } from '../../tenant/family.js';
import { markProvisioned, tenant as tenantAggregate } from '../../tenant/tenant.js';
import { EventProbe } from '../event-probe.js';
import { Step, type StepContext } from '../step.js';

const HTTP_TIMEOUT_MS = 5_000;
const NOBODY = '00000000-0000-4000-8000-000000000000';

const broken = (what: string) => new DomainError('tenant.not_ready', { detail: `The smoke test of the new tenant failed: ${what}.` });

/**
 * A functional smoke test as the tenant itself: an API call, a write and read in its own schema (and nothing seen from
 * another's context), a file, an event on the bus, the route of its host.
 */
@Injectable()
export class VerifyStep extends Step {
  readonly name = 'verify';
  private readonly gatewayUrl: string | undefined;

  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    private readonly tenants: Tenants,
    private readonly storage: Storage,
    private readonly events: EventProbe,
    private readonly clock: Clock,
    environment: Environment,
  ) {
    super();
    this.gatewayUrl = environment.values.TENANTRY_GATEWAY_URL;
  }

  async run(context: StepContext): Promise<void> {
    const { tenantId, operationId, command } = context;
    await Promise.all([this.api(context), this.rows(tenantId), this.file(tenantId), this.event(tenantId), this.route(context)]);
    context.life = await this.log.transact(
      tenantAggregate,
      { tenant: tenantId, command: command('provisioned') },
      markProvisioned(operationId, this.clock.now()),
      context.life,
    );
  }

  private async api(context: StepContext): Promise<void> {
    const { tenantId } = context;
    if (!this.gatewayUrl) throw broken('TENANTRY_GATEWAY_URL is not set, so the API could not be called');
    const { key } = await this.rpc.call(issueProbeKey, { tenantId });
    const response = await fetch(`${this.gatewayUrl}/api/tenants/current`, {
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new DomainError('service.unavailable', { detail: 'The gateway could not be reached for the smoke test.', cause: error });
    });
    const body = (await response.json().catch(() => null)) as { tenant_id?: string; code?: string } | null;
    if (response.status >= 500) throw new DomainError('service.unavailable', { detail: 'The gateway was not ready for the smoke test.' });
    if (body?.tenant_id === tenantId) return;
    if (body?.code !== 'tenant.suspended' || !(await this.isClosedByReseller(context))) throw broken(`the API answered ${response.status}`);
  }

  /** Then a refusal as suspended is the right answer: the key and the host are known, and it goes on with its reseller. */
  private async isClosedByReseller({ tenant: { parentId } }: StepContext): Promise<boolean> {
    if (parentId === undefined) return false;
    return !letsChildren((await this.log.load(tenantAggregate, { tenant: parentId })).state);
  }

  /** Writes a row, reads it, looks at it from another tenant's context, and takes it back with the transaction. */
  private async rows(tenantId: string): Promise<void> {
    const undo = new Error('the row was only a test');
    try {
      await this.tenants.withTenant(tenantId, async ({ db }) => {
        const probe = `verify-${randomUUID()}`;
        const found = async () => (await db.execute(sql`SELECT 1 FROM config_settings WHERE key = ${probe}`)).rowCount;
        await db.execute(
          sql`INSERT INTO config_settings (tenant_id, key, value, type, category, encrypted, updated_at) VALUES (${tenantId}, ${probe}, '{}', 'string', 'general', false, now())`,
        );
        if ((await found()) !== 1) throw broken('a row that was written could not be read');
        await db.execute(sql`SELECT set_config('app.tenant_id', ${NOBODY}, true)`);
        if ((await found()) !== 0) throw broken('a row can be read from the context of another tenant');
        throw undo;
      });
    } catch (error) {
      if (error !== undo) throw error;
    }
  }

  private async file(tenantId: string): Promise<void> {
    const key = `.verify/${randomUUID()}`;
    const content = Buffer.from(tenantId);
    await this.storage.put(tenantId, key, content);
    const read = await this.storage.get(tenantId, key);
    await this.storage.delete(tenantId, key);
    if (!read?.equals(content)) throw broken('a file that was written could not be read');
  }

  private async event(tenantId: string): Promise<void> {
    if (!(await this.events.onBus(tenantId)))
      throw new DomainError('service.unavailable', { detail: 'The first event has not reached the bus yet.' });
  }

  private async route(context: StepContext): Promise<void> {
    const {
      tenantId,
      tenant: { domain },
    } = context;
    if (domain.type === 'custom') return; // routes once its owner has proven it
    const resolved = await this.rpc.call(resolveHost, { host: domain.host });
    if (resolved.tenantId === tenantId) return;
    if (resolved.closed !== 'suspended' || !(await this.isClosedByReseller(context)))
      throw broken(`${domain.host} does not lead to the tenant`);
  }
}
