import { derivedId } from '@tenantry/contracts/ids';
import { instantOf, isIntact } from '@tenantry/event-store/hash';
import type pg from 'pg';
import { expect } from 'vitest';
import type { Sent } from './workload.js';

type Row = Parameters<typeof isIntact>[0] & { recordedUs: string };

/** Events as they lie in the table: what readers make of them is not what is checked. */
async function eventsOf(admin: pg.Pool, tenantId: string): Promise<Row[]> {
  const { rows } = await admin.query(
    `SELECT tenant_id AS "tenantId", position::float8 AS position, stream, stream_version::float8 AS "streamVersion", id, context, type, version,
            data, metadata, encode(body_hash, 'hex') AS "bodyHash", encode(leaf, 'hex') AS leaf,
            (extract(epoch FROM recorded_at) * 1000000)::bigint AS "recordedUs", previous_in_context::float8 AS "previousInContext"
     FROM log.events WHERE tenant_id = $1 ORDER BY position`,
    [tenantId],
  );
  return rows.map((row) => ({ ...row, recordedAt: instantOf(Number(row.recordedUs)) }));
}

/** Positions and stream versions have no gap, time grows, every hash is the one of its event, and the head is the last event. */
export async function checkLogs(admin: pg.Pool): Promise<Map<string, Row[]>> {
  const { rows: heads } = await admin.query<{ tenantId: string; position: string }>(
    'SELECT tenant_id AS "tenantId", position FROM log.heads',
  );
  const { rows: headless } = await admin.query(
    'SELECT DISTINCT tenant_id FROM log.events e WHERE NOT EXISTS (SELECT FROM log.heads h WHERE h.tenant_id = e.tenant_id)',
  );
  expect(headless, 'logs without a head').toEqual([]);
  const logs = new Map<string, Row[]>();
  for (const { tenantId, position } of heads) {
    const events = await eventsOf(admin, tenantId);
    logs.set(tenantId, events);
    expect(events.length - 1, `head of ${tenantId}`).toBe(Number(position));
    const versions = new Map<string, number>();
    const contexts = new Map<string, number>();
    let before = 0n;
    for (const [index, event] of events.entries()) {
      const at = `${tenantId}:${index}`;
      expect(event.position, `position ${at}`).toBe(index);
      expect(event.streamVersion, `stream version ${at}`).toBe((versions.get(event.stream) ?? -1) + 1);
      versions.set(event.stream, event.streamVersion);
      expect(event.previousInContext, `previous of its context ${at}`).toBe(contexts.get(event.context) ?? null);
      contexts.set(event.context, index);
      expect(BigInt(event.recordedUs) > before, `time ${at}`).toBe(true);
      before = BigInt(event.recordedUs);
      expect(isIntact(event), `hashes ${at}`).toBe(true);
    }
  }
  const { rows: torn } = await admin.query(
    `SELECT c.tenant_id, c.command_id FROM log.commands c
     WHERE EXISTS (SELECT FROM generate_series(c.first_position, c.last_position) p
                   LEFT JOIN log.events e ON e.tenant_id = c.tenant_id AND e.position = p
                   WHERE e.metadata ->> 'commandId' IS DISTINCT FROM c.command_id)
        OR c.last_position - c.first_position + 1
           <> (SELECT count(*) FROM log.events e WHERE e.tenant_id = c.tenant_id AND e.metadata ->> 'commandId' = c.command_id)`,
  );
  expect(torn, 'commands whose events are not theirs').toEqual([]);
  return logs;
}

/** Every acknowledged command exactly once, every other at most once: events by the command's id, usage by its line in the ledger. */
export async function checkCommands(admin: pg.Pool, sent: Sent[], logs: Map<string, Row[]>): Promise<void> {
  const principal = [...logs.values()].flat().find(({ type }) => type === 'TenantRegistered')?.metadata.actor.id;
  const counts = new Map<string, number>();
  for (const { tenantId, metadata } of [...logs.values()].flat()) {
    const key = `${tenantId} ${metadata.commandId}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const { rows } = await admin.query<{ tenant: string; command: string; amount: string }>(
    'SELECT tenant_id AS tenant, command_id AS command, amount FROM quota_metering.usage_log',
  );
  const lines = new Map<string, number[]>();
  for (const { tenant, command, amount } of rows) {
    const key = `${tenant} ${command}`;
    lines.set(key, [...(lines.get(key) ?? []), Number(amount)]);
  }
  const used = new Map<string, number>();
  for (const { key, route, tenantId, events, amount, acknowledged } of sent) {
    if (tenantId === null) continue;
    const id = `${tenantId} ${derivedId(principal as string, route, key)}`;
    const what = `${route} ${key} of ${tenantId}`;
    if (events === 0) {
      const found = lines.get(id) ?? [];
      if (acknowledged) expect(found, what).toEqual([amount]);
      else expect([[], [amount]], what).toContainEqual(found);
      used.set(tenantId, (used.get(tenantId) ?? 0) + found.reduce((sum, n) => sum + n, 0));
    } else if (acknowledged) expect(counts.get(id) ?? 0, what).toBeGreaterThan(0);
    if (events === 1 && route !== 'tenants.create') expect(counts.get(id) ?? 0, what).toBeLessThanOrEqual(1);
  }
  const { rows: ledger } = await admin.query<{ tenant: string; used: string }>(
    "SELECT tenant_id AS tenant, used FROM quota_metering.quotas WHERE resource = 'api_calls'",
  );
  for (const { tenant, used: stored } of ledger) {
    if (used.has(tenant)) expect(Number(stored), `used by ${tenant}`).toBe(used.get(tenant));
  }
}
