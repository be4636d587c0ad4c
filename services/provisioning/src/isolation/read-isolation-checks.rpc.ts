import { Controller } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { getIsolationCheck, listIsolationChecks } from '@tenantry/contracts/platform/isolation';
import { InstantText } from '@tenantry/contracts/values';
import { signedText } from '@tenantry/crypto/signature';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Jobs } from '../job/jobs.js';
import { ISOLATION_CHECK } from './check-isolation.job.js';
import { operationRef } from './operation-ref.js';
import { Reports } from './reports.js';

const DEFAULT_LIMIT = 50;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const unusable = () => invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');

@Controller()
export class ReadIsolationChecksRpc {
  constructor(
    private readonly reports: Reports,
    private readonly jobs: Jobs,
  ) {}

  @Handles(getIsolationCheck)
  async get({ params: { checkId }, query: { cursor, verdict } }: Call<typeof getIsolationCheck>): Reply<typeof getIsolationCheck> {
    if (cursor !== undefined && !uuid.test(cursor)) throw unusable();
    const { view, position } = await this.jobs.view({ id: checkId }).catch((error: unknown) => {
      throw error instanceof DomainError && error.code === 'operation.not_found' ? new DomainError('isolation_check.not_found') : error;
    });
    if (view.type !== ISOLATION_CHECK) throw new DomainError('isolation_check.not_found');
    const { reports, isLast } = await this.reports.page(checkId, cursor ?? null, verdict);
    const nextCursor = isLast ? null : (reports.at(-1)?.tenantId ?? null);
    const document = { id: checkId, status: view.status, operation: operationRef(checkId), tenants: reports, nextCursor };
    return { status: 200, body: { ...document, ...(await this.reports.sign(signedText(document))) }, position };
  }

  @Handles(listIsolationChecks)
  async list({ query: { cursor, limit = DEFAULT_LIMIT } }: Call<typeof listIsolationChecks>): Reply<typeof listIsolationChecks> {
    const found = await this.reports.checks(cursor === undefined ? null : decoded(cursor), limit + 1);
    const items = found.slice(0, limit);
    const last = found.length > limit ? items.at(-1) : undefined;
    const nextCursor = last ? Buffer.from(`${last.checkedAt}|${last.id}`).toString('base64url') : null;
    return { status: 200, body: { items, nextCursor } };
  }
}

function decoded(cursor: string): { checkedAt: string; id: string } {
  const [checkedAt = '', id = ''] = Buffer.from(cursor, 'base64url').toString().split('|');
  // `Date.parse` alone takes much that PostgreSQL doesn't.
  if (!InstantText.safeParse(checkedAt).success || !uuid.test(id)) throw unusable();
  return { checkedAt, id };
}
