import type { QueryConfig } from 'pg';
import type { OutboxRow } from './consumer.js';

/** Into `<schema>.effects`, in the transaction of the checkpoint. An effect that was asked for before stays as it is. */
export const outboxStatement = (schema: string, effects: OutboxRow[]): QueryConfig => ({
  name: `outbox ${schema}`,
  text: `INSERT INTO ${schema}.effects (id, tenant_id, name, payload, causation_id)
         SELECT id, tenant_id, name, payload, causation_id
         FROM json_to_recordset($1::json) AS r(id uuid, tenant_id uuid, name text, payload jsonb, causation_id uuid)
         ON CONFLICT (id) DO NOTHING`,
  values: [JSON.stringify(effects)],
});
