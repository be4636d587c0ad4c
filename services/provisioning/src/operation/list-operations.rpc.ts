import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { getTenantOperation, listOperations, listTenantOperations } from '@tenantry/contracts/tenant/operation-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { newestFirst, pageOf } from '@tenantry/service/newest-first';
import { and, count, eq, type SQL } from 'drizzle-orm';
import { registered, tenant } from '../tenant/tenant.js';
import { operationList } from './operation-list.projection.js';
import { Operations } from './operations.js';

const DEFAULT_LIMIT = 50;
const { us, order, after } = newestFirst(operationList.createdAt, operationList.operationId);

type Asked = Pick<Call<typeof listTenantOperations>['query'], 'type' | 'status' | 'cursor' | 'limit' | 'offset'>;

@Controller()
export class ListOperationsRpc {
  constructor(
    private readonly database: Database,
    private readonly operations: Operations,
    private readonly log: TenantLog,
  ) {}

  @Handles(listOperations)
  async list({ query }: Call<typeof listOperations>): Reply<typeof listOperations> {
    const about = query.tenantId === undefined ? [] : [eq(operationList.aboutId, query.tenantId)];
    return { status: 200, body: await this.page(conditions(query, about), query) };
  }

  @Handles(listTenantOperations)
  async ofTenant({ tenantId, query }: Call<typeof listTenantOperations>): Reply<typeof listTenantOperations> {
    const life = await this.log.load(tenant, { tenant: tenantId });
    registered(life.state);
    // What is about the tenant and on the platform's log is the platform's.
    const where = conditions(query, [eq(operationList.tenantId, tenantId), eq(operationList.aboutId, tenantId)]);
    const total = query.offset === undefined ? undefined : this.total(where);
    const [body, counted] = await Promise.all([this.page(where, query), total]);
    return { status: 200, body, total: counted };
  }

  @Handles(getTenantOperation)
  async oneOfTenant({ tenantId, params }: Call<typeof getTenantOperation>): Reply<typeof getTenantOperation> {
    const { at, kind } = await this.operations.find(params.operationId);
    if (at.tenantId !== tenantId) throw new DomainError('operation.not_found');
    const { view, position } = await kind.view(at);
    return { status: 200, body: view, position };
  }

  private async page(where: SQL[], { cursor, limit = DEFAULT_LIMIT, offset = 0 }: Asked) {
    const found = await this.database.db
      .select({ row: operationList, us })
      .from(operationList)
      .where(and(...where, after(cursor)))
      .orderBy(...order)
      .limit(limit + 1)
      .offset(offset);
    const { rows, nextCursor } = pageOf(found, limit, ({ row }) => row.operationId);
    return { items: rows.map(({ row }) => item(row)), nextCursor };
  }

  private async total(where: SQL[]): Promise<number> {
    const counted = await this.database.db
      .select({ total: count() })
      .from(operationList)
      .where(and(...where));
    return counted[0]?.total ?? 0;
  }
}

const conditions = ({ type, status }: Asked, more: SQL[]): SQL[] => [
  ...more,
  ...(type === undefined ? [] : [eq(operationList.type, type)]),
  ...(status === undefined ? [] : [eq(operationList.status, status)]),
];

const iso = (text: string) => new Date(text).toISOString();
const item = ({ operationId, aboutId, type, status, error, createdAt, finishedAt }: typeof operationList.$inferSelect) => ({
  ...{ id: operationId, type, tenantId: aboutId, status, error },
  ...{ createdAt: iso(createdAt), finishedAt: finishedAt && iso(finishedAt) },
});
