/** A name as SQL, always quoted. @throws Error where PostgreSQL could not hold it unchanged */
export function identifier(name: string): string {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > 63)
    throw new Error('Not a name that PostgreSQL keeps: empty, over 63 bytes, or with NUL');
  return `"${name.replaceAll('"', '""')}"`;
}

/** Text as an SQL literal, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  if (text.includes('\0')) throw new Error('PostgreSQL text cannot hold NUL');
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A UUID in lower case as an SQL literal. @throws Error for anything else */
export function uuidLiteral(id: string): string {
  if (!uuid.test(id)) throw new Error('Not a UUID in lower case');
  return `'${id}'`;
}
export const isUuid = (id: string): boolean => uuid.test(id);

/** A whole number as SQL. */
export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error('Not a whole number');
  return String(value);
}

/** Puts names into a script at `:"token"`, quoted. @throws Error at a token that has no name */
export function withNames(script: string, names: Readonly<Record<string, string>>): string {
  return script.replaceAll(/:"(\w+)"/g, (_, token: string) => {
    const name = names[token];
    if (name === undefined) throw new Error(`The script has the token :"${token}", which stands for nothing here`);
    return identifier(name);
  });
}

/** SQLSTATE of an error that PostgreSQL (or its driver) raised. */
export const sqlState = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
};

/** duplicate_object (role), duplicate_schema, duplicate_table, and two at the same time: unique_violation in a catalogue. */
const alreadyThere: ReadonlySet<string> = new Set(['42710', '42P06', '42P07', '23505']);
export const objectExists = (error: unknown): boolean => alreadyThere.has(sqlState(error) ?? '');
