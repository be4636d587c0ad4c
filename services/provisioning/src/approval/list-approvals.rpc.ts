import { Controller } from '@nestjs/common';
import { listApprovals } from '@tenantry/contracts/config/approval-routes';
import { invalidField } from '@tenantry/contracts/errors';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { and, desc, eq, sql } from 'drizzle-orm';
import { approvalView } from './approval-view.js';
import { approvals } from './approvals.projection.js';

const DEFAULT_LIMIT = 50;
const CURSOR = /^(\d{1,20})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
/** µs since the epoch, exact. */
const createdUs = sql<string>`(extract(epoch from ${approvals.createdAt}) * 1000000)::bigint::text`;

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
    const after = cursorOf(query.cursor);
    const found = await this.database.db
      .select({ row: approvals, us: createdUs })
      .from(approvals)
      .where(
        and(
          query.status === undefined ? undefined : eq(approvals.status, query.status),
          query.tenantId === undefined ? undefined : eq(approvals.tenantId, query.tenantId),
          after &&
            sql`(${approvals.createdAt}, ${approvals.approvalId}) < (timestamptz 'epoch' + ${after.us}::bigint * interval '1 microsecond', ${after.id}::uuid)`,
        ),
      )
      .orderBy(desc(approvals.createdAt), desc(approvals.approvalId))
      .limit(limit + 1);
    const page = found.slice(0, limit);
    const items = await Promise.all(
      page.map(({ row: { tenantId, createdAt, expiresAt, ...row } }) =>
        approvalView(
          this.keyring,
          tenantId,
          { ...row, reason: null, expiresAt: new Date(expiresAt).toISOString() },
          new Date(createdAt).toISOString(),
          null,
        ),
      ),
    );
    const last = page.at(-1);
    return { status: 200, body: { items, nextCursor: found.length > limit && last ? `${last.us}_${last.row.approvalId}` : null } };
  }
}

function cursorOf(text: string | undefined): { us: string; id: string } | undefined {
  if (text === undefined) return undefined;
  const [, us, id] = CURSOR.exec(text) ?? [];
  if (us === undefined || id === undefined) throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return { us, id };
}
