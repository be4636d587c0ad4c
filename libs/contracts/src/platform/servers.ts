import { z } from 'zod';
import { route } from '../route.js';
import { Isolation, Region } from '../values.js';

const base = '/api/v1/platform/servers';
const common = { owner: 'provisioning', tag: 'Servers', scope: 'platform' } as const;

/** A field that is left out stays as it is; null takes it away. */
export const ServerBody = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be lower case letters, digits and hyphens, 63 at most')
    .describe('`default` is the server of the control plane'),
  url: z
    .string()
    .max(2000)
    .optional()
    .describe(
      'postgres://<user>:<password>@<host>:<port>/<database> of an administrator: used to make the platform’s roles there, and kept nowhere. Needed for a new server',
    ),
  region: Region.nullable().optional().describe('Tenants of that region are placed there; without, tenants of all regions'),
  capacity: z.number().int().min(0).max(1_000_000).nullable().optional().describe('So many tenants at most; null: no limit'),
});
export const Server = z.object({
  name: z.string(),
  host: z.string().nullable().describe('null: the server of the control plane'),
  port: z.number().int().nullable(),
  database: z.string().describe('What the platform’s own login connects to'),
  region: z.string().nullable(),
  capacity: z.number().int().nullable(),
  tenants: z.number().int().describe('Those that take up room: they live there, are to live there, or are not quite gone'),
  isolations: z.array(Isolation).describe('Levels that have a place there'),
  ready: z.boolean().describe('false: its registration did not get to its end; send it again'),
});
export type Server = z.infer<typeof Server>;

export const listServers = route({
  ...common,
  name: 'servers.list',
  summary: 'Servers that tenants live on, by name',
  permission: 'server:read',
  method: 'GET',
  path: base,
  answers: { 200: z.object({ items: z.array(Server) }) },
});
export const putServer = route({
  ...common,
  name: 'servers.register',
  summary: 'Register another PostgreSQL server for tenants, or change region and capacity of one',
  permission: 'server:update',
  method: 'POST',
  path: base,
  body: ServerBody,
  answers: { 200: Server, 201: Server },
});
/** Levels that share a database. */
const SharingLevel = Isolation.exclude(['isolated']);
const ByServer = z.strictObject({ server: z.string().max(63) });
/** A field that is left out stays as it is. */
export const DatabaseBody = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be lower case letters, digits and underscores, 63 at most')
    .refine(
      (name) => !/^(postgres$|template[01]$|pg_|tenantry_t_|tenantry_spare_|tenantry_bucket_|tenantry_shared)/.test(name),
      'is a name of the system',
    )
    .describe('Of the PostgreSQL database, and of the login that the platform has there'),
  capacity: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .nullable()
    .optional()
    .describe('So many tenants at most; null: no limit but the server’s'),
  accepts: z
    .array(SharingLevel)
    .max(2)
    .optional()
    .describe(
      'Levels of which it takes further tenants; empty: it is closed to new ones. `[dedicated]` unless given; with `shared` it gets shared tables, which stay',
    ),
});
export const TenantDatabase = z.object({
  server: z.string(),
  name: z.string(),
  capacity: z.number().int().nullable(),
  accepts: z.array(SharingLevel),
  tenants: z.number().int().describe('Those that take up room: they live there, are to live there, or are not quite gone'),
  ready: z.boolean().describe('false: its registration did not get to its end; send it again'),
});
export type TenantDatabase = z.infer<typeof TenantDatabase>;

export const listDatabases = route({
  ...common,
  name: 'databases.list',
  summary: 'Databases of a server that many tenants have their schemas in, by name',
  permission: 'server:read',
  method: 'GET',
  path: `${base}/:server/databases`,
  params: ByServer,
  answers: { 200: z.object({ items: z.array(TenantDatabase) }) },
});
export const putDatabase = route({
  ...common,
  name: 'databases.register',
  summary: 'Make a further database for dedicated and shared tenants, or change what one takes',
  permission: 'server:update',
  method: 'POST',
  path: `${base}/:server/databases`,
  params: ByServer,
  body: DatabaseBody,
  answers: { 200: TenantDatabase, 201: TenantDatabase },
});
export const serverRoutes = [listServers, putServer, listDatabases, putDatabase];
