import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import {
  getBlueprint,
  getBlueprintVersion,
  listBlueprints,
  publishBlueprintVersion,
  putBlueprint,
} from '@tenantry/contracts/platform/blueprints';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { blueprint, change, isPublished, publish } from './blueprint.js';
import { BlueprintRows } from './blueprint-rows.js';
import { Blueprints, blueprintStream } from './blueprints.js';

const DEFAULT_LIMIT = 50;

@Controller()
export class BlueprintRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly rows: BlueprintRows,
    private readonly blueprints: Blueprints,
    private readonly clock: Clock,
  ) {}

  @Handles(listBlueprints)
  async list({ query: { cursor = '', limit = DEFAULT_LIMIT } }: Call<typeof listBlueprints>): Reply<typeof listBlueprints> {
    const found = await this.rows.list(cursor, limit + 1);
    const items = found.slice(0, limit);
    return { status: 200, body: { items, nextCursor: found.length > limit ? (items.at(-1)?.name ?? null) : null } };
  }

  @Handles(getBlueprint)
  async get({ params: { name } }: Call<typeof getBlueprint>): Reply<typeof getBlueprint> {
    return { status: 200, body: await this.blueprints.find(name) };
  }

  @Handles(putBlueprint)
  async put({ params: { name }, body, command }: Call<typeof putBlueprint>): Reply<typeof putBlueprint> {
    const data = { name, supportsShared: body.supportsShared, status: body.status ?? ('active' as const), changedAt: this.clock.now() };
    const { state, version, position, events } = await this.log.transact(
      blueprint,
      { tenant: PLATFORM_LOG, stream: blueprintStream(name), command },
      change(data),
    );
    if (state.registered) await this.rows.put(state, version);
    const status = version === 0 && events.length > 0 ? 201 : 200;
    return { status, body: await this.blueprints.find(name), version, position: { tenantId: PLATFORM_LOG, position } };
  }

  @Handles(publishBlueprintVersion)
  async publish({ params: { name }, body, command }: Call<typeof publishBlueprintVersion>): Reply<typeof publishBlueprintVersion> {
    const { version, sql } = body;
    const sha256 = this.blueprints.hashOf(sql);
    // What an earlier request left half written comes first: this version is tried out on it.
    if (!(await this.blueprints.write(name))) throw new DomainError('blueprint.not_found');
    const { state } = await this.blueprints.load(name);
    if (!state.registered) throw new DomainError('blueprint.not_found');
    const isThere = isPublished(state, version, sha256);
    const tried = isThere ? null : await this.blueprints.examined(name, version, sql, state.supportsShared);
    const publishedAt = this.clock.now();
    const { position } = await this.log.transact(
      blueprint,
      { tenant: PLATFORM_LOG, stream: blueprintStream(name), command },
      publish({ name, blueprintVersion: version, sql, sha256, publishedAt }, state.latest),
    );
    if (tried) await this.rows.addVersion({ ...tried, createdAt: publishedAt });
    const found = await this.blueprints.findVersion(name, version);
    return { status: 201, body: found, position: { tenantId: PLATFORM_LOG, position } };
  }

  @Handles(getBlueprintVersion)
  async version({ params: { name, version } }: Call<typeof getBlueprintVersion>): Reply<typeof getBlueprintVersion> {
    return { status: 200, body: await this.blueprints.findVersion(name, version) };
  }
}
