import { Controller } from '@nestjs/common';
import { normalizeHost } from '@tenantry/contracts/domain/host';
import { reserveHost } from '@tenantry/contracts/domain/routes';
import { Handles } from '@tenantry/messaging/handles';
import { Reservations } from '@tenantry/messaging/reservations';
import { Environment } from '@tenantry/service/environment';
import type { z } from 'zod';
import { domainIdOf, HOST } from './domain.js';

@Controller()
export class ReserveHostRpc {
  constructor(
    private readonly reservations: Reservations,
    private readonly environment: Environment,
  ) {}

  @Handles(reserveHost)
  async handle({ tenantId, host, ttlMs }: z.infer<typeof reserveHost.input>): Promise<z.infer<typeof reserveHost.output>> {
    const request = normalizeHost(host, this.environment.values.TENANTRY_BASE_DOMAIN);
    // A custom host becomes exclusive when its ownership is proven; until then anybody may ask for it.
    if (request.type === 'custom') return { reserved: true };
    const claim = `domain-${domainIdOf(tenantId, request.host)}`;
    return { reserved: (await this.reservations.reserve(HOST, request.host, { tenantId, claim, ttlMs })) === 'reserved' };
  }
}
