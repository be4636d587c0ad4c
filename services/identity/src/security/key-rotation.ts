import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import { KeyStore } from '../keys/key-store.js';
import { requireVersion } from '../require-version.js';
import { rotateKey, type Security, security } from './security.js';

@Injectable()
export class KeyRotation {
  constructor(
    private readonly log: TenantLog,
    private readonly keys: KeyStore,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  /**
   * The key first: whoever hears of the event finds it. A command that dies in between makes the event when it is repeated, and no other key.
   * @throws DomainError `keys.destroyed`; `precondition.failed` on another version than was expected, and then there is no key
   */
  async rotate(tenantId: string, cause: 'requested' | 'age', command: CommandContext | SystemCommand) {
    await requireVersion(this.log, security, tenantId, command);
    const keyVersion = await this.keys.rotate(tenantId, command.id);
    if (keyVersion === null) throw new DomainError('tenant.not_found');
    this.keyring.forget(tenantId);
    const { state, version, position } = await this.log.transact(
      security,
      { tenant: tenantId, command },
      rotateKey({ keyVersion, cause, rotatedAt: this.clock.now() }),
    );
    // Of a repeat, as it was after the first time.
    return { ...(state.rotated as NonNullable<Security['rotated']>), version, position };
  }
}
