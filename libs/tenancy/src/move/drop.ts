import type { PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { dropPlace } from '../provision-schema.js';
import { lastGenerationOf } from './generations.js';
import { endAllNotes } from './notes.js';
import { removePlace } from './places.js';
import { type Move, onDatabase } from './side.js';

/**
 * Both places of a move that nobody goes on with, wherever it has stopped, for a tenant that is to live nowhere any more: so it needn't be
 * known at which of them it lives. May be repeated.
 */
export async function dropMove(context: PlaceContext, move: Move): Promise<void> {
  const { from, to } = move;
  await removePlace(context, to, from);
  await dropPlace(context, { ...from, generation: lastGenerationOf(move) });
}

/** Keys of a tenant's rows that moves have noted, in databases that are others' too: of an isolated tenant they go with its database. */
export async function dropNotes(context: PlaceContext, tenantId: string, databases: readonly Pick<Placement, 'server' | 'database'>[]) {
  for (const database of databases) await onDatabase(context, database, (client) => endAllNotes(client, tenantId));
}
