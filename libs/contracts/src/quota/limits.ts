import { z } from 'zod';
import { invalidField } from '../errors.js';
import { type Resource, resources } from '../plans.js';

/** `50 GB`, `{value: 50, unit: "GB"}`, null for unlimited, or a bare number: GB for storage and bandwidth, a count elsewhere. */
export const LimitInput = z.union([
  z.number().min(0).max(1e12),
  z.null(),
  z.string().regex(/^\d{1,15}(\.\d{1,6})? ?(B|KB|MB|GB|TB|PB)$/i, 'must be a number with a unit such as 50 GB'),
  z.strictObject({ value: z.number().min(0).max(1e15), unit: z.enum(['B', 'KB', 'MB', 'GB', 'TB', 'PB', 'count']) }),
]);
export const LimitName = z.string().regex(/^[a-z][a-zA-Z0-9_]{0,62}$/, 'must be the name of a resource');
type LimitInput = z.infer<typeof LimitInput>;

const factors: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15, COUNT: 1 };
/** On the platform surface a bare number means GB for these two. */
const inGigabytes = new Set(['storage', 'bandwidth']);

/** A limit in the unit of its resource; null is unlimited. @throws DomainError `request.invalid` naming `<path>.<resource>` */
export function limitInUnits(path: string, resource: string, input: LimitInput): number | null {
  const known = Object.hasOwn(resources, resource) ? resources[resource as Resource] : undefined;
  if (!known) throw invalidField(`${path}.${resource}`, 'known_resource', `must be one of ${Object.keys(resources).join(', ')}`);
  if (input === null) return null;
  const sized = typeof input === 'string' ? /^([\d.]+) ?([a-z]+)$/i.exec(input) : null;
  const [value, unit] = sized
    ? [Number(sized[1]), (sized[2] as string).toUpperCase()]
    : typeof input === 'object'
      ? [input.value, input.unit.toUpperCase()]
      : [input as number, inGigabytes.has(resource) ? 'GB' : 'COUNT'];
  if (unit !== 'COUNT' && known.unit !== 'bytes')
    throw invalidField(`${path}.${resource}`, 'unit', `is counted in ${known.unit}: give a number without a unit`);
  const units = value * (factors[unit] ?? 1);
  const rounded = Math.round(units);
  if (unit === 'COUNT' && rounded !== units) throw invalidField(`${path}.${resource}`, 'integer', 'must be a whole number');
  if (!Number.isSafeInteger(rounded)) throw invalidField(`${path}.${resource}`, 'too_big', 'must not be above 2^53');
  return rounded;
}

/** As a limit of a tenant is set: its own, or that of its plan again. */
export const LimitsInput = z
  .record(LimitName, z.union([LimitInput, z.literal('plan')]))
  .refine((limits) => Object.keys(limits).length > 0, { message: 'must name a resource', params: { rule: 'required' } })
  .describe('By resource: its limit, null for unlimited, or "plan" for that of the plan; what is not named stays');
/** In units. */
export const Limits = z.record(z.string(), z.union([z.number().int().min(0).nullable(), z.literal('plan')]));
export type Limits = z.infer<typeof Limits>;

/** @throws DomainError `request.invalid` naming `<path>.<resource>` */
export const limitsInUnits = (path: string, given: z.infer<typeof LimitsInput>): Limits =>
  Object.fromEntries(
    Object.entries(given).map(([resource, limit]) => [
      resource,
      // A resource that isn't metered is refused whatever is asked for it.
      limit === 'plan' && limitInUnits(path, resource, null) === null ? 'plan' : limitInUnits(path, resource, limit as LimitInput),
    ]),
  );
