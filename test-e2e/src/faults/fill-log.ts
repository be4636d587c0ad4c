import { randomUUID } from 'node:crypto';
import type { EventMetadata } from '@tenantry/contracts/events';
import { bodyHash } from '@tenantry/event-store/hash';
import type pg from 'pg';

/** Appends events that nobody handles, by the log's own function: volume without the work of commands. */
export async function fillLog(
  admin: pg.Pool,
  tenantIds: string[],
  { appends, events, bytes }: { appends: number; events: number; bytes: number },
): Promise<void> {
  for (let nth = 0; nth < appends; nth++) {
    for (const tenantId of tenantIds) {
      const commandId = randomUUID();
      const metadata: EventMetadata = { commandId, actor: { kind: 'system', id: 'fill' } };
      const stream = 'fill';
      const data = { text: 'x'.repeat(bytes) };
      const made = Array.from({ length: events }, () => {
        const body = { id: randomUUID(), context: 'insight' as const, type: 'FillHappened', version: 1, data, metadata };
        return { ...body, hash: bodyHash({ tenantId, stream, ...body }) };
      });
      const command = { tenant: tenantId, id: commandId, hmac: null, stream, expected: nth * events - 1, events: made };
      const { rows } = await admin.query<{ outcome: string }>('SELECT outcome FROM log.append($1::jsonb)', [JSON.stringify([command])]);
      if (rows[0]?.outcome !== 'appended') throw new Error(`an append was answered ${rows[0]?.outcome}`);
    }
  }
}
