import { Controller } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import { type Drift, getDrift } from '@tenantry/contracts/platform/blueprints';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { type Objects, objectsOf, printsOf } from '@tenantry/tenancy/blueprint-objects';
import { type AppVersions, appLedger } from '@tenantry/tenancy/blueprints';
import { BlueprintRows } from './blueprint-rows.js';
import { Blueprints } from './blueprints.js';
import { type CampaignTarget, CampaignTargets, targetName } from './campaign-targets.js';
import { drift, suspicious } from './drift.js';
import { Sessions } from './sessions.js';

const DEFAULT_LIMIT = 100;
/** Databases that are looked into at once. */
const AT_ONCE = 4;

interface Look {
  target: CampaignTarget;
  ledger: AppVersions;
  /** Null where hashes have shown that all is well. */
  found: Objects | null;
}

/** A page is so many schemas that are looked at; it lists those that differ. */
@Controller()
export class DriftRpc {
  constructor(
    private readonly blueprints: Blueprints,
    private readonly rows: BlueprintRows,
    private readonly targets: CampaignTargets,
    private readonly sessions: Sessions,
  ) {}

  @Handles(getDrift)
  async handle({ params: { name }, query }: Call<typeof getDrift>): Reply<typeof getDrift> {
    const { cursor = null, limit = DEFAULT_LIMIT } = query;
    if (cursor !== null && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(cursor))
      throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
    const { supportsShared } = await this.blueprints.find(name);
    const [page, shared] = await Promise.all([
      this.targets.page(name, cursor, limit + 1),
      supportsShared && cursor === null ? this.targets.shared(name) : [],
    ]);
    const targets = [...shared, ...page.slice(0, limit)];
    const databases = [...Map.groupBy(targets, ({ server, database }) => `${server}/${database}`).values()];
    const looks: Look[] = [];
    for (let from = 0; from < databases.length; from += AT_ONCE)
      looks.push(...(await Promise.all(databases.slice(from, from + AT_ONCE).map((own) => this.look(own)))).flat());
    const items = await this.compare(name, looks);
    const nextCursor = page.length > limit ? (page[limit - 1]?.tenantId ?? null) : null;
    return { status: 200, body: { items, nextCursor, examined: targets.length } };
  }

  /** Hashes of all, then the descriptions of those whose hashes differ; targets of one database. */
  private async look(targets: readonly CampaignTarget[]): Promise<Look[]> {
    const [first] = targets;
    if (!first) return [];
    return this.sessions.run(first, async (client) => {
      await client.query('BEGIN READ ONLY; SET LOCAL ROLE tenantry_owner');
      try {
        const schemas = targets.map(({ appSchema }) => appSchema);
        const ledger = await appLedger(client, schemas);
        const prints = await printsOf(client, schemas);
        const expected = await this.expected([...ledger.values()]);
        const isOdd = (schema: string) => suspicious(expected(ledger.get(schema)!), prints.get(schema)!);
        const odd = [...new Set(schemas)].filter(isOdd);
        const found = await objectsOf(client, odd);
        return targets.map((target) => ({ target, ledger: ledger.get(target.appSchema)!, found: found.get(target.appSchema) ?? null }));
      } finally {
        await client.query('COMMIT');
      }
    });
  }

  /** What a schema with such a ledger should hold. */
  private async expected(ledgers: readonly AppVersions[]): Promise<(ledger: AppVersions) => Objects[]> {
    const versions = new Map<string, Set<number>>();
    for (const ledger of ledgers)
      for (const [name, { version }] of ledger) versions.set(name, (versions.get(name) ?? new Set()).add(version));
    const known = new Map(
      await Promise.all([...versions].map(async ([name, wanted]) => [name, await this.rows.objects(name, [...wanted])] as const)),
    );
    return (ledger) => [...ledger].map(([name, { version }]) => known.get(name)?.get(version) ?? {});
  }

  private async compare(name: string, looks: readonly Look[]): Promise<Drift[]> {
    const odd = looks.filter((look) => look.found !== null);
    if (odd.length === 0) return [];
    const last = await this.rows.last(name);
    const versions = Array.from({ length: Math.min(last.version, 200) }, (_, index) => last.version - index);
    const [own, expected] = await Promise.all([
      this.rows.objects(name, versions),
      this.expected(odd.map(({ ledger }) => new Map([...ledger].filter(([other]) => other !== name)))),
    ]);
    return odd.flatMap(({ target, ledger, found }) => {
      const others = expected(new Map([...ledger].filter(([other]) => other !== name)));
      const at = { tenantId: target.tenantId, target: targetName(target) };
      return drift(at, ledger.get(name)?.version ?? 0, own, others, found!) ?? [];
    });
  }
}
