import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import type { MoveBody } from '@tenantry/contracts/tenant/routes';
import { type Target, TenantLog } from '@tenantry/event-store/tenant-log';
import { placementFor } from '@tenantry/tenancy/names';
import { refuseFull } from '@tenantry/tenancy/server-rooms';
import { sameDatabase } from '@tenantry/tenancy/servers';
import type { z } from 'zod';
import { OperationIndex } from '../operation/operation-index.js';
import { Databases } from '../server/databases.js';
import { registered, tenant as tenantAggregate } from '../tenant/tenant.js';
import { type Place, placement, startMove } from './placement.js';
import { wantedPlace } from './wanted.js';

/** States in which the tenant has a place and keeps it. */
const movable: ReadonlySet<string> = new Set(['trial', 'active', 'suspended', 'archived']);

/** Moves as they are asked for, for one tenant or for many. */
@Injectable()
export class Moves {
  constructor(
    private readonly log: TenantLog,
    private readonly index: OperationIndex,
    private readonly databases: Databases,
  ) {}

  /** The command decides the operation's id: a repeat finds the same move. @throws DomainError where it can't be moved there */
  async begin(tenantId: string, body: z.infer<typeof MoveBody>, command: Target['command']): Promise<string> {
    const { status } = registered((await this.log.load(tenantAggregate, { tenant: tenantId })).state);
    if (status === 'deleted') throw new DomainError('tenant.deleted');
    if (!movable.has(status))
      throw new DomainError('tenant.not_ready', {
        detail: `The tenant is ${status}; it can be moved once it is in use, and until it is deleted.`,
      });
    const [{ state }, servers] = await Promise.all([this.log.load(placement, { tenant: tenantId }), this.databases.rooms()]);
    const chosen = wantedPlace(body, tenantId, { servers, lives: state.placed ? state : placementFor(tenantId, 'shared') });
    const operationId = derivedId('operation', 'move', command.id);
    await this.index.add(operationId, tenantId, 'move');
    await this.log.transact(placement, { tenant: tenantId, command }, (found) => {
      const events = startMove(operationId, chosen, body.keepSourceMinutes ?? 0)(found);
      // As it looks now, so that it is said at once. Who takes the room later counts again.
      if (events.length > 0 && found.placed) refuseFull(servers, chosen, roomOf(found, chosen));
      return events;
    });
    return operationId;
  }
}

/** What the tenant needn't take, since it lives there. */
const roomOf = (lives: Pick<Place, 'isolation' | 'server' | 'database'>, to: Pick<Place, 'isolation' | 'server' | 'database'>) => ({
  server: lives.server === to.server,
  database: lives.isolation !== 'isolated' && sameDatabase(lives, to),
});
