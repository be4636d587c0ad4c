import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { listDatabases, putDatabase } from '@tenantry/contracts/platform/servers';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Databases } from './databases.js';
import { ServerEvents } from './server-events.js';

@Controller()
export class DatabasesRpc {
  constructor(
    private readonly databases: Databases,
    private readonly events: ServerEvents,
  ) {}

  @Handles(listDatabases)
  async list({ params: { server } }: Call<typeof listDatabases>): Reply<typeof listDatabases> {
    return { status: 200, body: { items: await this.databases.list(server) } };
  }

  /** True already is no error: the name decides, so that a repetition finds what the first made. */
  @Handles(putDatabase)
  async put({ params: { server }, body: { name, ...terms }, command }: Call<typeof putDatabase>): Reply<typeof putDatabase> {
    const { created } = await this.databases.put(server, name, terms);
    await this.events.say(server, command);
    const database = (await this.databases.list(server)).find((one) => one.name === name);
    if (!database) throw new DomainError('server.not_found');
    return { status: created ? 201 : 200, body: database };
  }
}
