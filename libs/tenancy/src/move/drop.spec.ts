import { randomUUID } from 'node:crypto';
import type { Isolation } from '@tenantry/contracts/values';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stampTables } from '../compile.js';
import { leftInPlace } from '../left-in-place.js';
import { urlFor } from '../login-secret.js';
import { placementFor } from '../names.js';
import type { Placement } from '../placement.js';
import { createPlace } from '../provision-schema.js';
import { type Platform, startPlatform } from '../spec/platform.js';
import { identifier, withNames } from '../sql.js';
import { dropMove, dropNotes } from './drop.js';
import { catchUp, copy, fence, prepare, switchBack, switchOver } from './move.js';
import type { Move } from './side.js';

const product = `CREATE TABLE words (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, word text NOT NULL,
  PRIMARY KEY (tenant_id, word));`;
const controlPlane = { server: 'default', database: 'tenantry' };

describe('a move that nobody goes on with, of a tenant that is erased', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform();
    await install('app_shared', 'tenantry_shared', 'tenantry');
  }, 60_000);
  afterAll(() => platform.stop());

  const inDatabase = async (database: string, text: string) => {
    const client = new pg.Client({ connectionString: urlFor(platform.server.url, database) });
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  const install = (schema: string, role: string, database: string) =>
    inDatabase(
      database,
      `BEGIN; SET LOCAL ROLE tenantry_owner; SET LOCAL search_path = ${identifier(schema)}; ${withNames(product, { role })}
       ${withNames(stampTables(['words']), { role })} COMMIT`,
    );
  const placed = async (isolation: Isolation): Promise<Placement> => {
    const placement = placementFor(randomUUID(), isolation);
    await createPlace(platform.places, placement);
    if (isolation !== 'shared') await install(placement.appSchema, placement.role, placement.database);
    await inDatabase(
      placement.database,
      `BEGIN; SET LOCAL app.tenant_id = '${placement.tenantId}'; INSERT INTO ${identifier(placement.appSchema)}.words (word) VALUES ('secret'); COMMIT`,
    );
    return { ...placement, ready: true };
  };
  const dies = new Error('died');
  const dieAt = (moment: string) => ({
    at: async (now: string) => {
      if (now === moment) throw dies;
    },
  });
  /** How far it comes before whoever works at it is no more. */
  const halts: Record<string, (move: Move) => Promise<unknown>> = {
    prepared: (move) => prepare(platform.places, move),
    copied: async (move) => {
      await prepare(platform.places, move);
      await copy(platform.places, move);
    },
    left: async (move) => {
      const prepared = await prepare(platform.places, move);
      await copy(platform.places, move);
      await catchUp(platform.places, move);
      await fence(platform.places, move);
      await expect(switchOver(platform.places, move, prepared, dieAt('left'))).rejects.toBe(dies);
    },
    'left on the way back': async (move) => {
      const prepared = await prepare(platform.places, move);
      await copy(platform.places, move);
      await catchUp(platform.places, move);
      await fence(platform.places, move);
      await switchOver(platform.places, move, prepared);
      await expect(switchBack(platform.places, move, dieAt('left'))).rejects.toBe(dies);
    },
  };
  it.each([
    ['dedicated', 'isolated', 'left'],
    ['isolated', 'dedicated', 'prepared'],
    ['isolated', 'dedicated', 'left'],
    ['shared', 'dedicated', 'left on the way back'],
    ['isolated', 'shared', 'left'],
  ] as const)(
    'leaves nothing, from %s to %s, %s',
    async (isolation, target, halt) => {
      const from = await placed(isolation);
      const { tenantId, generation } = from;
      const move = { from, to: { ...placementFor(tenantId, target, { generation: generation + 1 }), ready: true } };
      await halts[halt]?.(move);
      expect(await leftInPlace(platform.places, tenantId, [])).toBeGreaterThan(0);
      for (let times = 0; times < 2; times++) {
        await dropNotes(platform.places, tenantId, [controlPlane]);
        await dropMove(platform.places, move);
        expect(await leftInPlace(platform.places, tenantId, [])).toBe(0);
      }
      const { rows } = await inDatabase(
        'tenantry',
        `SELECT proname AS name FROM pg_proc WHERE proname LIKE 'note\\_%' UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'tenantry\\_moving%'`,
      );
      expect(rows).toEqual([]);
    },
    30_000,
  );

  it('does not end before the keys are gone that were noted in others’ database', async () => {
    const from = await placed('shared');
    const move = { from, to: { ...placementFor(from.tenantId, 'dedicated', { generation: from.generation + 1 }), ready: true } };
    await halts['copied']?.(move);
    await dropMove(platform.places, move);
    expect(await leftInPlace(platform.places, from.tenantId, [])).toBe(1);
    await dropNotes(platform.places, from.tenantId, [controlPlane]);
    expect(await leftInPlace(platform.places, from.tenantId, [])).toBe(0);
  });
});
