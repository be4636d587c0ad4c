import type { Context, EventMetadata, StoredEvent } from '@tenantry/contracts/events';
import { instantOf } from '../../hash.js';

/** The columns of `log.read_stream` and `log.read_logs` that `eventOf` takes: the tenant is known to who asks. */
export const readColumns =
  'position, stream, stream_version, id, context, type, version, data, metadata, body_hash, leaf, recorded_us, previous_in_context';

/** The same of the table `log.events` under the alias `from`. */
export const eventColumns = (from: string): string =>
  `${from}.position, ${from}.stream, ${from}.stream_version, ${from}.id, ${from}.context, ${from}.type, ${from}.version, ` +
  `${from}.data, ${from}.metadata, encode(${from}.body_hash, 'hex') AS body_hash, encode(${from}.leaf, 'hex') AS leaf, ` +
  `(extract(epoch FROM ${from}.recorded_at) * 1000000)::bigint AS recorded_us, ${from}.previous_in_context`;

/** node-postgres gives bigint as text. */
export interface EventRow {
  position: string;
  stream: string;
  stream_version: string;
  id: string;
  context: Context;
  type: string;
  version: number;
  data: unknown;
  metadata: EventMetadata;
  body_hash: string;
  leaf: string;
  recorded_us: string;
  previous_in_context: string | null;
}

export const eventOf = (row: EventRow, tenantId: string): StoredEvent => ({
  tenantId,
  position: Number(row.position),
  stream: row.stream,
  streamVersion: Number(row.stream_version),
  id: row.id,
  context: row.context,
  type: row.type,
  version: row.version,
  data: row.data,
  metadata: row.metadata,
  recordedAt: instantOf(Number(row.recorded_us)),
  bodyHash: row.body_hash,
  leaf: row.leaf,
  previousInContext: row.previous_in_context === null ? null : Number(row.previous_in_context),
});
