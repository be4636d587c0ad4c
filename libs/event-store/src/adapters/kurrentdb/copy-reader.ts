import type { Pool } from 'pg';
import type { CopyEnd, KnownCommand } from './tail.js';

/** What the copy knows that an append must know. */
export interface Standing {
  copy: CopyEnd;
  /** Of the stream, -1 for none. */
  streamVersion: number;
  command: KnownCommand | null;
}

interface Row {
  index: number;
  head: string | null;
  head_us: string | null;
  head_leaf: string | null;
  contexts: Record<string, number> | null;
  stream_version: string;
  command_stream: string | null;
  hmac: string | null;
  first: string | null;
  last: string | null;
}

/** `log.standing` (`migrations/0003_copy_of_kurrentdb.sql`). */
export class CopyReader {
  constructor(private readonly pool: Pool) {}

  /** One answer per question, in their order. */
  async standing(questions: readonly { tenantId: string; stream: string; commandId: string }[]): Promise<Standing[]> {
    const asks = questions.map(({ tenantId, stream, commandId }) => ({ tenant: tenantId, stream, command: commandId }));
    const text = 'SELECT * FROM log.standing($1::text::jsonb) ORDER BY index';
    const { rows } = await this.pool.query<Row>({ name: 'log_standing', text, values: [JSON.stringify(asks)] });
    return rows.map((row, index) => ({
      copy: {
        position: row.head === null ? -1 : Number(row.head),
        timeUs: Number(row.head_us ?? 0),
        contexts: new Map(Object.entries(row.contexts ?? {})),
        leaf: row.head_leaf,
      },
      streamVersion: Number(row.stream_version),
      command:
        row.first === null
          ? null
          : {
              id: questions[index]?.commandId as string,
              stream: row.command_stream as string,
              requestHmac: row.hmac,
              firstPosition: Number(row.first),
              lastPosition: Number(row.last),
            },
    }));
  }
}
