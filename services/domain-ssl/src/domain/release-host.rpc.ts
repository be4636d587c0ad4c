import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { releaseHost } from '@tenantry/contracts/domain/routes';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import { Reservations } from '@tenantry/messaging/reservations';
import type { Caller } from '@tenantry/messaging/rpc';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { domain, domainIdOf, HOST, release } from './domain.js';
import { HostTable } from './host-table.js';

@Controller()
export class ReleaseHostRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly reservations: Reservations,
    private readonly hosts: HostTable,
    private readonly clock: Clock,
  ) {}

  @Handles(releaseHost)
  async handle(
    { tenantId, operationId, host }: z.infer<typeof releaseHost.input>,
    caller: Caller,
  ): Promise<z.infer<typeof releaseHost.output>> {
    const domainId = domainIdOf(tenantId, host);
    const stream = `domain-${domainId}`;
    const { state } = await this.log.load(domain, { tenant: tenantId, stream });
    if (state.status === 'active' || state.status === 'pending') {
      await this.log.transact(
        domain,
        {
          tenant: tenantId,
          stream,
          command: operationCommand(derivedId('release-host', operationId, domainId, state.changes), operationId, caller),
        },
        release({ domainId, host, releasedAt: this.clock.now() }),
      );
    }
    // The event first: the name is free for others only when the tenant's log says that it is.
    await this.hosts.remove(host, tenantId);
    await this.reservations.release(HOST, host, tenantId);
    return {};
  }
}
