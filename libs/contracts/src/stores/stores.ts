import { type ServiceName, services } from '../route.js';

/** How a store is rid of a tenant. */
export const erasureMethods = [
  'deleted',
  /** With the whole schema or database, and its role. */
  'dropped',
  /** Free text and payloads are emptied; ids, positions and times stay, so that nothing is done twice. */
  'emptied',
  /** It is never changed; what is personal in it is ciphertext, whose keys are gone. */
  'keys_destroyed',
  /** Ids, positions and counters only: nothing personal was ever in it. */
  'kept',
] as const;
export type ErasureMethod = (typeof erasureMethods)[number];

/** In this order: what needs keys goes before them, and what could bring rows back goes before the rows. */
export const erasurePhases = ['broker', 'rows', 'files', 'place', 'keys'] as const;
export type ErasurePhase = (typeof erasurePhases)[number];

interface Common {
  /** A table's is `<schema>.<table>`. */
  name: string;
  /** Who erases it and looks whether anything is left. */
  owner: ServiceName;
  method: ErasureMethod;
  phase: ErasurePhase;
}
/** A table of a service's own schema. */
export interface TableStore extends Common {
  kind: 'table';
  /** Which rows are the tenant's: SQL about the table's columns, `$1` is the tenant's id. */
  rows: string;
  /** Of `emptied`: each column and the SQL of what it gets. */
  empty?: Record<string, string>;
  /** Part of the export, without these columns; null: it says nothing that the tenant's log does not. */
  exported: { without: string[] } | null;
}
/** Anything else: the owner has a handler for it by this name. */
export interface OtherStore extends Common {
  kind: 'other';
  /** What is in it, for people. */
  holds: string;
}
export type Store = TableStore | OtherStore;

const ofTenant = 'tenant_id = $1';
type TableOptions = Partial<Pick<TableStore, 'rows' | 'phase' | 'empty' | 'exported'>>;
const table = (owner: ServiceName, name: string, method: ErasureMethod, options: TableOptions = {}): TableStore => ({
  kind: 'table',
  name: `${schemaOf(owner)}.${name}`,
  owner,
  method,
  phase: 'rows',
  rows: ofTenant,
  exported: null,
  ...options,
});
const other = (owner: ServiceName, name: string, method: ErasureMethod, phase: ErasurePhase, holds: string): OtherStore => ({
  kind: 'other',
  name,
  owner,
  method,
  phase,
  holds,
});
const schemaOf = (service: ServiceName): string => service.replaceAll('-', '_');

const whole = { without: [] };

/** The timer that ends the export of an erased tenant outlives the tenant. */
export const EXPORT_END = 'erasure-export';

/** What the runner, effects, timers and reservations keep in every service's schema. */
const machinery = (owner: ServiceName): Store[] => [
  table(owner, 'checkpoints', 'kept'),
  table(owner, 'hints', 'kept'),
  // Their ids stay: an effect that is done is never done again. One that runs is done soon, and forgotten after eight days.
  table(owner, 'effects', 'emptied', {
    rows: `tenant_id = $1 AND state IN ('done', 'parked')`,
    empty: { payload: `'{}'::jsonb`, last_error: 'NULL' },
  }),
  table(owner, 'timers', 'deleted', { rows: `tenant_id = $1 AND purpose <> '${EXPORT_END}'` }),
  table(owner, 'parked', 'emptied', { empty: { error: `''` } }),
  table(owner, 'skipped', 'emptied', { empty: { reason: `''` } }),
  table(owner, 'attempts', 'kept'),
  table(owner, 'rebuilds', 'emptied', { rows: `tenant_id = $1 AND state <> 'pending'`, empty: { error: 'NULL' } }),
  table(owner, 'reservations', 'deleted'),
];

const ofSubscription = 'subscription_id IN (SELECT s.subscription_id FROM identity.event_subscriptions s WHERE s.log_id = $1)';

/**
 * Every store that can hold a tenant's data. A table that is in neither list fails the build: add it here, with its owner and how it is
 * erased. Where rows of a table are found through another one, it stands before that one.
 */
export const stores: Store[] = [
  other(
    'identity',
    'broker: consumers and accounts',
    'deleted',
    'broker',
    'event subscriptions of the tenant, and the platform’s for it alone',
  ),

  ...services.flatMap(machinery),
  table('gateway', 'idempotency', 'deleted', { rows: 'sealed_for = $1' }),
  table('provisioning', 'operations', 'kept', { exported: whole }),
  table('provisioning', 'tenants', 'kept', { exported: whole }),
  table('provisioning', 'approval_index', 'kept'),
  table('provisioning', 'approvals', 'deleted', { exported: whole }),
  // The storage itself goes after the rows: what is under way then finds no place any more.
  table('provisioning', 'file_writes', 'deleted'),
  table('provisioning', 'isolation_reports', 'deleted', { exported: whole }),
  table('provisioning', 'job_items', 'emptied', {
    rows: `tenant_id = $1 AND status NOT IN ('pending', 'running')`,
    empty: { error: 'NULL' },
  }),
  table('quota-metering', 'tenants', 'kept', { exported: whole }),
  table('quota-metering', 'quotas', 'deleted', { exported: whole }),
  table('quota-metering', 'usage_log', 'deleted', { exported: { without: ['command_id', 'request_hash'] } }),
  table('domain-ssl', 'hosts', 'deleted', { exported: whole }),
  table('relay', 'published', 'kept'),
  table('relay', 'acknowledged', 'kept'),
  table('relay', 'renewals', 'kept'),
  table('identity', 'api_keys', 'deleted', { exported: { without: ['hash'] } }),
  table('identity', 'invitations', 'deleted', { exported: { without: ['token_hash'] } }),
  table('identity', 'mail_outbox', 'deleted', { exported: whole }),
  table('identity', 'event_subscription_progress', 'deleted', { rows: ofSubscription }),
  table('identity', 'event_subscription_credentials', 'deleted', { rows: ofSubscription }),
  table('identity', 'event_subscription_leases', 'deleted', { rows: ofSubscription }),
  table('identity', 'event_subscriptions', 'deleted', { rows: 'log_id = $1', exported: whole }),

  other('provisioning', 'files', 'deleted', 'files', 'everything below the tenant’s prefix of the storage'),
  other(
    'provisioning',
    'schemas',
    'dropped',
    'place',
    'rows of the tenant: read models, and the tables of the product; the role, the database where it has one',
  ),
  other('identity', 'keys', 'keys_destroyed', 'keys', 'the tenant’s key and those of its data subjects'),
  other('identity', 'log', 'keys_destroyed', 'keys', 'every event of the tenant; positions, hashes and ids stay, so that proofs hold'),
  other('identity', 'broker: stream TENANTRY_EVENTS', 'keys_destroyed', 'keys', 'the events of the last seven days'),
];

const machine = 'of the platform: no tenant’s';
/** Tables of the control plane in which no tenant ever is, each with what it holds instead. */
export const tablesWithoutTenants: Record<string, string> = {
  ...Object.fromEntries(services.map((service) => [`${schemaOf(service)}.runs`, 'processes that run'])),
  'billing.plans': 'the catalogue of plans',
  'provisioning.jobs': 'work over many tenants: what was asked for; its items are apart',
  'provisioning.maintenance_windows': 'windows of the platform; the tenants that they name are in its log',
  'log.copier': machine,
  'log.writers': machine,
  'identity.signing_keys': 'keys that sign certificates and reports',
  'relay.members': machine,
  'relay.leases': machine,
  'relay.streams': machine,
  'provisioning.campaigns': 'which blueprint a job takes tenants forward with',
  'tenancy.blueprints': 'the operator’s product',
  'tenancy.blueprint_versions': 'the operator’s product',
  'tenancy.migrations': machine,
  'tenancy.servers': machine,
  'tenancy.spare_roles': 'roles that have no tenant yet',
};
/** Tables that belong to a store of another name. */
export const tablesOfStores: Record<string, string> = {
  'identity.tenant_keys': 'keys',
  'identity.subject_keys': 'keys',
  'tenancy.placements': 'schemas',
  'tenancy.server_places': 'schemas',
  'tenancy.tenant_gate': 'schemas',
  'tenancy.app_ledger': 'schemas',
  'log.events': 'log',
  'log.heads': 'log',
  'log.commands': 'log',
};

export const storesOf = (owner: ServiceName, phase?: ErasurePhase): Store[] =>
  stores.filter((store) => store.owner === owner && (phase === undefined || store.phase === phase));
