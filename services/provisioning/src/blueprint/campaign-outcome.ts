import { DomainError } from '@tenantry/contracts/errors';
import { ComeBack } from '@tenantry/messaging/effects';
import type { AppWork } from '@tenantry/tenancy/blueprint-script';
import { sqlState } from '@tenantry/tenancy/sql';
import type { ItemOutcome } from '../job/job-handler.js';
import type { Failure } from '../operation/operation.js';

const LOCK_ATTEMPTS = 6;
const gateClosedMs = 1_000;

export const quarantined = (why: Failure): ItemOutcome => ({ status: 'quarantined', why });

/**
 * What becomes of a target whose SQL failed. Of the error only the SQLSTATE and names are told: its message and detail may hold what is in rows.
 * @param of whose statement each was, where the operator's SQL ran
 * @throws what another attempt may cure
 */
export function outcomeOf(error: unknown, attempt: number, of: AppWork['of'] = []): ItemOutcome {
  const thrown = sqlState(error) ?? '';
  if (thrown === 'TG001') throw new ComeBack(gateClosedMs);
  // The platform's own words about what the SQL would have left behind.
  if (thrown === 'TG007')
    return quarantined({ code: 'blueprint.target_open', detail: `${(error as Error).message}. Nothing was changed.` });
  const { state, statement } = failedIn(error, thrown, of);
  if (['55P03', '40P01', '57014'].includes(state)) {
    if (attempt < LOCK_ATTEMPTS) throw withoutData(error, state, statement);
    throw new DomainError('blueprint.target_locked', {
      detail: `Another transaction held a lock on its tables for longer than lockTimeoutMs, ${LOCK_ATTEMPTS} times; retry the operation when it is over.`,
    });
  }
  // Connections, resources, the gate's other refusals, internal errors: nothing that the tables are to blame for.
  if (!/^(0A|2[0-9A-Z]|3[0-9A-Z]|42|44|P0)/.test(state)) throw withoutData(error, state, statement);
  return quarantined({ code: 'blueprint.sql_failed', detail: sentence(error, state, statement) });
}

/** `tenancy.run_app` says which of the texts it was given had failed, with which SQLSTATE. */
function failedIn(error: unknown, thrown: string, of: AppWork['of']): { state: string; statement: string } {
  const [, state, at] = thrown === 'TG006' ? (/^([0-9A-Z]{5}) in statement (\d+)$/.exec((error as Error).message) ?? []) : [];
  if (state === undefined) return { state: thrown, statement: '' };
  const own = of[Number(at) - 1];
  if (!own) return { state, statement: 'After its last statement' };
  const version = `version ${own.version} of ${own.blueprint}`;
  return {
    state,
    statement: own.statement === null ? `Row-level security and rights of ${version}` : `Statement ${own.statement} of ${version}`,
  };
}

const conditions: Readonly<Record<string, string>> = {
  '0A000': 'PostgreSQL doesn’t support that on these tables',
  '22001': 'a value in the rows is too long',
  '22003': 'a value in the rows is out of range',
  '22P02': 'a value in the rows can’t be read as the new type',
  '23502': 'a row has no value where one is needed',
  '23503': 'a row points to another that there isn’t',
  '23505': 'rows share what must be unique',
  '23514': 'a row breaks a check',
  '23P01': 'rows break an exclusion',
  '2BP01': 'other objects depend on it',
  '42501': 'it isn’t the blueprint’s to change',
  '42601': 'PostgreSQL can’t read it there',
  '42701': 'there is such a column already',
  '42703': 'there is no such column',
  '42704': 'there is no such object',
  '42710': 'there is such an object already',
  '42804': 'the types don’t fit',
  '42883': 'there is no such function',
  '42P01': 'there is no such table',
  '42P07': 'there is such a table already',
  P0001: 'the SQL raised an error itself',
};

/** Names are those that the schema or the SQL has: `run_app` leaves out what else stands in their fields. */
function sentence(error: unknown, state: string, statement: string): string {
  const { table, constraint, column } = error as { table?: string; constraint?: string; column?: string };
  const names = Object.entries({ table, constraint, column }).flatMap(([what, name]) => (name ? [`${what} ${name}`] : []));
  const what =
    conditions[state] ?? (/^(2|44)/.test(state) ? 'the rows that are there don’t allow it' : 'the tables that are there don’t allow it');
  return `${statement === '' ? 'It' : statement} failed: ${what} (SQLSTATE ${state}${names.length > 0 ? `; ${names.join(', ')}` : ''}).`;
}

/** What goes to the log and to the item: the error's own text stays here. */
function withoutData(error: unknown, state: string, statement: string): unknown {
  // What the driver or the network says has no rows in it.
  if ((error as { severity?: unknown }).severity === undefined) return error;
  return Object.assign(new Error(`${statement === '' ? 'The change' : statement} failed with SQLSTATE ${state}`), { code: state });
}
