import { literal } from '@tenantry/tenancy/sql';

/** One statement, in a transaction of its own that is taken back. */
export interface RowAttempt {
  sql: string;
  /** `app.tenant_id` while it runs; empty for none. */
  context: string;
}
/** Rows that it saw or changed, or the SQLSTATE with which it was refused; `byOwnCode`: by a trigger, a default or a domain of the table's. */
export type RowOutcome = { rows: number } | { refused: string; byOwnCode?: true };

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
  within text;
  of_type text;
  of_table text;
BEGIN
  FOR attempt IN SELECT value FROM jsonb_array_elements(${literal(JSON.stringify(attempts))}::jsonb) LOOP
    BEGIN
      PERFORM set_config('app.tenant_id', attempt->>'context', true);
      EXECUTE attempt->>'sql';
      GET DIAGNOSTICS seen = ROW_COUNT;
      RAISE EXCEPTION USING ERRCODE = '${DONE}', MESSAGE = seen::text;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS within = PG_EXCEPTION_CONTEXT, of_type = PG_DATATYPE_NAME, of_table = TABLE_NAME;
      outcome := CASE
        WHEN SQLSTATE = '${DONE}' THEN 'rows ' || SQLERRM
        WHEN within ~ '(PL/pgSQL|SQL) function (?!inline_code_block)' OR of_type <> '' AND of_table = '' THEN 'own ' || SQLSTATE
        ELSE SQLSTATE END;
    END;
    outcomes := outcomes || to_jsonb(outcome);
  END LOOP;
  PERFORM set_config('app.tenant_id', ${literal(own)}, true);
  PERFORM set_config('app.isolation_outcomes', outcomes::text, true);
END`)}`;

/** @param text as the script left it */
export const outcomesOf = (text: string): RowOutcome[] =>
  (JSON.parse(text) as string[]).map((outcome) => {
    if (outcome.startsWith('rows ')) return { rows: Number(outcome.slice(5)) };
    return outcome.startsWith('own ') ? { refused: outcome.slice(4), byOwnCode: true } : { refused: outcome };
  });
