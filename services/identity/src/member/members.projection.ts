import type { Encrypted } from '@tenantry/contracts/events';
import { memberRoles } from '@tenantry/contracts/identity/events';
import { patch, projection, upsert } from '@tenantry/messaging/projection';
import { pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

export const identityMembers = pgTable(
  'identity_members',
  {
    tenantId: uuid('tenant_id').notNull(),
    memberId: uuid('member_id').notNull(),
    /** What stands in `{enc}`. */
    email: text('email').notNull(),
    role: text('role', { enum: memberRoles }).notNull(),
    status: text('status', { enum: ['invited', 'active', 'removed'] }).notNull(),
    invitedAt: timestamp('invited_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.memberId] })],
);

/** One row per person who belongs, or belonged, to the tenant. */
export const members = projection({
  name: 'members',
  version: 1,
  placement: 'tenant',
  tables: [identityMembers],
  on: {
    MemberInvited: ({ data }) =>
      upsert(identityMembers, {
        memberId: data.memberId,
        // Stored events hold personal fields encrypted, always.
        email: (data.email as Encrypted).enc,
        role: data.role,
        status: 'invited',
        invitedAt: data.invitedAt,
      }),
    MemberRemoved: ({ data, tenantId }) => patch(identityMembers, { tenantId, memberId: data.memberId }, { status: 'removed' }),
  },
});
