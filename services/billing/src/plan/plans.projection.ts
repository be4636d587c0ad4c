import type { PlanTerms } from '@tenantry/contracts/plans';
import { projection, upsert } from '@tenantry/messaging/projection';
import type { Database } from '@tenantry/service/database';
import { and, desc, eq } from 'drizzle-orm';
import { integer, jsonb, pgSchema, primaryKey, text } from 'drizzle-orm/pg-core';

export const plans = pgSchema('billing').table(
  'plans',
  {
    id: text('id').notNull(),
    version: integer('version').notNull(),
    terms: jsonb('terms').$type<PlanTerms>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.id, table.version] })],
);

/** Every version of every plan. To rebuild, raise `version`. */
export const plansProjection = projection({
  name: 'plans',
  version: 1,
  placement: 'service',
  tables: [plans],
  on: {
    PlanPublished: ({ data: { planId, planVersion, ...terms } }) => upsert(plans, { id: planId, version: planVersion, terms }),
  },
});

export interface PublishedPlan {
  id: string;
  version: number;
  terms: PlanTerms;
}

/** The current version of each plan, cheapest first. */
export async function currentPlans({ db }: Pick<Database, 'db'>): Promise<PublishedPlan[]> {
  const current = await db.selectDistinctOn([plans.id]).from(plans).orderBy(plans.id, desc(plans.version));
  return current.sort((one, other) => one.terms.priceMinor - other.terms.priceMinor || one.id.localeCompare(other.id));
}

/** The named version, or the current one. */
export async function findPlan({ db }: Pick<Database, 'db'>, id: string, version?: number): Promise<PublishedPlan | undefined> {
  const wanted = version === undefined ? eq(plans.id, id) : and(eq(plans.id, id), eq(plans.version, version));
  const [found] = await db.select().from(plans).where(wanted).orderBy(desc(plans.version)).limit(1);
  return found;
}
