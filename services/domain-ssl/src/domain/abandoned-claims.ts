import type { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { TenantLog } from '@tenantry/event-store/tenant-log';
import type { Reservation, Reservations } from '@tenantry/messaging/reservations';
import type { Pool } from 'pg';
import { abandon, domain, domainIdOf, HOST } from './domain.js';
import type { HostTable } from './host-table.js';

const BATCH = 50;

/**
 * Frees host names whose claim was never finished. First the abandonment is appended to the claimant's stream, so that a claim
 * that was decided before it fails; then the reservation goes, unless the claimant has renewed it meanwhile.
 */
export class AbandonedClaims {
  constructor(
    private readonly log: TenantLog,
    private readonly reservations: Reservations,
    private readonly hosts: HostTable,
    private readonly pool: Pool,
    private readonly clock: Clock,
  ) {}

  /** @returns how many names were freed */
  async free(): Promise<number> {
    const expired = (await this.reservations.expired(BATCH)).filter(({ kind }) => kind === HOST);
    const abandoned = (await Promise.all(expired.map((reservation) => this.abandon(reservation)))).filter((one) => one !== null);
    if (abandoned.length === 0) return 0;
    const { rowCount } = await this.pool.query(
      `DELETE FROM domain_ssl.reservations r USING unnest($1::text[], $2::uuid[]) AS given(name, tenant_id)
       WHERE r.kind = $3 AND r.name = given.name AND r.tenant_id = given.tenant_id AND r.confirmed_at IS NULL AND r.expires_at < now()`,
      [abandoned.map(({ name }) => name), abandoned.map(({ tenantId }) => tenantId), HOST],
    );
    return rowCount ?? 0;
  }

  /** Null for a claim that was made, and only not confirmed: that is done now. */
  private async abandon(reservation: Reservation): Promise<Reservation | null> {
    const { name: host, tenantId, claim: stream, expiresAt } = reservation;
    const domainId = domainIdOf(tenantId, host);
    const at = this.clock.now();
    const { state } = await this.log.transact(
      domain,
      {
        tenant: tenantId,
        stream,
        command: { id: derivedId('abandon-host', domainId, expiresAt), actor: { kind: 'service', id: 'domain-ssl' } },
      },
      abandon({ domainId, host, abandonedAt: at }),
    );
    if (state.status !== 'active') return reservation;
    await this.hosts.put({ host, tenantId, domainId, claimedAt: at });
    await this.reservations.confirm(HOST, host, tenantId);
    return null;
  }
}
