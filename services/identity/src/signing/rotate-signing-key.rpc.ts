import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { rotateSigningKey } from '@tenantry/contracts/identity/key-routes';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { requireVersion } from '../require-version.js';
import { recordRotation, signing } from './signing.js';
import { SigningKeys } from './signing-keys.js';

@Controller()
export class RotateSigningKeyRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keys: SigningKeys,
    private readonly clock: Clock,
  ) {}

  @Handles(rotateSigningKey)
  async handle({ command }: Call<typeof rotateSigningKey>): Reply<typeof rotateSigningKey> {
    await requireVersion(this.log, signing, PLATFORM_LOG, command);
    const keyId = await this.keys.rotate(command.id);
    const { state, version, position } = await this.log.transact(
      signing,
      { tenant: PLATFORM_LOG, command },
      recordRotation({ keyId, rotatedAt: this.clock.now() }),
    );
    if (state.rotated === null) throw new Error('the rotation was not recorded');
    return { status: 200, body: state.rotated, version, position: { tenantId: PLATFORM_LOG, position } };
  }
}
