import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { BlueprintVersionView, BlueprintView } from '@tenantry/contracts/platform/blueprints';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { AppSessions } from '@tenantry/tenancy/app-sessions';
import { tryOut } from '@tenantry/tenancy/blueprint-scratch';
import { examine, type Refusal } from '@tenantry/tenancy/blueprint-sql';
import { stepsTo } from '@tenantry/tenancy/blueprints';
import { blueprint } from './blueprint.js';
import { BlueprintRows, type WrittenVersion } from './blueprint-rows.js';

const hashOf = (sql: string): string => createHash('sha256').update(sql).digest('hex');
export const blueprintStream = (name: string): string => `blueprint-${name}`;

/** The blueprints as they were accepted: what the log says, and what was worked out about it. */
@Injectable()
export class Blueprints {
  constructor(
    private readonly log: TenantLog,
    private readonly rows: BlueprintRows,
    private readonly database: Database,
    private readonly sessions: AppSessions,
  ) {}

  readonly hashOf = hashOf;

  async load(name: string) {
    return this.log.load(blueprint, { tenant: PLATFORM_LOG, stream: blueprintStream(name) });
  }

  /** @throws DomainError `blueprint.not_found` */
  async find(name: string): Promise<BlueprintView> {
    const found = (await this.rows.find(name)) ?? ((await this.write(name)) ? await this.rows.find(name) : null);
    if (!found) throw new DomainError('blueprint.not_found');
    return found;
  }

  /** @throws DomainError `blueprint.not_found`, `blueprint.version_not_found` */
  async findVersion(name: string, version: number): Promise<BlueprintVersionView> {
    const found = await this.rows.findVersion(name, version);
    if (found) return found;
    await this.find(name);
    throw new DomainError('blueprint.version_not_found');
  }

  /** Writes down what the log says and the rows don't yet. @returns whether there is such a blueprint */
  async write(name: string): Promise<boolean> {
    const { state, version: streamVersion, events } = await this.load(name);
    if (!state.registered) return false;
    await this.rows.put(state, streamVersion);
    const last = await this.rows.last(name);
    const missing = events.filter(isPublication).filter(({ data }) => data.blueprintVersion > last.version);
    // Each is tried out on what the one before has made.
    for (const { data } of missing) {
      const tried = await this.examined(name, data.blueprintVersion, data.sql, state.supportsShared);
      await this.rows.addVersion({ ...tried, createdAt: data.publishedAt });
    }
    return true;
  }

  /** @throws DomainError `blueprint.sql_refused` with every statement that is at fault, and why */
  async examined(name: string, version: number, sql: string, supportsShared: boolean): Promise<Omit<WrittenVersion, 'createdAt'>> {
    const { statements, refusals, isFoldable: foldable, hasData } = await examine(sql);
    if (refusals.length > 0) throw refused(refusals);
    const last = await this.rows.last(name);
    const isFoldable = foldable && last.isFoldable;
    const before = last.version === 0 ? [] : await stepsTo(this.database.pool, name, last.version);
    const tried = await tryOut(this.sessions, { statements, hasData, supportsShared, before, isFoldable });
    if (tried.refusals.length > 0) throw refused(tried.refusals);
    const taken = await this.rows.taken(name);
    const collisions = Object.keys(tried.objects).filter((object) => taken.has(object));
    if (collisions.length > 0)
      throw refused(
        collisions.map((object) => {
          const relation = object.slice(object.indexOf(' ') + 1);
          const index = Math.max(
            0,
            statements.findIndex(({ relations }) => relations.includes(relation)),
          );
          const { line, sql: text } = statements[index]!;
          const reason = `there is a ${object} in the blueprint ${taken.get(object)}, which is in the same schema`;
          return { statement: index + 1, line, sql: text.slice(0, 200), rule: 'taken', reason };
        }),
      );
    const { stamp, objects, compiled } = tried;
    return {
      ...{ blueprint: name, version, sql, sha256: hashOf(sql), statements: statements.length },
      ...{ hasData, isFoldable, stamp, objects, compiled },
    };
  }
}

interface Publication {
  blueprintVersion: number;
  sql: string;
  publishedAt: string;
}
const isPublication = (event: StoredEvent): event is StoredEvent & { data: Publication } => event.type === 'BlueprintVersionPublished';

const MOST_REFUSALS = 20;
function refused(refusals: readonly Refusal[]): DomainError {
  const [first] = refusals as [Refusal];
  return new DomainError('blueprint.sql_refused', {
    detail: `Statement ${first.statement} (line ${first.line}): ${first.reason}.`,
    errors: refusals.slice(0, MOST_REFUSALS).map(({ statement, line, rule, reason }) => ({
      field: 'sql',
      rule,
      message: `statement ${statement} (line ${line}): ${reason}`,
    })),
    extensions: { statement: first.sql, line: first.line, reason: first.reason },
  });
}
