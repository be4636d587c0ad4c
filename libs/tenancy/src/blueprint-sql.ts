import { loadModule, parsePlPgSQLSync, parseSync, scanSync } from 'libpg-query';

/** One statement of a version. */
export interface Statement {
  sql: string;
  /** From 1. */
  line: number;
  kind: string;
  /** Names of relations that it mentions. */
  relations: string[];
}
export interface Refusal {
  /** From 1. */
  statement: number;
  line: number;
  /** Its beginning. */
  sql: string;
  rule: string;
  reason: string;
}
export interface Examined {
  statements: Statement[];
  refusals: Refusal[];
  /** Nothing but tables, their columns, keys and indexes: their state can be folded into one script. */
  isFoldable: boolean;
  /** It changes rows, or looks at those of all tenants. */
  hasData: boolean;
}

type Node = Record<string, unknown>;
type Refuse = (rule: string, reason: string) => void;

const dml = ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];
const foldable = ['CreateStmt', 'AlterTableStmt', 'IndexStmt', 'RenameStmt'];
const allowed = new Set([
  ...dml,
  ...foldable,
  ...['DropStmt', 'TruncateStmt', 'CreateTableAsStmt', 'ViewStmt', 'CreateSeqStmt', 'AlterSeqStmt', 'CreateEnumStmt', 'AlterEnumStmt'],
  ...['CompositeTypeStmt', 'CreateDomainStmt', 'AlterDomainStmt', 'CreateRangeStmt', 'CreateFunctionStmt', 'CreateTrigStmt'],
  ...['CommentStmt', 'CreateStatsStmt', 'DoStmt', 'LockStmt'],
]);
const dropped = new Set(
  ['TABLE', 'INDEX', 'VIEW', 'MATVIEW', 'SEQUENCE', 'TYPE', 'DOMAIN', 'FUNCTION', 'PROCEDURE', 'ROUTINE', 'TRIGGER', 'STATISTIC_EXT'].map(
    (kind) => `OBJECT_${kind}`,
  ),
);
const renamed = new Set([...dropped, ...['COLUMN', 'ATTRIBUTE', 'TABCONSTRAINT', 'DOMCONSTRAINT'].map((kind) => `OBJECT_${kind}`)]);
const alterations = new Set(
  [
    ...['AddColumn', 'ColumnDefault', 'DropNotNull', 'SetNotNull', 'SetExpression', 'DropExpression', 'SetStatistics', 'SetStorage'],
    ...['SetCompression', 'DropColumn', 'AddConstraint', 'AlterConstraint', 'ValidateConstraint', 'DropConstraint', 'AlterColumnType'],
    ...['SetRelOptions', 'ResetRelOptions', 'AddIdentity', 'SetIdentity', 'DropIdentity', 'AttachPartition', 'DetachPartition'],
    ...['EnableTrig', 'DisableTrig', 'ReplicaIdentity'],
  ].map((kind) => `AT_${kind}`),
);

/** Why a kind of statement is refused, where there is more to say than that it isn't among the allowed ones. */
const reasons: Readonly<Record<string, [rule: string, reason: string]>> = {
  TransactionStmt: ['transaction', 'transaction control is the platform’s: a version runs in one transaction per tenant'],
  VariableSetStmt: ['set', 'SET and RESET are refused: role, path and time-outs are the platform’s'],
  AlterSystemStmt: ['set', 'settings of the server are not a blueprint’s'],
  AlterDatabaseSetStmt: ['set', 'settings of the database are not a blueprint’s'],
  ...Object.fromEntries(
    ['CreateRoleStmt', 'AlterRoleStmt', 'AlterRoleSetStmt', 'DropRoleStmt', 'GrantRoleStmt'].map((kind) => [
      kind,
      ['roles', 'roles are the platform’s'],
    ]),
  ),
  ...Object.fromEntries(
    ['GrantStmt', 'AlterDefaultPrivilegesStmt', 'AlterOwnerStmt', 'ReassignOwnedStmt', 'DropOwnedStmt'].map((kind) => [
      kind,
      ['grants', 'rights and owners are the platform’s; tenants get SELECT, INSERT, UPDATE and DELETE by themselves'],
    ]),
  ),
  ...Object.fromEntries(
    ['CreatePolicyStmt', 'AlterPolicyStmt'].map((kind) => [kind, ['policies', 'row-level security is added by the platform']]),
  ),
  ...Object.fromEntries(
    ['CreateExtensionStmt', 'AlterExtensionStmt', 'AlterExtensionContentsStmt', 'LoadStmt', 'CreatePLangStmt'].map((kind) => [
      kind,
      ['extensions', 'extensions and libraries are installed by the platform’s administrator'],
    ]),
  ),
  ...Object.fromEntries(
    ['CreateSchemaStmt', 'AlterObjectSchemaStmt'].map((kind) => [kind, ['schemas', 'schemas are the platform’s; names are unqualified']]),
  ),
  CopyStmt: ['files', 'COPY reads and writes files and programs'],
  PrepareStmt: ['dynamic_sql', 'SQL that is put together at run time cannot be examined'],
  ExecuteStmt: ['dynamic_sql', 'SQL that is put together at run time cannot be examined'],
};

/** Functions that change role, path or settings, run text as SQL, reach files, other databases, large objects or other sessions. */
const refusedFunctions =
  /^(set_config|pg_(read|write|ls|stat_file|file|execute|terminate|cancel|reload|rotate|switch|create|drop|promote|backup|advisory|try_advisory|logical|replication|sleep|notify|wal|import|export|copy|restore|clear).*|lo_.*|lo(creat|read|write)|dblink.*|(query|cursor|table|schema|database)_to_xml.*|ts_stat|ts_rewrite)$/;
/** Functions whose text argument names a relation. */
const byName = /^(nextval|setval|currval|to_reg.*|pg_.*)$/;

/**
 * Reads the SQL with PostgreSQL's own parser and says what of it a blueprint may not do. Missing rights hold what it would overlook, but not a change of role:
 * blueprints run as a role that owns the tenants' product tables and nothing else.
 */
export async function examine(sql: string): Promise<Examined> {
  await loadModule();
  const result: Examined = { statements: [], refusals: [], isFoldable: true, hasData: false };
  const bytes = Buffer.from(sql);
  const lineOf = lineCounter(bytes);
  let parsed: Parsed;
  try {
    parsed = parseSync(sql) as unknown as Parsed;
  } catch (error) {
    const at = (error as { sqlDetails?: { cursorPosition: number } }).sqlDetails?.cursorPosition ?? 0;
    const line = sql.slice(0, at).split('\n').length;
    const text = sql.split('\n')[line - 1] ?? '';
    return {
      ...result,
      refusals: [{ statement: 1, line, sql: text.trim().slice(0, 200), rule: 'syntax', reason: (error as Error).message }],
    };
  }
  for (const [index, { stmt, stmt_location: from = 0, stmt_len: length }] of (parsed.stmts ?? []).entries()) {
    const raw = textAt(bytes, from, length);
    const comments = leadingComments(raw);
    const text = Buffer.from(raw).subarray(comments).toString().trim();
    const line = lineOf(from + comments);
    const [kind, node] = Object.entries(stmt)[0] as [string, Node];
    const relations = new Set<string>();
    const known = new Set<string>();
    const refuse: Refuse = (rule, reason) => {
      if (known.has(`${rule} ${reason}`)) return;
      known.add(`${rule} ${reason}`);
      result.refusals.push({ statement: index + 1, line, sql: text.slice(0, 200), rule, reason });
    };
    examineStatement(kind, node, text, refuse, relations, 0);
    result.statements.push({ sql: text, line, kind, relations: [...relations] });
    if (!foldable.includes(kind) && !(kind === 'DropStmt' && ['OBJECT_TABLE', 'OBJECT_INDEX'].includes(node['removeType'] as string)))
      result.isFoldable = false;
    if (![...foldable, 'DropStmt', 'CommentStmt', 'CreateFunctionStmt', 'CreateTrigStmt'].includes(kind) || readsRows(kind, node))
      result.hasData = true;
  }
  if (result.statements.length === 0)
    result.refusals.push({ statement: 1, line: 1, sql: '', rule: 'empty', reason: 'there is no statement in it' });
  return result;
}

/** A foreign key that is added is looked up for the rows that are there, by a query that row-level security holds for. */
function readsRows(kind: string, node: Node): boolean {
  if (kind !== 'AlterTableStmt') return false;
  return ((node['cmds'] as { AlterTableCmd: Node }[] | undefined) ?? []).some(({ AlterTableCmd: command }) => {
    if (command['subtype'] === 'AT_ValidateConstraint') return true;
    return (
      /^AT_Add(Constraint|Column)$/.test(String(command['subtype'])) && JSON.stringify(command['def'] ?? {}).includes('"CONSTR_FOREIGN"')
    );
  });
}

interface Parsed {
  stmts?: { stmt: Node; stmt_location?: number; stmt_len?: number }[];
}

/** The statements of a version that was accepted, as they were written. */
export async function statementsOf(sql: string): Promise<string[]> {
  await loadModule();
  const bytes = Buffer.from(sql);
  const { stmts = [] } = parseSync(sql) as unknown as Parsed;
  return stmts.map(({ stmt_location: from = 0, stmt_len: length }) => textAt(bytes, from, length));
}

const textAt = (bytes: Buffer, from: number, length: number | undefined): string =>
  bytes.subarray(from, length === undefined ? undefined : from + length).toString();

/** The line (from 1) of a byte; to be asked for bytes in their order, so that the text is gone through once. */
function lineCounter(bytes: Buffer): (at: number) => number {
  let line = 1;
  let next = bytes.indexOf(10);
  return (at) => {
    for (; next >= 0 && next < at; next = bytes.indexOf(10, next + 1)) line += 1;
    return line;
  };
}

/** A statement's text begins where the one before ended: with comments and blank lines of its own, so many bytes. */
const leadingComments = (text: string): number => scanSync(text).tokens.find(({ tokenName }) => !/COMMENT/.test(tokenName))?.start ?? 0;

function examineStatement(kind: string, node: Node, text: string, refuse: Refuse, relations: Set<string>, depth: number): void {
  if (!allowed.has(kind)) {
    const [rule, reason] = reasons[kind] ?? ['not_allowed', `${kind.replace(/Stmt$/, '')} is not among what a blueprint may do`];
    refuse(rule, reason);
    return;
  }
  if (depth > 3) {
    refuse('nesting', 'functions are nested too deeply to be examined');
    return;
  }
  if (kind === 'DropStmt' && !dropped.has(node['removeType'] as string))
    refuse('not_allowed', `DROP of ${words(node['removeType'])} is not among what a blueprint may do`);
  if (kind === 'AlterTableStmt') {
    for (const command of (node['cmds'] as { AlterTableCmd: Node }[] | undefined) ?? []) {
      const subtype = command.AlterTableCmd['subtype'] as string;
      if (alterations.has(subtype)) continue;
      if (/RowSecurity|RowSecur/.test(subtype)) refuse('policies', 'row-level security is added by the platform');
      else if (/Owner/.test(subtype)) refuse('grants', 'owners are the platform’s');
      else refuse('not_allowed', `ALTER TABLE … ${subtype.slice(3)} is not among what a blueprint may do`);
    }
  }
  if (kind === 'DropStmt')
    for (const object of (node['objects'] as Node[] | undefined) ?? []) examineDropped(node, object, refuse, relations);
  if (kind === 'RenameStmt' && !renamed.has(node['renameType'] as string))
    refuse('not_allowed', `renaming a ${words(node['renameType'])} is not among what a blueprint may do`);
  if (kind === 'RenameStmt' || kind === 'CommentStmt') {
    const names = strings(((node['object'] as Node | undefined)?.['List'] as Node | undefined)?.['items']);
    // A column, a constraint or a trigger is named after its table.
    if (names.length > (/COLUMN|CONSTRAINT|TRIGGER/.test(String(node['objtype'])) ? 2 : 1)) refuse(...qualified(names));
  }
  if (node['concurrent'] === true)
    refuse('concurrently', 'CONCURRENTLY cannot be part of a transaction; leave it out: the lock is held for one tenant at a time');
  if (kind === 'CreateFunctionStmt') examineFunction(node, text, refuse, depth);
  if (kind === 'DoStmt') examineDo(node, text, refuse, depth);
  walk(node, refuse, relations);
}

const words = (kind: unknown) => String(kind).replace('OBJECT_', '').replaceAll('_', ' ').toLowerCase();
const strings = (list: unknown): string[] =>
  Array.isArray(list) ? list.flatMap((item: Node) => ((item['String'] as { sval?: string } | undefined)?.sval ?? []) as string | []) : [];
const elsewhere = (names: readonly string[]) => names.length > 1 && names[0] !== 'pg_catalog';
const qualified = (names: readonly string[]) =>
  [`schemas`, `${names.join('.')} is in a schema: names in a blueprint are unqualified`] as const;

function examineDropped(statement: Node, object: Node, refuse: Refuse, relations: Set<string>): void {
  const names = strings((object['List'] as Node | undefined)?.['items']);
  if (names.length === 0) return; // types and functions carry their names where the walk sees them
  // A trigger is named after its table.
  const own = statement['removeType'] === 'OBJECT_TRIGGER' ? names.slice(0, -1) : names;
  if (own.length > 1) refuse(...qualified(own));
  relations.add(own.at(-1)!);
}

const optionsOf = (node: Node, list: string) =>
  new Map(
    ((node[list] as { DefElem: Node }[] | undefined) ?? []).map(({ DefElem: option }) => [
      option['defname'] as string,
      option['arg'] as Node,
    ]),
  );

function examineFunction(node: Node, text: string, refuse: Refuse, depth: number): void {
  const options = optionsOf(node, 'options');
  const language = (options.get('language')?.['String'] as { sval?: string } | undefined)?.sval ?? 'sql';
  if ((options.get('security')?.['Boolean'] as { boolval?: boolean } | undefined)?.boolval)
    refuse('security_definer', 'SECURITY DEFINER is refused: functions run with the rights of the tenant that calls them');
  if (options.has('set')) refuse('set', 'SET on a function is refused: role, path and time-outs are the platform’s');
  const body = strings((options.get('as')?.['List'] as Node | undefined)?.['items']);
  if (language === 'plpgsql') examinePlPgSQL(text, body[0] ?? '', refuse, depth);
  else if (language !== 'sql') refuse('languages', `functions in the language ${language} are refused: sql and plpgsql can be examined`);
  else if (body[0] !== undefined) examineText(body[0], 'default', refuse, depth + 1);
}

function examineDo(node: Node, text: string, refuse: Refuse, depth: number): void {
  const given = optionsOf(node, 'args');
  const option = (name: string) => (given.get(name)?.['String'] as { sval?: string } | undefined)?.sval;
  const language = option('language') ?? 'plpgsql';
  if (language === 'plpgsql') examinePlPgSQL(text, option('as') ?? '', refuse, depth);
  else refuse('languages', `DO in the language ${language} is refused: plpgsql can be examined`);
}

/** The body of a function, statement by statement: what it would run is held to the same rules. */
function examinePlPgSQL(text: string, body: string, refuse: Refuse, depth: number): void {
  let parsed: unknown;
  try {
    parsed = parsePlPgSQLSync(text);
  } catch (error) {
    refuse('plpgsql', `the body could not be read: ${(error as Error).message}`);
    return;
  }
  const visit = (value: unknown): void => {
    if (value === null || typeof value !== 'object') return;
    for (const [key, inner] of Object.entries(value)) {
      if (/dynexecute|dynfors|dynquery/.test(key))
        refuse('dynamic_sql', 'EXECUTE runs SQL that is put together at run time and cannot be examined');
      if (/^PLpgSQL_stmt_(commit|rollback)$/.test(key)) refuse('transaction', 'transaction control is the platform’s');
      if (key === 'PLpgSQL_expr') {
        const { query, parseMode } = inner as { query: string; parseMode?: number };
        examineText(query, modes[parseMode ?? 0] ?? 'expression', refuse, depth + 1);
      }
      visit(inner);
    }
  };
  visit(parsed);
  // What the parser gives of a variable of a row type, or of a type that it doesn't know, lacks the value that it begins with.
  for (const value of firstValues(body)) if (isExpression(value)) examineText(value, 'expression', refuse, depth + 1);
}

/** What stands where a declaration has its variable's first value: after the first `:=`, `=` or DEFAULT, up to the semicolon. */
function firstValues(body: string): string[] {
  const bytes = Buffer.from(body);
  const values: string[] = [];
  let nested = 0;
  let from: number | null = null;
  for (const { start, end } of scanSync(body).tokens) {
    const word = bytes.subarray(start, end).toString().toUpperCase();
    if (word === ';' && from !== null) values.push(bytes.subarray(from, start).toString());
    if (word === ';' || word === 'DECLARE') {
      nested = 0;
      from = null;
    } else if (['(', '['].includes(word)) nested += 1;
    else if ([')', ']'].includes(word)) nested -= 1;
    else if (nested === 0 && from === null && [':=', '=', 'DEFAULT'].includes(word)) from = end;
  }
  return values;
}

/** Where it is none, it is part of another statement, which has been examined as a whole. What is only too deep to be read is none of those. */
function isExpression(text: string): boolean {
  try {
    parseSync(`SELECT ${text}`);
    return true;
  } catch (error) {
    return !/^syntax error/.test((error as Error).message);
  }
}

/** RawParseMode of PostgreSQL. */
const modes: Readonly<Record<number, 'default' | 'type' | 'expression' | 'assignment'>> = {
  0: 'default',
  1: 'type',
  2: 'expression',
  3: 'assignment',
  4: 'assignment',
  5: 'assignment',
};

function examineText(text: string, mode: 'default' | 'type' | 'expression' | 'assignment', refuse: Refuse, depth: number): void {
  if (mode === 'type') return;
  const assigned = /^(.*?):?=(.*)$/s.exec(text);
  const sql = mode === 'default' ? text : mode === 'assignment' && assigned ? `SELECT ${assigned[1]}, ${assigned[2]}` : `SELECT ${text}`;
  let parsed: { stmts?: { stmt: Node }[] };
  try {
    parsed = parseSync(sql) as unknown as typeof parsed;
  } catch (error) {
    refuse('body', `a part of the body could not be read (${text.trim().slice(0, 80)}): ${(error as Error).message}`);
    return;
  }
  for (const { stmt } of parsed.stmts ?? []) {
    const [kind, node] = Object.entries(stmt)[0] as [string, Node];
    examineStatement(kind, node, sql, refuse, new Set(), depth);
  }
}

/** Every node below: names with a schema, temporary tables, functions that a blueprint must not call. */
function walk(value: unknown, refuse: Refuse, relations: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, refuse, relations);
    return;
  }
  if (value === null || typeof value !== 'object') return;
  const node = value as Node;
  if (typeof node['relname'] === 'string') {
    relations.add(node['relname']);
    const names = [node['catalogname'], node['schemaname'], node['relname']].filter((name) => typeof name === 'string');
    if (names.length > 1) refuse(...qualified(names));
    if (node['relname'] === 'pg_settings') refuse('set', 'an UPDATE of pg_settings is a SET: read settings with current_setting()');
    if (node['relpersistence'] === 't') refuse('temporary', 'temporary tables are refused: they are in a schema of the session');
  }
  if (typeof node['tablespacename'] === 'string' || typeof node['tableSpace'] === 'string')
    refuse('tablespaces', 'tablespaces are the platform’s');
  for (const list of ['names', 'funcname', 'typeName', 'domainname', 'defnames', 'collname', 'objname', 'name', 'opclass', 'opclassname']) {
    const names = strings(node[list]);
    if (elsewhere(names)) refuse(...qualified(names));
  }
  const column = strings((node['ColumnRef'] as Node | undefined)?.['fields']);
  if (column.length > 2) refuse(...qualified(column));
  if (Array.isArray(node['funcname'])) examineCall(strings(node['funcname']).at(-1) ?? '', node, refuse);
  const cast = node['TypeCast'] as Node | undefined;
  if (cast && /^reg/.test(strings((cast['typeName'] as Node | undefined)?.['names']).at(-1) ?? '') && textOf(cast['arg'])?.includes('.'))
    refuse('schemas', `${textOf(cast['arg'])} is in a schema: names in a blueprint are unqualified`);
  for (const inner of Object.values(node)) walk(inner, refuse, relations);
}

function examineCall(name: string, node: Node, refuse: Refuse): void {
  if (refusedFunctions.test(name)) {
    const rule = name === 'set_config' ? 'set' : 'functions';
    refuse(rule, `${name}() is refused: it reaches beyond the tenant’s tables, or changes what the platform has set`);
  }
  const [first] = (node['args'] as unknown[] | undefined) ?? [];
  const text = textOf(first);
  // What a sequence is set to stays when its transaction is undone: which one it is must be seen beforehand.
  if (/^(nextval|setval)$/.test(name) && text === undefined && callOf(first) !== 'pg_get_serial_sequence')
    refuse(
      'functions',
      `${name}() of a name that is put together at run time is refused: write the sequence’s name, or pg_get_serial_sequence()`,
    );
  if (byName.test(name) && text?.includes('.')) refuse('schemas', `${text} is in a schema: names in a blueprint are unqualified`);
}

/** The function that a value comes from, through casts. */
function callOf(value: unknown): string | undefined {
  const node = value as { FuncCall?: Node; TypeCast?: { arg?: unknown } } | undefined;
  return node?.TypeCast ? callOf(node.TypeCast.arg) : node?.FuncCall && strings(node.FuncCall['funcname']).at(-1);
}

/** A constant's text, through casts. */
function textOf(value: unknown): string | undefined {
  const node = value as { A_Const?: { sval?: { sval?: string } }; TypeCast?: { arg?: unknown } } | undefined;
  return node?.TypeCast ? textOf(node.TypeCast.arg) : node?.A_Const?.sval?.sval;
}
