import { Injectable } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { isRebuildState, oversightOf } from '@tenantry/contracts/platform/consumers';
import type { ServiceName } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { RpcClient } from '@tenantry/messaging/rpc';
import { itemsFailed } from '../job/items-failed.js';
import {
  type ItemsPage,
  type OperationAddress,
  type OperationKind,
  OperationKinds,
  type ShownOperation,
} from '../operation/operation-kinds.js';
import { rebuild } from './rebuild.js';

/** Rebuilds as operations: what was asked for and how it ended is on the platform's log, how far it is only the service knows. */
@Injectable()
export class RebuildOperations implements OperationKind {
  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    kinds: OperationKinds,
  ) {
    kinds.add('rebuild', this);
  }

  /** @throws DomainError `operation.not_found` */
  async requested(id: string) {
    const { state, position } = await this.log.load(rebuild, { tenant: PLATFORM_LOG, stream: `operation-${id}` });
    const { requested, requestedAt, ended } = state;
    if (!requested || !requestedAt) throw new DomainError('operation.not_found');
    return { requested, requestedAt, ended, position };
  }

  async items({ id }: OperationAddress, { cursor, limit, status }: ItemsPage) {
    if (cursor !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(cursor))
      throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
    if (status !== undefined && !isRebuildState(status)) return { items: [], nextCursor: null };
    const { requested } = await this.requested(id);
    const asked = { operationId: id, after: cursor ?? null, limit: limit + 1, status };
    const { items } = await this.rpc.call(oversightOf(requested.service as ServiceName).items, asked);
    const shown = items.slice(0, limit);
    return { items: shown, nextCursor: items.length > limit ? (shown.at(-1)?.tenantId ?? null) : null };
  }

  async view({ id }: Pick<OperationAddress, 'id'>): Promise<ShownOperation> {
    const { requested, requestedAt, ended, position } = await this.requested(id);
    const counts = ended
      ? { total: ended.succeeded + ended.failed, pending: 0, succeeded: ended.succeeded, failed: ended.failed }
      : await this.rpc.call(oversightOf(requested.service as ServiceName).progress, { operationId: id });
    const status = ended ? (ended.failed > 0 ? 'failed' : 'succeeded') : counts.total === 0 ? 'pending' : 'running';
    return {
      view: {
        id,
        type: 'rebuild',
        tenantId: requested.tenantId,
        status,
        steps: [],
        counts,
        error: ended && ended.failed > 0 ? itemsFailed(ended.failed, 'tenants') : null,
        createdAt: requestedAt,
        finishedAt: ended?.at ?? null,
      },
      position: { tenantId: PLATFORM_LOG, position },
    };
  }
}
