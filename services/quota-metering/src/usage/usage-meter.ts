import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Calendars } from './calendars.js';
import { Ledger } from './ledger.js';
import { answerOf, refuseUnknownResource, type Standing } from './usage.js';

/** What the handlers of this service have in common: a tenant's standings, and a change of them. */
@Injectable()
export class UsageMeter {
  private readonly calendars: Calendars;
  constructor(
    private readonly ledger: Ledger,
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {
    this.calendars = new Calendars(ledger);
  }

  /** @throws DomainError `tenant.not_found`, `tenant.not_ready` */
  async standings(tenantId: string): Promise<Standing[]> {
    return (await this.ledger.standings(tenantId, this.clock.now())) ?? (await this.refuseTenant(tenantId));
  }

  /** @throws DomainError `tenant.not_found`, `tenant.not_ready`, `quota.unknown_resource` */
  async standing(tenantId: string, resource: string): Promise<Standing> {
    const [found] = (await this.ledger.standings(tenantId, this.clock.now(), resource)) ?? (await this.refuseTenant(tenantId));
    return found ?? this.refuseResource(tenantId, resource);
  }

  /**
   * Consumes an amount, or gives back a negative one.
   * @throws DomainError as `standing`, and those of `answerOf`
   */
  async change(
    tenantId: string,
    command: Pick<CommandContext, 'id' | 'requestHash'>,
    asked: { resource: string; amount: number; description?: string },
  ) {
    const now = this.clock.now();
    const calendar = (await this.calendars.at(tenantId, now)) ?? (await this.refuseTenant(tenantId));
    const description = asked.description === undefined ? undefined : await this.keyring.encrypt(tenantId, 'usage', asked.description);
    const change = { tenantId, commandId: command.id, requestHash: command.requestHash, description, now, ...calendar };
    const result = await this.ledger.change({ ...change, resource: asked.resource, amount: asked.amount });
    if (result.outcome === 'unknown_resource') return this.refuseResource(tenantId, asked.resource);
    if (result.outcome === 'unassigned') {
      this.calendars.forget(tenantId);
      return this.refuseTenant(tenantId);
    }
    return answerOf({ resource: asked.resource, amount: Math.abs(asked.amount) }, result, Date.parse(now));
  }

  /** The tenant has no quotas: either it is not there at all, or not far enough yet. */
  async refuseTenant(tenantId: string): Promise<never> {
    const [head] = await this.log.heads({ tenantIds: [tenantId] });
    if (!head || head.position < 0) throw new DomainError('tenant.not_found');
    throw new DomainError('tenant.not_ready', { detail: 'The tenant has no quotas yet: its provisioning is not that far, or was undone.' });
  }

  private async refuseResource(tenantId: string, resource: string): Promise<never> {
    refuseUnknownResource(
      resource,
      (await this.standings(tenantId)).map((standing) => standing.resource),
    );
  }
}
