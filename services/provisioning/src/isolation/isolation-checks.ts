import { Injectable } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import { Jobs } from '../job/jobs.js';
import { ISOLATION_CHECK } from './check-isolation.job.js';
import { Peers } from './peers.js';

/** Tenants at once. Each asks the API and the broker some hundred times. */
const CONCURRENCY = 2;

@Injectable()
export class IsolationChecks {
  constructor(
    private readonly jobs: Jobs,
    private readonly peers: Peers,
    private readonly log: TenantLog,
  ) {}

  /** @param tenantIds all with a place where none are named @returns the check's id, which is the operation's */
  async start(tenantIds: readonly string[] | undefined, command: CommandContext | SystemCommand): Promise<string> {
    const chosen = tenantIds === undefined ? await this.peers.placed() : await this.known(tenantIds);
    return this.jobs.start(
      { type: ISOLATION_CHECK, params: {}, items: chosen.map((tenantId) => ({ tenantId })), concurrency: CONCURRENCY },
      command,
    );
  }

  /** @throws DomainError `request.invalid` that names the first that is no tenant */
  private async known(tenantIds: readonly string[]): Promise<string[]> {
    const wanted = tenantIds.map((id) => id.toLowerCase());
    const heads = new Set((await this.log.heads({ tenantIds: [...new Set(wanted)] })).map(({ tenantId }) => tenantId));
    const unknown = wanted.findIndex((id) => !heads.has(id));
    if (unknown >= 0) throw invalidField(`tenantIds.${unknown}`, 'tenant', 'There is no such tenant');
    return [...new Set(wanted)];
  }
}
