import { Injectable } from '@nestjs/common';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { Database } from '@tenantry/service/database';
import { OWNER } from '@tenantry/tenancy/names';
import { inOneMessage } from '@tenantry/tenancy/place-context';
import { isControlPlane } from '@tenantry/tenancy/servers';
import { identifier, literal, sqlState } from '@tenantry/tenancy/sql';
import { Tenants } from '@tenantry/tenancy/tenants';
import type { PoolClient } from 'pg';
import { Sessions } from '../../blueprint/sessions.js';
import { breached, held, notApplicable } from '../attempt.js';
import { Probe, type Subject } from '../probe.js';
import { callOf, judgedCalls, PLATFORM_FUNCTIONS, type PlatformFunction } from './function-attempts.js';
import { attemptScript, outcomesOf, type RowAttempt, type RowOutcome } from './rows.js';
import { judged, NOT_ALLOWED, planned, refusedWith, structure, type TenantTable, targetOf } from './table-attempts.js';
import { plannedOfView, structureOfView, type TenantView, VIEWS } from './view-attempts.js';

/** For the one who has no neighbour: an id that nobody has. */
const NOBODY = '00000000-0000-4000-8000-000000000000';
const CATALOGUE_MS = 60_000;

const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name,
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS "hasTenantId",
    c.relrowsecurity AND c.relforcerowsecurity AND pg_get_userbyid(c.relowner) <> current_user AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS guarded
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') ORDER BY 1, 2`;

/** Schemas that belong to no tenant. */
const PLATFORM_TABLES = `
  SELECT n.nspname AS schema, array_agg(c.relname::text ORDER BY c.relname) AS tables
  FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm')
  WHERE n.nspname !~ '^(t_|app_|pg_)' AND n.nspname NOT IN ('information_schema', 'shared', 'app_shared') GROUP BY 1 ORDER BY 1`;

/** Of schemas that belong to no tenant. */
interface Platform {
  tables: { schema: string; tables: string[] }[];
  functions: { schema: string; functions: PlatformFunction[] }[];
}
type Boundary = 'database' | 'schema' | 'cache';
interface Step {
  boundary: Boundary;
  target: string;
  run: RowAttempt[];
  judge: (outcomes: RowOutcome[]) => Omit<Attempt, 'boundary' | 'target'>;
}

/** Rows: with the tenant's own role, as the tenant's transactions run, everything that SQL could reach for. */
@Injectable()
export class DatabaseProbe extends Probe {
  private platform: { found: Promise<Platform>; untilMs: number } | null = null;

  constructor(
    private readonly database: Database,
    private readonly tenants: Tenants,
    private readonly sessions: Sessions,
  ) {
    super();
  }

  async attempts(subject: Subject): Promise<Attempt[]> {
    const undo = new Error('it was only a test');
    let found: Attempt[] = [];
    try {
      await this.tenants.withTenant(subject.tenantId, async ({ client }) => {
        found = await this.inContext(client, subject);
        throw undo;
      });
    } catch (error) {
      if (error !== undo) throw error;
    }
    return [...found, ...(await this.gate(subject))];
  }

  private async inContext(client: PoolClient, subject: Subject): Promise<Attempt[]> {
    const { tenantId, placement, peer } = subject;
    const { schema, appSchema, isolation } = placement;
    const { rows: tables } = await client.query<TenantTable>(TABLES, [[schema, appSchema]]);
    const { rows: views } = await client.query<TenantView>(VIEWS, [[schema, appSchema]]);
    const between = { own: tenantId, foreign: peer?.tenantId ?? NOBODY, level: isolation };
    const perTable = [
      ...tables
        .filter(({ hasTenantId }) => hasTenantId)
        .flatMap((table) => planned(table, between).map((attempt) => ({ target: targetOf(table), attempt }))),
      ...views.flatMap((view) => plannedOfView(view, between).map((attempt) => ({ target: targetOf(view), attempt }))),
    ];
    const platform = await this.platformCatalogue();
    const steps = [...this.elsewhere(subject, platform), ...this.calls(subject, platform), ...this.rights(subject)];
    const runs = [...perTable.map(({ attempt }) => attempt.run), ...steps.flatMap(({ run }) => run)];
    await client.query(attemptScript(runs, tenantId));
    const { rows } = await client.query<{ outcomes: string }>("SELECT current_setting('app.isolation_outcomes') AS outcomes");
    const outcomes = outcomesOf(rows[0]?.outcomes ?? '[]');
    const next = (count: number) => outcomes.splice(0, count);
    return [
      ...tables.map(
        (table): Attempt => ({ boundary: 'database', target: targetOf(table), ...structure(table, isolation, table.schema === appSchema) }),
      ),
      ...views.map((view): Attempt => ({ boundary: 'database', target: targetOf(view), ...structureOfView(view, isolation) })),
      ...perTable.map(({ target, attempt }): Attempt => ({ boundary: 'database', target, ...judged(attempt, next(1)[0] as RowOutcome) })),
      ...steps.map(({ boundary, target, run, judge }): Attempt => ({ boundary, target, ...judge(next(run.length)) })),
    ];
  }

  /** Tables that are not the tenant's: the platform's, and those of the other tenant. */
  private elsewhere({ tenantId, placement, peer }: Subject, { tables: others }: Platform): Step[] {
    const ofPeer =
      peer && peer.placement.schema !== placement.schema
        ? [{ schema: peer.placement.schema, tables: ['config_settings', 'audit_entries'] }]
        : [];
    // Its own database has a gate too, which its login reads to get in: with its own row, and no other.
    const ownGate = (schema: string, table: string) => placement.isolation === 'isolated' && `${schema}.${table}` === 'tenancy.tenant_gate';
    return [...others, ...ofPeer].map(({ schema, tables }) => ({
      boundary: 'schema',
      target: schema,
      run: tables.map((table) => ({
        sql: `SELECT 1 FROM ${identifier(schema)}.${identifier(table)} ${ownGate(schema, table) ? `WHERE tenant_id <> ${literal(tenantId)}` : ''} LIMIT 1`,
        context: tenantId,
      })),
      judge: (outcomes) => {
        const open = tables.filter((table, index) => {
          const outcome = outcomes[index] as RowOutcome;
          return 'rows' in outcome && (outcome.rows > 0 || !ownGate(schema, table));
        });
        const attempt = 'name its tables';
        return open.length > 0
          ? breached(attempt, `can be read: ${open.slice(0, 10).join(', ')}`)
          : held(attempt, `${tables.length} tables, none shows anything`);
      },
    }));
  }

  /** What the platform does with its own rights, or its services with theirs. */
  private calls({ tenantId, placement }: Subject, { functions: known }: Platform): Step[] {
    // The way into its own database, which its login goes by.
    const ownGate = (schema: string, name: string) =>
      placement.isolation === 'isolated' && schema === 'tenancy' && ['enter_tenant', 'tenant_lock'].includes(name);
    return known.map(({ schema, functions: all }): Step => {
      const functions = all.filter(({ name }) => !ownGate(schema, name));
      return {
        ...{ boundary: 'schema', target: schema },
        run: functions.map((one) => ({ sql: callOf(schema, one), context: tenantId })),
        judge: (outcomes) => judgedCalls(functions, outcomes),
      };
    });
  }

  private rights({ tenantId, placement }: Subject): Step[] {
    const one = (boundary: Boundary, target: string, attempt: string, sql: string, expected = NOT_ALLOWED): Step => ({
      ...{ boundary, target },
      run: [{ sql, context: tenantId }],
      judge: ([outcome]) => refusedWith(expected, attempt, outcome),
    });
    const none = (boundary: Boundary, target: string, attempt: string, sql: string): Step => ({
      ...{ boundary, target },
      run: [{ sql, context: tenantId }],
      judge: ([outcome]) =>
        outcome && 'rows' in outcome && outcome.rows === 0
          ? held(attempt, 'none')
          : breached(attempt, 'there are some, or it could not be seen'),
    });
    const table = `${identifier(placement.schema)}.config_settings`;
    const always = [
      one('database', placement.schema, 'turn row-level security off', `ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY`),
      one('database', placement.schema, 'make a policy of its own', `CREATE POLICY own ON ${table} USING (true)`),
      one('database', placement.schema, 'make a table beside the others', `CREATE TABLE ${identifier(placement.schema)}.own (id int)`),
      one('database', 'server', 'read a file of the server', `SELECT pg_read_file('/etc/hostname')`),
      one('database', 'server', 'run a program on the server', `COPY (SELECT 1) TO PROGRAM 'true'`),
      one('database', 'server', 'make a role', 'CREATE ROLE tenantry_isolation_probe'),
    ];
    if (placement.isolation !== 'isolated') return always;
    return [
      ...always,
      one('database', 'roles', "take the owner's role", 'SET LOCAL ROLE tenantry_owner'),
      none(
        ...(['database', 'databases', 'connect to another database'] as const),
        `SELECT 1 FROM pg_database WHERE datallowconn AND datname <> current_database() AND has_database_privilege(current_user, oid, 'CONNECT')`,
      ),
      one('cache', 'placement', 'enter with an old generation', enter(tenantId, placement.generation + 1), 'TG002'),
    ];
  }

  /** A process whose knowledge of the placement is old must not get in. */
  private async gate({ tenantId, placement }: Subject): Promise<Attempt[]> {
    const roles: Attempt = {
      ...{ boundary: 'database', target: 'roles' },
      ...notApplicable('take another role', 'a tenant of this level has no login: arbitrary SQL is held at the level isolated only'),
    };
    if (placement.isolation === 'isolated') return [];
    const stale = await this.refusal(placement, enter(tenantId, placement.generation + 1));
    const unknown = await this.refusal(placement, enter(NOBODY, 1));
    const judge = (attempt: string, state: string | null, expected: string) =>
      state === expected ? held(attempt, `SQLSTATE ${state}`) : breached(attempt, `it was not refused as such (${state ?? 'let in'})`);
    return [
      roles,
      { boundary: 'cache', target: 'placement', ...judge('enter with an old generation', stale, 'TG002') },
      { boundary: 'cache', target: 'placement', ...judge('enter as a tenant that is not here', unknown, 'TG003') },
    ];
  }

  /** The SQLSTATE of a refusal by the gate; null where it let in. */
  private async refusal(placement: Subject['placement'], sql: string): Promise<string | null> {
    try {
      // The login of another database's tenants is the services'; provisioning looks as the owner there.
      const role = isControlPlane(placement) ? '' : `SET LOCAL ROLE ${OWNER};`;
      await this.sessions.run(placement, (client) => inOneMessage(client, `${role} ${sql}`));
      return null;
    } catch (error) {
      const state = sqlState(error);
      if (!state?.startsWith('TG')) throw error;
      return state;
    }
  }

  private platformCatalogue(): Promise<Platform> {
    const now = performance.now();
    if (this.platform && now < this.platform.untilMs) return this.platform.found;
    const { pool } = this.database;
    const found = Promise.all([
      pool.query<Platform['tables'][number]>(PLATFORM_TABLES),
      pool.query<Platform['functions'][number]>(PLATFORM_FUNCTIONS),
    ]).then(([tables, functions]): Platform => ({ tables: tables.rows, functions: functions.rows }));
    this.platform = { found, untilMs: now + CATALOGUE_MS };
    found.catch(() => {
      this.platform = null;
    });
    return found;
  }
}

const enter = (tenantId: string, generation: number) => `SELECT tenancy.enter_tenant(${literal(tenantId)}, ${generation})`;
