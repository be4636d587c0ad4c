import { Controller } from '@nestjs/common';
import { secureTenant } from '@tenantry/contracts/identity/operations';
import { derivedId } from '@tenantry/contracts/ids';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { KeyStore } from '../keys/key-store.js';
import { initialize, security } from './security.js';

/** Data keys that every tenant needs: made here, so that later steps find them. */
const SUBJECTS = ['contacts', 'config', 'index', 'requests'];

@Controller()
export class SecureTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keys: KeyStore,
  ) {}

  @Handles(secureTenant)
  async handle(
    { tenantId, operationId, securityLevel }: z.infer<typeof secureTenant.input>,
    caller: Caller,
  ): Promise<z.infer<typeof secureTenant.output>> {
    const { tenantKeyVersion: keyVersion } = await this.keys.ensure(tenantId, SUBJECTS);
    await faultPoint('secure.done');
    const { state } = await this.log.transact(
      security,
      {
        tenant: tenantId,
        command: operationCommand(derivedId('secure', tenantId, operationId), operationId, caller),
      },
      initialize({ securityLevel, keyVersion }),
      newStream(security),
    );
    await faultPoint('secure.recorded');
    return { keyVersion: state.keyVersion };
  }
}
