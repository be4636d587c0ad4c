import { Controller } from '@nestjs/common';
import { diffConfigVersions, listConfigVersions, rollBackConfig } from '@tenantry/contracts/config/version-routes';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { Change } from '@tenantry/contracts/tenant/history-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Holding } from '../approval/holding.js';
import { changesBetween, type NodeChange } from '../history/changes.js';
import { configDocumentOf } from '../history/document.js';
import { shown } from '../history/present.js';
import { Sensitive } from '../history/sensitive.js';
import { config } from './config.js';
import { ConfigChanges } from './config-changes.js';
import { ConfigVersions, type VersionChanges } from './config-versions.js';

const DEFAULT_LIMIT = 20;
/** Of a page's changes, before they are decrypted: an answer has to fit into a message. */
const PAGE_CHARACTERS = 200_000;

@Controller()
export class ConfigVersionsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly versions: ConfigVersions,
    private readonly changes: ConfigChanges,
    private readonly holding: Holding,
    private readonly sensitive: Sensitive,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listConfigVersions)
  async list({ tenantId, query, command }: Call<typeof listConfigVersions>): Reply<typeof listConfigVersions> {
    const head = await this.versions.head(tenantId);
    const limit = query.limit ?? DEFAULT_LIMIT;
    const found = await this.versions.page(tenantId, head, cursorOf(query.cursor), limit + 1);
    const page = fitting(found.slice(0, limit));
    const changes = await this.shown(tenantId, page, command.principal.permissions);
    const items = page.map(({ version, position, changedAt, actor }, index) => ({
      ...{ version, position, changedAt, actor },
      changes: changes[index] ?? [],
    }));
    const last = items.at(-1);
    const nextCursor = last && page.length < found.length ? String(last.version) : null;
    return { status: 200, body: { items, nextCursor }, asOf: head, position: { tenantId, position: head } };
  }

  @Handles(diffConfigVersions)
  async diff({ tenantId, params, command }: Call<typeof diffConfigVersions>): Reply<typeof diffConfigVersions> {
    const head = await this.versions.head(tenantId);
    const [from, to] = await Promise.all([params.from, params.to].map((version) => this.versions.at(tenantId, head, version)));
    const found = from && to ? changesBetween(configDocumentOf(from), configDocumentOf(to)) : [];
    const changes = await this.versions.different(tenantId, found);
    const [visible = []] = await this.shown(tenantId, [{ changes }], command.principal.permissions);
    return { status: 200, body: { changes: visible }, asOf: head, position: { tenantId, position: head } };
  }

  @Handles(rollBackConfig)
  async rollBack({ tenantId, params, command }: Call<typeof rollBackConfig>): Reply<typeof rollBackConfig> {
    refuseIfMatch(command.ifMatch);
    const head = await this.versions.head(tenantId);
    const then = await this.versions.at(tenantId, head, params.version);
    const { state: now } = await this.log.load(config, { tenant: tenantId });
    const planned = await this.changes.plan(tenantId, await this.versions.backTo(tenantId, then, now));
    if (planned.configEvents.some(({ type }) => type.startsWith('Feature')) && !permits(command.principal.permissions, 'feature:update'))
      throw new DomainError('auth.forbidden', {
        detail: 'Feature flags would change too: the permission feature:update is needed',
        extensions: { permission: 'feature:update' },
      });
    const hold = await this.holding.hold(tenantId, 'rollback', planned, command);
    if (hold.held) return hold.held;
    const { tenant: first, config: second } = await this.changes.make(tenantId, hold.cleared, command);
    const position = Math.max(head, first?.position ?? -1, second?.position ?? -1);
    const [last] = await this.versions.page(tenantId, position, Number.MAX_SAFE_INTEGER, 1);
    if (!last) throw new Error('a configuration that was rolled back has no version');
    const [changes = []] = await this.shown(tenantId, [last], command.principal.permissions);
    const { version, changedAt, actor } = last;
    return {
      status: 200,
      body: { version, position: last.position, changedAt, actor, changes },
      asOf: position,
      position: { tenantId, position },
    };
  }

  private async shown(tenantId: string, lists: readonly Pick<VersionChanges, 'changes'>[], permissions: string[]): Promise<Change[][]> {
    const reader = { permissions, sensitive: await this.sensitive.keysOf(tenantId) };
    return shown(
      this.keyring,
      tenantId,
      lists.map(({ changes }) => changes),
      reader,
    );
  }
}

/** @throws DomainError `precondition.failed`: what is made of several streams has no version that could be expected */
export function refuseIfMatch(ifMatch: number | undefined): void {
  if (ifMatch !== undefined)
    throw new DomainError('precondition.failed', {
      detail: 'The configuration as a whole has no version of its own: leave If-Match out, or change single settings with theirs',
    });
}

/** Below which version the page begins. */
function cursorOf(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (!/^\d{1,15}$/.test(cursor)) throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return Number(cursor);
}

/** As many as fit into an answer, but at least one. */
function fitting<T extends { changes: NodeChange[] }>(page: T[]): T[] {
  let characters = 0;
  const end = page.findIndex(({ changes }, index) => {
    characters += JSON.stringify(changes).length;
    return index > 0 && characters > PAGE_CHARACTERS;
  });
  return end < 0 ? page : page.slice(0, end);
}
