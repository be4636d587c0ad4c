import { readFile } from 'node:fs/promises';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { hashApiKey, parseApiKey } from '@tenantry/crypto/api-key';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Environment } from '@tenantry/service/environment';
import { createForPlatform, platformKey } from './api-key.js';
import { ApiKeyTable } from './api-key-table.js';

/** The first platform key: made by whoever installs the platform, registered at every start. One that was revoked stays so. */
@Injectable()
export class BootstrapKey implements OnApplicationBootstrap {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
    private readonly clock: Clock,
    private readonly environment: Environment,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const path = this.environment.values.TENANTRY_BOOTSTRAP_KEY_FILE;
    if (path === undefined) return;
    const key = (await readFile(path, 'utf8')).trim();
    const parsed = parseApiKey(key);
    if (!parsed) throw new Error(`TENANTRY_BOOTSTRAP_KEY_FILE: ${path} holds no API key (tnt_<environment>_<random><checksum>)`);
    const hash = hashApiKey(key);
    const created = { keyId: derivedId('bootstrap-key', hash), name: 'bootstrap', permissions: ['*'], createdAt: this.clock.now() };
    await this.log.transact(
      platformKey,
      {
        tenant: PLATFORM_LOG,
        stream: `platform-key-${created.keyId}`,
        command: { id: derivedId('register-bootstrap-key', hash), actor: { kind: 'system', id: 'installation' } },
      },
      createForPlatform(created),
    );
    await this.table.insert({ ...created, hash, prefix: parsed.prefix, tenantId: null, person: created.keyId });
  }
}
