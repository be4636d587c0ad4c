import type { Encrypted } from '@tenantry/contracts/events';
import { isEncrypted } from '@tenantry/crypto/envelope';
import type { z } from 'zod';

/** Gives a copy of a value with its personal parts encrypted; what is encrypted already stays. */
export type EncryptPersonal = (value: unknown, encrypt: (clear: unknown) => Encrypted) => unknown;

interface Def {
  type: string;
  shape?: Record<string, z.ZodType>;
  innerType?: z.ZodType;
  element?: z.ZodType;
  valueType?: z.ZodType;
  options?: z.ZodType[];
  items?: z.ZodType[];
  rest?: z.ZodType | null;
  left?: z.ZodType;
  right?: z.ZodType;
  in?: z.ZodType;
  out?: z.ZodType;
}

/**
 * Looks once through a schema for what is marked `.meta({personal: true})`: through objects, optional and nullable fields, arrays,
 * tuples, records, unions and intersections. Null when there is nothing. Recursive schemas (`z.json()`) are not entered: they hold no marks.
 */
export function personalFields(schema: z.ZodType): EncryptPersonal | null {
  if (schema.meta()?.['personal'] === true) {
    return (value, encrypt) => (value === undefined || value === null || isEncrypted(value) ? value : encrypt(value));
  }
  const def = schema.def as unknown as Def;
  switch (def.type) {
    case 'object':
      return ofObject(def.shape ?? {});
    case 'array':
      return def.element ? ofArray(def.element) : null;
    case 'record':
      return def.valueType ? ofRecord(def.valueType) : null;
    case 'tuple':
      return ofTuple(def.items ?? [], def.rest ?? null);
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return def.innerType ? personalFields(def.innerType) : null;
    case 'union':
      return inTurn(def.options ?? []);
    case 'intersection':
      return inTurn([def.left, def.right].filter((side) => side !== undefined));
    case 'pipe':
      return inTurn([def.out, def.in].filter((side) => side !== undefined));
    default:
      return null;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function ofObject(shape: Record<string, z.ZodType>): EncryptPersonal | null {
  const fields = Object.entries(shape).flatMap(([name, schema]) => {
    const inner = personalFields(schema);
    return inner ? [[name, inner] as const] : [];
  });
  if (fields.length === 0) return null;
  return (value, encrypt) => {
    if (!isObject(value)) return value;
    const copy = { ...value };
    for (const [name, inner] of fields) if (copy[name] !== undefined) copy[name] = inner(copy[name], encrypt);
    return copy;
  };
}

function ofArray(element: z.ZodType): EncryptPersonal | null {
  const inner = personalFields(element);
  return inner && ((value, encrypt) => (Array.isArray(value) ? value.map((item) => inner(item, encrypt)) : value));
}

function ofRecord(valueType: z.ZodType): EncryptPersonal | null {
  const inner = personalFields(valueType);
  if (!inner) return null;
  return (value, encrypt) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, inner(item, encrypt)])) : value;
}

function ofTuple(items: z.ZodType[], rest: z.ZodType | null): EncryptPersonal | null {
  const inner = items.map(personalFields);
  const innerRest = rest && personalFields(rest);
  if (!innerRest && inner.every((item) => item === null)) return null;
  return (value, encrypt) =>
    Array.isArray(value) ? value.map((item, index) => (index < inner.length ? inner[index] : innerRest)?.(item, encrypt) ?? item) : value;
}

/** Alternatives and parts of the same value: each finds its own fields; one that is encrypted already stays. */
function inTurn(schemas: z.ZodType[]): EncryptPersonal | null {
  const parts = schemas.map(personalFields).filter((part) => part !== null);
  if (parts.length === 0) return null;
  return (value, encrypt) => parts.reduce((result, part) => part(result, encrypt), value);
}
