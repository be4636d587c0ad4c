import { literal } from '@tenantry/tenancy/sql';

/** One statement, in a transaction of its own that is taken back. */
export interface RowAttempt {
  sql: string;
  /** `app.tenant_id` while it runs; empty for none. */
  context: string;
}
/** Rows that it saw or changed, or the SQLSTATE with which it was refused. */
export type RowOutcome = { rows: number } | { refused: string };

const DONE = 'TP000';

/**
 * All attempts in one message: each runs as whoever runs this, in a subtransaction that is always taken back. The outcomes are in
 * `app.isolation_outcomes` afterwards.
 */
export const attemptScript = (attempts: readonly RowAttempt[], own: string): string =>
  `DO ${literal(`
DECLARE
  attempt jsonb;
  seen bigint;
  outcome text;
  outcomes jsonb := '[]';
BEGIN
  FOR attempt IN SELECT value FROM jsonb_array_elements(${literal(JSON.stringify(attempts))}::jsonb) LOOP
    BEGIN
      PERFORM set_config('app.tenant_id', attempt->>'context', true);
      EXECUTE attempt->>'sql';
      GET DIAGNOSTICS seen = ROW_COUNT;
      RAISE EXCEPTION USING ERRCODE = '${DONE}', MESSAGE = seen::text;
    EXCEPTION WHEN OTHERS THEN
      outcome := CASE SQLSTATE WHEN '${DONE}' THEN 'rows ' || SQLERRM ELSE SQLSTATE END;
    END;
    outcomes := outcomes || to_jsonb(outcome);
  END LOOP;
  PERFORM set_config('app.tenant_id', ${literal(own)}, true);
  PERFORM set_config('app.isolation_outcomes', outcomes::text, true);
END`)}`;

/** @param text as the script left it */
export const outcomesOf = (text: string): RowOutcome[] =>
  (JSON.parse(text) as string[]).map((outcome) =>
    outcome.startsWith('rows ') ? { rows: Number(outcome.slice(5)) } : { refused: outcome },
  );
