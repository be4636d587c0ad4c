import { DomainError, type FieldError } from '@tenantry/contracts/errors';
import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** Longer lists help nobody. */
const MAX_ERRORS = 100;

const pathOf = (path: readonly PropertyKey[], more?: PropertyKey) => [...path, ...(more === undefined ? [] : [more])].map(String).join('.');

/** Rules of zod's issue codes, by the words that the interface uses. */
function ruleOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined && /received undefined/.test(issue.message) ? 'required' : 'type';
    case 'invalid_format':
      return issue.format === 'regex' ? 'format' : issue.format;
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array' ? 'min_length' : 'min';
    case 'too_big':
      return issue.origin === 'string' || issue.origin === 'array' ? 'max_length' : 'max';
    case 'invalid_value':
      return 'enum';
    case 'not_multiple_of':
      return 'multiple_of';
    case 'unrecognized_keys':
      return 'unknown';
    case 'invalid_key':
      return 'name';
    case 'custom':
      return typeof issue.params?.['rule'] === 'string' ? issue.params['rule'] : 'rule';
    default:
      return 'invalid';
  }
}

/** zod's sentences say what it saw; callers need what to do. */
function messageOf(issue: Issue, rule: string): string {
  switch (rule) {
    case 'required':
      return 'is required';
    case 'type':
      return `must be ${issue.code === 'invalid_type' ? article(issue.expected) : 'of another type'}`;
    case 'enum':
      return issue.code === 'invalid_value' ? oneOf(issue.values) : issue.message;
    case 'min_length':
    case 'min':
      return issue.code === 'too_small' ? `must ${size('at least', issue.minimum, issue.origin)}` : issue.message;
    case 'max_length':
    case 'max':
      return issue.code === 'too_big' ? `must ${size('at most', issue.maximum, issue.origin)}` : issue.message;
    case 'unknown':
      return 'is not a known field';
    case 'email':
      return 'must be an e-mail address';
    case 'uuid':
      return 'must be a UUID';
    case 'datetime':
      return 'must be an RFC 3339 instant such as 2026-01-31T12:00:00Z';
    default:
      return issue.message;
  }
}
const oneOf = (values: readonly z.core.util.Primitive[]) => `must be ${values.map((value) => JSON.stringify(value)).join(' or ')}`;
const article = (type: string) => (type === 'int' ? 'a whole number' : /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`);
function size(bound: string, limit: number | bigint, origin: string): string {
  if (origin === 'string') return `have ${bound} ${limit} character${limit === 1 ? '' : 's'}`;
  if (origin === 'array' || origin === 'set') return `have ${bound} ${limit} entr${limit === 1 ? 'y' : 'ies'}`;
  return `be ${bound} ${limit}`;
}

function errorsOf(issue: Issue, prefix: readonly PropertyKey[]): FieldError[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: pathOf(path, key), rule: 'unknown', message: 'is not a known field' }));
  }
  if (issue.code === 'invalid_key') {
    const [first] = issue.issues;
    return [{ field: pathOf(path), rule: 'name', message: first?.message ?? issue.message }];
  }
  if (issue.code === 'invalid_union') return unionErrors(issue.errors, path, issue.message);
  const rule = ruleOf(issue);
  return [{ field: pathOf(path), rule, message: messageOf(issue, rule) }];
}

/**
 * Of a union's alternatives, the faults of the one that was meant: one that the value has the type of, and is no single word of.
 * Where that is none, or more than one, the field as a whole is at fault.
 */
function unionErrors(alternatives: Issue[][], path: PropertyKey[], message: string): FieldError[] {
  const roots = alternatives.map((issues) =>
    issues.find(({ path, code }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_value')),
  );
  const meant = alternatives.filter((_, index) => roots[index] === undefined);
  const [only] = meant;
  if (meant.length === 1 && only) return only.flatMap((issue) => errorsOf(issue, path));
  const field = pathOf(path);
  if (meant.length > 0) {
    const forms = meant.map((issues) =>
      issues
        .flatMap((issue) => errorsOf(issue, []))
        .map(said)
        .join(' and '),
    );
    return [{ field, rule: 'format', message: `has none of the possible forms: ${forms.join('; or: ')}` }];
  }
  if (roots.some((issue) => issue && ruleOf(issue) === 'required')) return [{ field, rule: 'required', message: 'is required' }];
  const values = roots.flatMap((issue) => (issue?.code === 'invalid_value' ? issue.values.map((value) => JSON.stringify(value)) : []));
  const types = roots.flatMap((issue) => (issue?.code === 'invalid_type' ? [article(issue.expected)] : []));
  const choices = [...new Set([...values, ...types])];
  return [{ field, rule: types.length > 0 ? 'type' : 'enum', message: choices.length > 0 ? `must be ${choices.join(' or ')}` : message }];
}
const said = ({ field, message }: FieldError) => (field ? `${field} ${message}` : message);

/** Every fault at once: where, which rule, what to do. `prefix` goes before each path. */
export const fieldErrors = (error: z.core.$ZodError, prefix: readonly PropertyKey[] = []): FieldError[] =>
  error.issues.flatMap((issue) => errorsOf(issue, prefix)).slice(0, MAX_ERRORS);

/** The value as the schema has it. @throws DomainError `request.invalid` with every fault */
export function parsed<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(fieldErrors(result.error));
}

export const invalid = (errors: FieldError[]): DomainError => new DomainError('request.invalid', { detail: summary(errors), errors });

/** `name is required; plan.id must be …`: readable without looking at `errors`. */
export function summary(errors: FieldError[]): string {
  const shown = errors.slice(0, 3).map((error) => (error.field ? said(error) : `The body ${error.message}`));
  return errors.length > shown.length ? `${shown.join('; ')}; and ${errors.length - shown.length} more` : shown.join('; ');
}
