import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { normalizeHost, unicodeHost } from '@tenantry/contracts/domain/host';
import { claimHost } from '@tenantry/contracts/domain/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import { Reservations } from '@tenantry/messaging/reservations';
import type { Caller } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { Environment } from '@tenantry/service/environment';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { dnsRecords } from './dns-records.js';
import { claim, domain, domainIdOf, HOST, register } from './domain.js';
import { HostTable } from './host-table.js';

/** How long a claim may take from its reservation on. */
const CLAIM_MS = 60_000;
/** A claim is decided again when its reservation ran out meanwhile: once is rare, more often means that something is wrong. */
const TRIES = 3;

type Input = z.infer<typeof claimHost.input>;
type Output = z.infer<typeof claimHost.output>;

@Controller()
export class ClaimHostRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly reservations: Reservations,
    private readonly hosts: HostTable,
    private readonly clock: Clock,
    private readonly environment: Environment,
  ) {}

  @Handles(claimHost)
  async handle(input: Input, caller: Caller): Promise<Output> {
    const { host, type } = normalizeHost(
      { type: input.type, value: input.host, ssl: input.ssl },
      this.environment.values.TENANTRY_BASE_DOMAIN,
    );
    return type === 'custom' ? this.registerCustom({ ...input, host }, caller) : this.claimSubdomain({ ...input, host }, caller, TRIES);
  }

  private async claimSubdomain(input: Input, caller: Caller, tries: number): Promise<Output> {
    const { tenantId, host, ssl, primary } = input;
    const domainId = domainIdOf(tenantId, host);
    const stream = `domain-${domainId}`;
    // First the stream, then the reservation, then the claim at what was seen of the stream: an abandonment in between shows.
    const seen = await this.log.load(domain, { tenant: tenantId, stream });
    const before = seen.state;
    if (before.status !== 'active') {
      const reserved = await this.reservations.reserve(HOST, host, { tenantId, claim: stream, ttlMs: CLAIM_MS });
      if (reserved !== 'reserved')
        throw new DomainError('domain.taken', { errors: [{ field: 'domain', rule: 'unique', message: `${host} is taken` }] });
      await faultPoint('claim.done');
      try {
        await this.log.transact(
          domain,
          { tenant: tenantId, stream, command: command('claim-host', input, domainId, before.changes, caller) },
          claim({ domainId, host, unicodeHost: unicodeHost(host), primary, ssl, claimedAt: this.clock.now() }, before.changes),
          seen,
        );
      } catch (error) {
        // Decided again from the start, reservation included.
        if (!(error instanceof DomainError) || error.code !== 'log.conflict' || tries <= 1) throw error;
        return this.claimSubdomain(input, caller, tries - 1);
      }
      await faultPoint('claim.recorded');
    }
    await Promise.all([
      this.reservations.confirm(HOST, host, tenantId),
      this.hosts.put({ host, tenantId, domainId, claimedAt: this.clock.now() }),
    ]);
    return { domainId, status: 'active' };
  }

  private async registerCustom(input: Input, caller: Caller): Promise<Output> {
    const { tenantId, host, ssl, primary } = input;
    const domainId = domainIdOf(tenantId, host);
    const stream = `domain-${domainId}`;
    const seen = await this.log.load(domain, { tenant: tenantId, stream });
    const before = seen.state;
    await faultPoint('claim.done');
    const records = dnsRecords({ tenantId, host, baseDomain: this.environment.values.TENANTRY_BASE_DOMAIN });
    await this.log.transact(
      domain,
      { tenant: tenantId, stream, command: command('register-host', input, domainId, before.changes, caller) },
      register({ domainId, host, unicodeHost: unicodeHost(host), primary, ssl, records, registeredAt: this.clock.now() }),
      seen,
    );
    await faultPoint('claim.recorded');
    return { domainId, status: 'pending' };
  }
}

/** The same at every repeat, another one after each event of the stream: a host may be claimed again after a release. */
const command = (name: string, { operationId }: Input, domainId: string, changes: number, caller: Caller) =>
  operationCommand(derivedId(name, operationId, domainId, changes), operationId, caller);
