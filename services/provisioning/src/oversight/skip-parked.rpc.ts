import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { type ParkedView, skipParked } from '@tenantry/contracts/platform/consumers';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { ParkedThings } from './parked.js';
import { recordSkipped, type Skipped, skipped } from './skipped.js';

/** The service writes down who and why together with the leaving out; the event on the platform's log is for those who read along. */
@Controller()
export class SkipParkedRpc {
  constructor(
    private readonly parked: ParkedThings,
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {}

  @Handles(skipParked)
  async handle({ params, body: { reason }, command }: Call<typeof skipParked>): Reply<typeof skipParked> {
    const stream = `parked-${params.parkedId}`;
    const before = await this.log.load(skipped, { tenant: PLATFORM_LOG, stream });
    const { principal } = command;
    const found = (await this.skipped(before.state)) ?? (await this.parked.find(params.parkedId));
    const sealed = await this.keyring.encrypt(PLATFORM_LOG, 'reasons', reason);
    if (!before.state.item && !(await this.parked.settle(found, { by: `${principal.kind}:${principal.id}`, reason: sealed.enc })))
      throw new DomainError('parked.not_skippable', {
        detail: 'It was handled meanwhile, or no single event is at fault; have it tried again, or rebuild',
      });
    const { position } = await this.log.transact(skipped, { tenant: PLATFORM_LOG, stream, command }, recordSkipped(found, sealed));
    return { status: 200, body: found, position: { tenantId: PLATFORM_LOG, position } };
  }

  /** Of a repeat: what it was left out for stands where the error was. */
  private async skipped({ item, reason }: Skipped): Promise<ParkedView | null> {
    return item && reason !== null ? { ...item, error: await this.keyring.reveal(PLATFORM_LOG, reason) } : null;
  }
}
