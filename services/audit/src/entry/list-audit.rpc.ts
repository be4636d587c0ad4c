import { Controller } from '@nestjs/common';
import { type AuditEntry, listAudit } from '@tenantry/contracts/audit/routes';
import { readSecretKeys } from '@tenantry/contracts/config/routes';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { secretValues } from '@tenantry/crypto/secret-values';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, RpcClient } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Tenants } from '@tenantry/tenancy/tenants';
import { and, count, desc, eq, gte, lt, lte, type SQL } from 'drizzle-orm';
import { type AuditRow, auditEntries } from './entries.projection.js';

const PAGE = 50;
type Query = Call<typeof listAudit>['query'];

@Controller()
export class ListAuditRpc {
  constructor(
    private readonly tenants: Tenants,
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly rpc: RpcClient,
  ) {}

  @Handles(listAudit)
  async handle({ tenantId, query, command }: Call<typeof listAudit>): Promise<RouteAnswer<typeof listAudit>> {
    const limit = query.limit ?? PAGE;
    const mayReveal = permits(command.principal.permissions, 'personal:read');
    // Nearly every page needs them, so they are asked for while the rows are read. Who needs them hears why there are none.
    const secretKeys = mayReveal ? this.rpc.call(readSecretKeys, { tenantId }) : null;
    secretKeys?.catch(() => undefined);
    const { rows, total } = await this.read(tenantId, query, limit);
    const page = rows.slice(0, limit);
    const items = page.map(mayReveal ? sealedView : view);
    return {
      status: 200,
      body: {
        items: secretKeys
          ? ((await revealed(this.keyring, tenantId, items, await secrets(page, secretKeys))) as AuditEntry[])
          : (items as AuditEntry[]),
        nextCursor: rows.length > limit ? String(page.at(-1)?.position) : null,
      },
      total,
    };
  }

  /** One row more than the page, to know whether there is another. The total is counted for lists with an offset only. */
  private async read(tenantId: string, query: Query, limit: number): Promise<{ rows: AuditRow[]; total?: number }> {
    const filter = filtersOf(tenantId, query);
    const before = cursorOf(query);
    try {
      return await this.tenants.withTenant(tenantId, async ({ db }) => {
        const rows = await db
          .select()
          .from(auditEntries)
          .where(and(...filter, before === null ? undefined : lt(auditEntries.position, before)))
          .orderBy(desc(auditEntries.position))
          .limit(limit + 1)
          .offset(query.offset ?? 0);
        if (query.offset === undefined) return { rows };
        const [counted] = await db
          .select({ total: count() })
          .from(auditEntries)
          .where(and(...filter));
        return { rows, total: counted?.total ?? 0 };
      });
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'placement.not_found') throw error;
      // A tenant without a place yet has events, but no entries yet.
      const [head] = await this.log.heads({ tenantIds: [tenantId] });
      if (!head) throw new DomainError('tenant.not_found');
      return { rows: [], total: query.offset === undefined ? undefined : 0 };
    }
  }
}

const filtersOf = (tenantId: string, { action, resourceType, actor, from, to }: Query): (SQL | undefined)[] => [
  eq(auditEntries.tenantId, tenantId),
  action === undefined ? undefined : eq(auditEntries.action, action),
  resourceType === undefined ? undefined : eq(auditEntries.resourceType, resourceType),
  actor === undefined ? undefined : eq(auditEntries.actorId, actor),
  from === undefined ? undefined : gte(auditEntries.createdAt, from),
  to === undefined ? undefined : lte(auditEntries.createdAt, to),
];

/** Entries below a position: pages stay as they are while new entries come in. */
function cursorOf({ cursor }: Query): number | null {
  if (cursor === undefined) return null;
  if (!/^\d{1,15}$/.test(cursor)) throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return Number(cursor);
}

const sealedView = (row: AuditRow) => ({
  ...view(row),
  ip: row.ip === null ? null : { enc: row.ip },
  userAgent: row.userAgent === null ? null : { enc: row.userAgent },
});
/** For those who may not see personal data: encrypted values stay so, and addresses are left out. */
const view = (row: AuditRow) => ({
  id: row.id,
  position: row.position,
  action: row.action,
  resourceType: row.resourceType,
  resourceId: row.resourceId,
  actor: { kind: row.actorKind, id: row.actorId },
  oldValues: row.oldValues ?? null,
  newValues: row.newValues,
  ip: null,
  userAgent: null,
  traceId: row.traceId,
  createdAt: new Date(row.createdAt).toISOString(),
});

/** Values of sensitive settings stay encrypted, whoever reads: a list of what was done is no place for them. */
async function secrets(page: readonly AuditRow[], asked: Promise<{ keys: readonly string[] }>): Promise<Set<string>> {
  const ofSettings = page.filter(({ action }) => action.startsWith('config.') || action === 'tenant.TenantRegistered');
  if (ofSettings.length === 0) return new Set();
  const { keys } = await asked;
  // What was before stands inside what is now, as in the event: it has no key of its own.
  return secretValues(
    ofSettings.map(({ newValues, oldValues }) => ({ ...(newValues as object), before: oldValues })),
    new Set(keys),
  );
}
