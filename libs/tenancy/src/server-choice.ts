import type { Isolation } from '@tenantry/contracts/values';

export interface ServerRoom {
  name: string;
  /** Null: takes tenants of every region. */
  region: string | null;
  /** Null: no limit. */
  capacity: number | null;
  /** Those that live there, are to live there, or are still to be removed. */
  tenants: number;
  /** The control plane's own: the only one with a place for shared and dedicated tenants. */
  isDefault: boolean;
}

/** The region of a tenant for which none was asked for. */
const NO_WISH = 'default';

export const hasRoom = ({ capacity, tenants }: Pick<ServerRoom, 'capacity' | 'tenants'>): boolean =>
  capacity === null || tenants < capacity;

/**
 * Where a new tenant goes: to a server of its region; where the region has none, to one that is for all regions. A region that is full is
 * refused: nobody lives elsewhere by accident. Of several servers the least full takes it, which is the one with the fewest tenants for its
 * capacity; one without a limit counts as large as the largest of the others. Null where none has room.
 */
export function chooseServer(
  servers: readonly ServerRoom[],
  { region, isolation }: { region: string; isolation: Isolation },
): string | null {
  const fit = servers.filter((server) => isolation === 'isolated' || server.isDefault);
  const inRegion = fit.filter((server) => server.region === region);
  const forAll = fit.filter((server) => server.region === null);
  const preferred = inRegion.length > 0 ? inRegion : forAll;
  const candidates = (preferred.length === 0 && region === NO_WISH ? fit : preferred).filter(hasRoom);
  const largest = Math.max(1, ...candidates.map(({ capacity }) => capacity ?? 0));
  const fullness = ({ tenants, capacity }: ServerRoom) => tenants / (capacity ?? largest);
  const [least] = [...candidates].sort((a, b) => fullness(a) - fullness(b) || (a.name < b.name ? -1 : 1));
  return least?.name ?? null;
}
