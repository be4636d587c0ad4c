import type { Pool } from 'pg';
import { type KnownCommand, type LogEnd, noStream, type StreamEnd } from './tail.js';

/** What the copy knows that an append must know. */
export interface Standing {
  copy: LogEnd;
  stream: StreamEnd;
  command: KnownCommand | null;
}

interface Row {
  index: number;
  head: string | null;
  head_us: string | null;
  contexts: Record<string, number> | null;
  stream_version: string | null;
  stream_event: string | null;
  command_stream: string | null;
  hmac: string | null;
  first: string | null;
  last: string | null;
}

/** `log.standing` (`migrations/0005_standing_in_sets.sql`). */
export class CopyReader {
  constructor(private readonly pool: Pool) {}

  /** One answer per question, in their order. */
  async standing(questions: readonly { tenantId: string; stream: string; commandId: string }[]): Promise<Standing[]> {
    const text = 'SELECT * FROM log.standing($1, $2, $3)';
    const values = [
      questions.map(({ tenantId }) => tenantId),
      questions.map(({ stream }) => stream),
      questions.map(({ commandId }) => commandId),
    ];
    const { rows } = await this.pool.query<Row>({ name: 'log_standing', text, values });
    return rows.map((row, index) => ({
      copy: {
        position: row.head === null ? -1 : Number(row.head),
        timeUs: Number(row.head_us ?? 0),
        contexts: new Map(Object.entries(row.contexts ?? {})),
      },
      stream: row.stream_version === null ? noStream : { version: Number(row.stream_version), eventId: row.stream_event as string },
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
