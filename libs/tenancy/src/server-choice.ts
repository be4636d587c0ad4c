import type { Isolation } from '@tenantry/contracts/values';

interface Room {
  name: string;
  /** Null: no limit. */
  capacity: number | null;
  /** Those that live there, are to live there, or are still to be removed. */
  tenants: number;
}
/** One that many tenants have their schemas in. */
export interface DatabaseRoom extends Room {
  /** Levels of which it takes further tenants. */
  accepts: readonly Isolation[];
  /** Shared tables are there, whether or not it takes further tenants of that level. */
  hasShared: boolean;
}
export interface ServerRoom extends Room {
  /** Null: takes tenants of every region. */
  region: string | null;
  databases: readonly DatabaseRoom[];
}
/** Without a database: one of the tenant's own, on that server. */
export interface ChosenPlace {
  server: string;
  database: string | null;
}

/** The region of a tenant for which none was asked for. */
const NO_WISH = 'default';

export const hasRoom = ({ capacity, tenants }: Pick<Room, 'capacity' | 'tenants'>): boolean => capacity === null || tenants < capacity;

/**
 * Where a new tenant goes: to a server of its region; where the region has none, to one that is for all regions. A region that is full is
 * refused: nobody lives elsewhere by accident. Of several the least full takes it, which is the one with the fewest tenants for its
 * capacity; one without a limit counts as large as the largest of the others. Isolated tenants fill servers; others the databases that take
 * their level, on servers that have room. Null where none has room.
 */
export function choosePlace(
  servers: readonly ServerRoom[],
  { region, isolation }: { region: string; isolation: Isolation },
): ChosenPlace | null {
  if (isolation === 'isolated') {
    const server = leastFull(ofRegion(servers, region).filter(hasRoom));
    return server && { server: server.name, database: null };
  }
  const fit = servers.filter(({ databases }) => databases.some(({ accepts }) => accepts.includes(isolation)));
  return leastFullDatabase(ofRegion(fit, region), isolation);
}

function ofRegion(servers: readonly ServerRoom[], region: string): readonly ServerRoom[] {
  const inRegion = servers.filter((server) => server.region === region);
  const forAll = servers.filter((server) => server.region === null);
  const preferred = inRegion.length > 0 ? inRegion : forAll;
  return preferred.length === 0 && region === NO_WISH ? servers : preferred;
}

/** Of those on these servers that take the level and have room. */
export function leastFullDatabase(servers: readonly ServerRoom[], isolation: Isolation): ChosenPlace | null {
  const found = leastFull(
    servers
      .filter(hasRoom)
      .flatMap(({ name: server, databases }) => databases.map((database) => ({ ...database, server })))
      .filter((database) => database.accepts.includes(isolation) && hasRoom(database)),
  );
  return found && { server: found.server, database: found.name };
}

function leastFull<T extends Room>(candidates: readonly T[]): T | null {
  const largest = Math.max(1, ...candidates.map(({ capacity }) => capacity ?? 0));
  const fullness = ({ tenants, capacity }: Room) => tenants / (capacity ?? largest);
  return [...candidates].sort((a, b) => fullness(a) - fullness(b) || (a.name < b.name ? -1 : 1))[0] ?? null;
}
