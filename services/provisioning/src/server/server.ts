import type { EventOf } from '@tenantry/contracts/events';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { CONTROL_PLANE_DATABASE } from '@tenantry/tenancy/names';
import { DEFAULT_SERVER } from '@tenantry/tenancy/servers';

type PlatformEvent = EventOf<typeof platformEvents>;
type Registered = Extract<PlatformEvent, { type: 'ServerRegistered' }>['data'];
type ServerTerms = Pick<Registered, 'name' | 'region' | 'capacity'>;
type DatabaseTerms = Extract<PlatformEvent, { type: 'DatabaseRegistered' }>['data'];

/** What the log has said of a server and its databases, on the stream `server-<name>` of the platform's log. */
export interface SaidOfServer {
  server: ServerTerms | null;
  databases: Readonly<Record<string, DatabaseTerms>>;
}

export const serverSaid = aggregate<SaidOfServer, typeof platformEvents>({
  stream: 'server',
  events: platformEvents,
  initial: { server: null, databases: {} },
  evolve: (state, event): SaidOfServer => {
    switch (event.type) {
      case 'ServerRegistered':
      case 'ServerChanged': {
        const { name, region, capacity } = event.data;
        return { ...state, server: { name, region, capacity } };
      }
      case 'DatabaseRegistered':
      case 'DatabaseChanged':
        return { ...state, databases: { ...state.databases, [event.data.name]: event.data } };
      default:
        return state; // other events of the platform, on streams of their own
    }
  },
});

/** A server and its databases as they are; those that are not ready take nobody, and are not said yet. */
export interface FoundServer {
  /** Without host and port: the control plane's own. */
  server: ServerTerms & Partial<Pick<Registered, 'host' | 'port'>>;
  databases: readonly DatabaseTerms[];
}

/** What the control plane begins with goes without saying. */
const atFirst: SaidOfServer = {
  server: { name: DEFAULT_SERVER, region: null, capacity: null },
  databases: {
    [CONTROL_PLANE_DATABASE]: { server: DEFAULT_SERVER, name: CONTROL_PLANE_DATABASE, capacity: null, accepts: ['shared', 'dedicated'] },
  },
};

/** Says what has not been said yet. The tables decide where tenants live, so that this follows them. */
export const sayServer =
  ({ server, databases }: FoundServer) =>
  (said: SaidOfServer): PlatformEvent[] => {
    const before = server.name === DEFAULT_SERVER ? { ...atFirst, ...(said.server && { server: said.server }) } : said;
    const known = { ...(server.name === DEFAULT_SERVER ? atFirst.databases : {}), ...said.databases };
    return [...serverEvents(server, before.server), ...databases.flatMap((database) => databaseEvents(database, known[database.name]))];
  };

function serverEvents({ name, region, capacity, host, port }: FoundServer['server'], said: ServerTerms | null): PlatformEvent[] {
  const terms = { name, region, capacity };
  if (said === null) return [{ type: 'ServerRegistered', data: { ...terms, host: host ?? '', port: port ?? 0 } }];
  return said.region === region && said.capacity === capacity ? [] : [{ type: 'ServerChanged', data: terms }];
}

function databaseEvents(database: DatabaseTerms, said: DatabaseTerms | undefined): PlatformEvent[] {
  if (!said) return [{ type: 'DatabaseRegistered', data: database }];
  const isSame = said.capacity === database.capacity && [...said.accepts].sort().join() === [...database.accepts].sort().join();
  return isSame ? [] : [{ type: 'DatabaseChanged', data: database }];
}
