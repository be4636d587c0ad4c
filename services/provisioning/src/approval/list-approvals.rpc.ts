import { Controller } from '@nestjs/common';
import { listApprovals } from '@tenantry/contracts/config/approval-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { newestFirst, pageOf } from '@tenantry/service/newest-first';
import { and, eq } from 'drizzle-orm';
import { approvalView } from './approval-view.js';
import { approvals } from './approvals.projection.js';

const DEFAULT_LIMIT = 50;
const { us, order, after } = newestFirst(approvals.createdAt, approvals.approvalId);

/** Of all tenants, without the values of settings: those are shown one by one. */
@Controller()
export class ListApprovalsRpc {
  constructor(
    private readonly database: Database,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listApprovals)
  async handle({ query }: Call<typeof listApprovals>): Reply<typeof listApprovals> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const found = await this.database.db
      .select({ row: approvals, us })
      .from(approvals)
      .where(
        and(
          query.status === undefined ? undefined : eq(approvals.status, query.status),
          query.tenantId === undefined ? undefined : eq(approvals.tenantId, query.tenantId),
          after(query.cursor),
        ),
      )
      .orderBy(...order)
      .limit(limit + 1);
    const { rows, nextCursor } = pageOf(found, limit, ({ row }) => row.approvalId);
    const items = await Promise.all(
      rows.map(({ row: { tenantId, createdAt, expiresAt, ...row } }) =>
        approvalView(
          this.keyring,
          tenantId,
          { ...row, reason: null, expiresAt: new Date(expiresAt).toISOString() },
          new Date(createdAt).toISOString(),
          null,
        ),
      ),
    );
    return { status: 200, body: { items, nextCursor } };
  }
}
