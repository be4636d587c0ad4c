import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNats } from './nats.js';
import { type RunningPostgres, startPostgres } from './postgres.js';
import { isAlive, untilGone } from './process.js';

describe('a PostgreSQL of one’s own', () => {
  let first: RunningPostgres;
  let second: RunningPostgres;
  beforeAll(async () => {
    [first, second] = await Promise.all([startPostgres(), startPostgres()]);
  });
  afterAll(() => Promise.all([first.stop(), second.stop()]));

  const query = async (url: string, text: string) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };

  it('is durable and has room for many schemas, as in production', async () => {
    const rows = await query(
      first.url,
      "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'max_connections', 'max_locks_per_transaction') ORDER BY name",
    );
    expect(rows.map((row) => `${row.name}=${row.setting}`)).toEqual(['fsync=on', 'max_connections=400', 'max_locks_per_transaction=512']);
  });

  it('shares nothing with another one', async () => {
    await query(first.url, 'CREATE TABLE only_here (id int)');
    expect(await query(second.url, "SELECT to_regclass('only_here') AS found")).toEqual([{ found: null }]);
  });

  it('leaves nothing behind', async () => {
    const extra = await startPostgres();
    await extra.stop();
    await expect(query(extra.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('a nats-server of one’s own', () => {
  it('starts on a free port and ends with stop', async () => {
    const nats = await startNats();
    expect(await isAlive(nats.child.pid!)).toBe(true);
    await nats.stop();
    expect(await untilGone(nats.child.pid!, 1_000)).toBe(true);
  });
});
