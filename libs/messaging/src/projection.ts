import type { EventName, StoredOf } from '@tenantry/contracts/catalogue';
import type { PgTable } from 'drizzle-orm/pg-core';

/** A counter change inside `patch`: the stored number plus `by`. */
export interface Add {
  add: number;
}
export const add = (by: number): Add => ({ add: by });

type Row<T extends PgTable> = T['$inferInsert'];
/** Rows of tables in a tenant's schema get `tenant_id` (column key `tenantId`) from the runner where a handler leaves it out. */
export type RowChange =
  | { op: 'upsert'; table: PgTable; row: Record<string, unknown> }
  | { op: 'patch'; table: PgTable; key: Record<string, unknown>; values: Record<string, unknown> }
  | { op: 'remove'; table: PgTable; key: Record<string, unknown> };

type Given<T extends PgTable> = Omit<Row<T>, 'tenantId'> & { tenantId?: string };
/** The whole row, by primary key. */
export const upsert = <T extends PgTable>(table: T, row: Given<T>): RowChange => ({ op: 'upsert', table, row });
/** Some columns of the row with that primary key; nothing where there is none. */
export const patch = <T extends PgTable>(table: T, key: Partial<Row<T>>, values: { [K in keyof Row<T>]?: Row<T>[K] | Add }): RowChange => ({
  op: 'patch',
  table,
  key,
  values,
});
export const remove = <T extends PgTable>(table: T, key: Partial<Row<T>>): RowChange => ({ op: 'remove', table, key });

type Handlers = { [T in EventName]?: (event: StoredOf<T>) => RowChange | RowChange[] | null };

/** A read model. To rebuild it, raise `version`. */
export interface Projection {
  kind: 'projection';
  name: string;
  version: number;
  /** `tenant`: rows in the tenant's schema; `service`: rows in the service's own schema. */
  placement: 'tenant' | 'service';
  /** The tables it writes: what a rebuild empties. */
  tables: PgTable[];
  /** Its keys are also the subscription filter. `'*'` gets every event. */
  on: Handlers & { '*'?: (event: StoredOf<EventName>) => RowChange | RowChange[] | null };
}
export const projection = (definition: Omit<Projection, 'kind'>): Projection => ({ kind: 'projection', ...definition });

/** Something to do outside the log because of an event. Runs at least once, with the same `id` every time. */
export interface EffectRequest {
  name: string;
  payload: unknown;
}
export const effect = (name: string, payload: unknown): EffectRequest => ({ name, payload });

type Reactions = { [T in EventName]?: (event: StoredOf<T>) => EffectRequest | EffectRequest[] | null };

/** Events in, effects out. Its checkpoint and the effect outbox commit together, in the service's schema. */
export interface ProcessManager {
  kind: 'process';
  name: string;
  on: Reactions;
}
export const processManager = (definition: Omit<ProcessManager, 'kind'>): ProcessManager => ({ kind: 'process', ...definition });
