import type { FieldError } from '@tenantry/contracts/errors';

const MAX_DEPTH = 32;
const MAX_ERRORS = 20;
/** Names that reach into an object's prototype in careless code, ours or that of whoever reads our data. */
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

const broken = (text: string): boolean => text.includes('\0') || !text.isWellFormed();

/** What no part of a request may hold, whatever its schema: NUL and broken characters (they can't be stored), names of prototypes, endless nesting. */
export function hostileParts(value: unknown): FieldError[] {
  const errors: FieldError[] = [];
  visit(value, [], errors);
  return errors;
}

function visit(value: unknown, path: string[], errors: FieldError[]): void {
  if (errors.length >= MAX_ERRORS) return;
  if (typeof value === 'string') {
    if (broken(value)) refuse(errors, path, 'clean_text', 'must not contain NUL or broken characters');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (path.length >= MAX_DEPTH) {
    refuse(errors, path, 'depth', `must not be nested deeper than ${MAX_DEPTH} levels`);
    return;
  }
  for (const name of Object.keys(value)) {
    path.push(name);
    if (broken(name)) refuse(errors, path, 'clean_text', 'is a name with NUL or broken characters');
    else if (FORBIDDEN_NAMES.has(name)) refuse(errors, path, 'name', 'is a name that is not allowed');
    else visit((value as Record<string, unknown>)[name], path, errors);
    path.pop();
  }
}

// The answer that names the field must not hold what was wrong with it.
const clean = (text: string) => text.replaceAll('\0', '\uFFFD').toWellFormed().slice(0, 100);
function refuse(errors: FieldError[], path: string[], rule: string, message: string): void {
  errors.push({ field: path.map(clean).join('.'), rule, message });
}
