import { domainToASCII } from 'node:url';
import { Controller } from '@nestjs/common';
import { resolveHost } from '@tenantry/contracts/domain/routes';
import type { TenantAccess } from '@tenantry/contracts/tenant/access';
import { Handles } from '@tenantry/messaging/handles';
import { TenantGate } from '@tenantry/service/tenant-gate';
import type { z } from 'zod';
import { HostTable } from './host-table.js';

@Controller()
export class ResolveHostRpc {
  constructor(
    private readonly hosts: HostTable,
    private readonly gate: TenantGate,
  ) {}

  @Handles(resolveHost)
  async handle({ host }: z.infer<typeof resolveHost.input>): Promise<z.infer<typeof resolveHost.output>> {
    // As browsers send it: any case, perhaps a trailing dot or a port. What is no host name leads nowhere.
    const name = domainToASCII(host.replace(/:\d+$/, '')).replace(/\.$/, '');
    const tenantId = name === '' ? null : await this.hosts.resolve(name);
    const access: TenantAccess = tenantId === null ? 'open' : await this.gate.access(tenantId);
    return access === 'open' ? { tenantId } : { tenantId: null, closed: access };
  }
}
