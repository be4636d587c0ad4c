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

/** What a database does with a row of an erased tenant that somebody writes late. */
export interface Fence {
  /** `refuse`: whoever writes it is told. `skip`: the row is left out, so that a rebuild goes on. `empty`: without what would be emptied. */
  late: 'refuse' | 'skip' | 'empty';
  /** Where it is not `tenant_id`. Of `skip` only. */
  column?: string;
  /** A row is written without its tenant at first. */
  updates?: boolean;
  /** SQL about `NEW`: other rows may be written. */
  when?: string;
}

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
  /** What of the tenant stays in it, and why that is nothing personal; null where nothing does. */
  keeps: string | null;
}
/** A table of a service's own schema. */
export interface TableStore extends Common {
  kind: 'table';
  /** Which rows are the tenant's: SQL about the table's columns, `$1` is the tenant's id. */
  rows: string;
  /** Of `emptied`: each column and what it gets. */
  empty?: Record<string, '' | null>;
  /** Of `deleted`: rows that somebody works on right now, SQL likewise. They are waited for. */
  busy?: string;
  /** Null for what is kept, and where what a row belongs to is gone. */
  fence: Fence | null;
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
type TableOptions = Partial<Pick<TableStore, 'rows' | 'exported'>>;
const table = (
  owner: ServiceName,
  name: string,
  more: Pick<TableStore, 'method' | 'keeps' | 'fence'> & Partial<TableStore>,
): TableStore => ({
  kind: 'table',
  name: `${schemaOf(owner)}.${name}`,
  owner,
  phase: 'rows',
  rows: ofTenant,
  exported: null,
  ...more,
});
/** Its rows go. Whoever writes one late is told, unless the options say otherwise. */
const deleted = (owner: ServiceName, name: string, options: TableOptions & Partial<Pick<TableStore, 'busy' | 'fence'>> = {}): TableStore =>
  table(owner, name, { method: 'deleted', keeps: null, fence: { late: 'refuse' }, ...options });
/** Of a projection or a process manager: what the log brings again, or late, is left out. */
const skipped: { fence: Fence } = { fence: { late: 'skip' } };
/** Its rows stay, without what people or errors said. */
const emptied = (owner: ServiceName, name: string, keeps: string, empty: NonNullable<TableStore['empty']>): TableStore =>
  table(owner, name, { method: 'emptied', keeps, empty, fence: { late: 'empty', updates: true } });
const kept = (owner: ServiceName, name: string, keeps: string, options: TableOptions = {}): TableStore =>
  table(owner, name, { method: 'kept', keeps, fence: null, ...options });
const other = (
  owner: ServiceName,
  name: string,
  { method, phase, keeps = null }: Pick<OtherStore, 'method' | 'phase'> & Partial<Pick<OtherStore, 'keeps'>>,
  holds: string,
): OtherStore => ({ kind: 'other', name, owner, method, phase, keeps, holds });
const schemaOf = (service: ServiceName): string => service.replaceAll('-', '_');

const whole = { without: [] };

/** The timer that ends the export of an erased tenant outlives the tenant. */
export const EXPORT_END = 'erasure-export';

/** The erasure itself is an effect: it is under way while everything is searched, and done right after. */
const otherThanErasure = (row: string) => `NOT (${row}name = 'operation' AND ${row}payload ->> 'type' = 'erasure')`;

const NUMBERS = 'ids, positions and counters';

/** What the runner, effects, timers and reservations keep in every service's schema. */
const machinery = (owner: ServiceName): Store[] => [
  kept(owner, 'checkpoints', `${NUMBERS}: how far the log was read`),
  kept(owner, 'hints', `${NUMBERS}: how far the log was looked at`),
  // What is under way is waited for. None is asked for again: the fence leaves it out, whatever a rebuild finds in the log.
  deleted(owner, 'effects', {
    rows: `${ofTenant} AND ${otherThanErasure('')}`,
    busy: `state = 'running' AND lease_until > now()`,
    fence: { late: 'skip', when: otherThanErasure('NEW.') },
  }),
  deleted(owner, 'timers', {
    rows: `${ofTenant} AND purpose <> '${EXPORT_END}'`,
    fence: { late: 'skip', when: `NEW.purpose <> '${EXPORT_END}'` },
  }),
  emptied(owner, 'parked', `${NUMBERS} of events that could not be applied`, { error: '' }),
  emptied(owner, 'skipped', `${NUMBERS} of events that an operator has had left out`, { reason: '' }),
  kept(owner, 'attempts', `${NUMBERS} of events at which a process died`),
  emptied(owner, 'rebuilds', `${NUMBERS} of rebuilds that were asked for`, { error: null }),
  deleted(owner, 'reservations'),
];

const ofSubscription = 'subscription_id IN (SELECT s.subscription_id FROM identity.event_subscriptions s WHERE s.log_id = $1)';
// What comes in late is found and removed by the ids in the tenant's log, with the consumers on the broker.
const withSubscription = { rows: ofSubscription, fence: null };

/**
 * Every store that can hold a tenant's data. A table that is in neither list fails the build: add it here, with its owner and how it is
 * erased. Where rows of a table are found through another one, it stands before that one.
 */
export const stores: Store[] = [
  other(
    'identity',
    'broker: consumers and accounts',
    { method: 'deleted', phase: 'broker' },
    'event subscriptions of the tenant, and the platform’s for it alone: as its log names them, on the broker and in the tables about them',
  ),

  ...services.flatMap(machinery),
  // The tenant comes with the answer.
  deleted('gateway', 'idempotency', { rows: 'sealed_for = $1', fence: { late: 'skip', column: 'sealed_for', updates: true } }),
  { ...kept('provisioning', 'erased', 'that it was erased, so that nothing of it comes back'), name: 'tenancy.erased' },
  kept('provisioning', 'tenant_figures', 'how much of its limits it used, and when: numbers, until the next look', { exported: whole }),
  kept('provisioning', 'operations', 'ids and kinds of operations', { exported: whole }),
  kept('provisioning', 'operation_list', 'ids, kinds, times and outcomes of operations, with codes of errors', { exported: whole }),
  kept(
    'provisioning',
    'tenants',
    'the tenant’s name, slug, plan, level and times in the list of tenants: no secret, and nothing personal',
    {
      exported: whole,
    },
  ),
  kept('provisioning', 'approval_index', 'ids of approvals'),
  deleted('provisioning', 'approvals', { exported: whole, ...skipped }),
  // The storage itself goes after the rows: what is under way then finds no place any more.
  deleted('provisioning', 'file_writes'),
  deleted('provisioning', 'isolation_reports', { exported: whole, ...skipped }),
  emptied('provisioning', 'job_items', 'ids and outcomes in work over many tenants', { error: null }),
  kept('quota-metering', 'tenants', 'that its quotas were withdrawn, and when: a late repeat brings none back', { exported: whole }),
  deleted('quota-metering', 'quotas', { exported: whole }),
  deleted('quota-metering', 'usage_log', { exported: { without: ['command_id', 'request_hash'] } }),
  deleted('domain-ssl', 'hosts', { exported: whole }),
  kept('relay', 'published', `${NUMBERS}: how far the log was published`),
  kept('relay', 'acknowledged', `${NUMBERS}: what the broker has acknowledged`),
  kept('relay', 'renewals', `${NUMBERS}: what was published again`),
  // Whose a key is may be staff, who are none of the tenant's.
  deleted('identity', 'api_keys', { exported: { without: ['hash', 'person', 'owner', 'probe'] } }),
  deleted('identity', 'invitations', { exported: { without: ['token_hash'] } }),
  deleted('identity', 'mail_outbox', { exported: whole }),
  deleted('identity', 'event_subscription_progress', withSubscription),
  deleted('identity', 'event_subscription_credentials', withSubscription),
  deleted('identity', 'event_subscription_leases', withSubscription),
  deleted('identity', 'event_subscriptions', { rows: 'log_id = $1', exported: whole, fence: { late: 'skip', column: 'log_id' } }),

  other(
    'provisioning',
    'files',
    { method: 'deleted', phase: 'files' },
    'everything below the tenant’s prefix of the storage, and parts of what was being written',
  ),
  other(
    'provisioning',
    'schemas',
    { method: 'dropped', phase: 'place' },
    'rows of the tenant: read models, and the tables of the product; the role, the database where it has one',
  ),
  other(
    'identity',
    'keys',
    { method: 'keys_destroyed', phase: 'keys', keeps: 'that there were keys, without them: none is ever made again' },
    'the tenant’s key and those of its data subjects, wrapped',
  ),
  other(
    'identity',
    'log',
    {
      method: 'keys_destroyed',
      phase: 'keys',
      keeps: 'events: positions, hashes and ids, so that proofs hold; what is personal in them is ciphertext without a key',
    },
    'keys that open the personal data in the tenant’s events',
  ),
  other(
    'identity',
    'broker: stream TENANTRY_EVENTS',
    { method: 'keys_destroyed', phase: 'keys', keeps: 'messages of the last seven days: the same ciphertext as in the log' },
    'keys that open the personal data in the tenant’s messages',
  ),
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
  'tenancy.databases': machine,
  'tenancy.servers': machine,
  'tenancy.shared_ledger': 'versions of the product in the shared tables of databases',
  'tenancy.spare_roles': 'roles that have no tenant yet',
};
/** Tables that belong to a store of another name. */
export const tablesOfStores: Record<string, string> = {
  'identity.tenant_keys': 'keys',
  'identity.subject_keys': 'keys',
  'tenancy.placements': 'schemas',
  'tenancy.database_places': 'schemas',
  'tenancy.server_places': 'schemas',
  'tenancy.tenant_gate': 'schemas',
  'tenancy.app_ledger': 'schemas',
  'log.events': 'log',
  'log.heads': 'log',
  'log.commands': 'log',
};

const unlessEmpty = { late: 'refuse', when: 'NEW.wrapped IS NOT NULL' } as const;
const refused = { late: 'refuse' } as const;
/** Of every table that has one: those of the stores that are tables, and of the others what would bring back a key or a place. */
export const fences: { table: string; fence: Fence; empty?: TableStore['empty'] }[] = [
  ...stores.flatMap((store) =>
    store.kind === 'table' && store.fence ? [{ table: store.name, fence: store.fence, empty: store.empty }] : [],
  ),
  { table: 'identity.tenant_keys', fence: unlessEmpty },
  { table: 'identity.subject_keys', fence: unlessEmpty },
  { table: 'tenancy.placements', fence: refused },
  { table: 'tenancy.server_places', fence: refused },
  { table: 'tenancy.tenant_gate', fence: refused },
];

export const storesOf = (owner: ServiceName, phase?: ErasurePhase): Store[] =>
  stores.filter((store) => store.owner === owner && (phase === undefined || store.phase === phase));
