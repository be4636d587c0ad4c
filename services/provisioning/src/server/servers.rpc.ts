import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { listServers, putServer } from '@tenantry/contracts/platform/servers';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { ServerEvents } from './server-events.js';
import { Servers } from './servers.js';

@Controller()
export class ServersRpc {
  constructor(
    private readonly servers: Servers,
    private readonly events: ServerEvents,
  ) {}

  @Handles(listServers)
  async list(_call: Call<typeof listServers>): Reply<typeof listServers> {
    return { status: 200, body: { items: await this.servers.list() } };
  }

  /** True already is no error: the name decides, so that a repetition finds what the first made. */
  @Handles(putServer)
  async put({ body: { name, url, ...about }, command }: Call<typeof putServer>): Reply<typeof putServer> {
    const { created } = await this.servers.put(name, url, about);
    await this.events.say(name, command);
    const server = (await this.servers.list()).find((one) => one.name === name);
    if (!server) throw new DomainError('server.not_found');
    return { status: created ? 201 : 200, body: server };
  }
}
