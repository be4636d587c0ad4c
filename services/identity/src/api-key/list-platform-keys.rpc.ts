import { Controller } from '@nestjs/common';
import { listPlatformKeys } from '@tenantry/contracts/identity/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { ApiKeyTable } from './api-key-table.js';
import { People } from './people.js';

@Controller()
export class ListPlatformKeysRpc {
  constructor(
    private readonly table: ApiKeyTable,
    private readonly people: People,
  ) {}

  @Handles(listPlatformKeys)
  async handle({ command }: Call<typeof listPlatformKeys>): Promise<RouteAnswer<typeof listPlatformKeys>> {
    await Promise.all((await this.table.withoutPerson()).map((key) => this.people.of(key)));
    return { status: 200, body: { items: await this.table.listPlatform(permits(command.principal.permissions, 'personal:read')) } };
  }
}
