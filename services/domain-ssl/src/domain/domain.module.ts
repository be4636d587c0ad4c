import { Module } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { provide } from '@tenantry/messaging/provide';
import { Reservations } from '@tenantry/messaging/reservations';
import { Database } from '@tenantry/service/database';
import { tenantGate } from '@tenantry/service/tenant-gate';
import { AbandonedClaimsJob } from './abandoned-claims.job.js';
import { AbandonedClaims } from './abandoned-claims.js';
import { ClaimHostRpc } from './claim-host.rpc.js';
import { domains } from './domains.projection.js';
import { HostTable } from './host-table.js';
import { ListDomainsRpc } from './list-domains.rpc.js';
import { ReleaseHostRpc } from './release-host.rpc.js';
import { ReserveHostRpc } from './reserve-host.rpc.js';
import { ResolveHostRpc } from './resolve-host.rpc.js';

@Module({
  controllers: [ReserveHostRpc, ClaimHostRpc, ReleaseHostRpc, ResolveHostRpc, ListDomainsRpc],
  providers: [
    { provide: HostTable, inject: [Database], useFactory: ({ pool }: Database) => new HostTable(pool) },
    {
      provide: AbandonedClaims,
      inject: [TenantLog, Reservations, HostTable, Database, Clock],
      useFactory: (log: TenantLog, reservations: Reservations, hosts: HostTable, { pool }: Database, clock: Clock) =>
        new AbandonedClaims(log, reservations, hosts, pool, clock),
    },
    AbandonedClaimsJob,
    tenantGate,
    provide(domains),
  ],
})
export class DomainModule {}
