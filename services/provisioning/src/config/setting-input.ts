import { type KnownSetting, knownSettings } from '@tenantry/contracts/config/known-settings';
import type { putSetting } from '@tenantry/contracts/config/routes';
import { type FieldError, invalidField } from '@tenantry/contracts/errors';
import { fieldErrors, invalid } from '@tenantry/service/validation';
import type { z } from 'zod';
import type { SettingRecord, StoredSetting } from './config.js';

/** What stands for a sensitive value where it is read. */
export const MASKED = '********';
const MAX_CHARACTERS = 16_384;

type Given = z.infer<NonNullable<typeof putSetting.body>>;

/**
 * The whole setting that is asked for: what is not given is as it was, or as it is for a new one. `value` becomes JSON text.
 * @throws DomainError `request.invalid` naming `value`, `type`, `category` or `encrypted`
 */
export function settingFor(key: string, given: Given, before: StoredSetting | null): SettingRecord & { value: string } {
  const known = Object.hasOwn(knownSettings, key) ? knownSettings[key] : undefined;
  const type = fixed('type', known?.type, given.type) ?? before?.type ?? typeOf(given.value);
  const category = fixed('category', known?.category, given.category) ?? before?.category ?? 'general';
  const encrypted = given.encrypted ?? before?.encrypted ?? false;
  if (known && encrypted)
    throw invalidField(
      'encrypted',
      'fixed',
      `must be false: the system reads ${key}, and it is nothing secret; keep secrets in a setting of another name`,
    );
  if (encrypted && given.value === MASKED)
    throw invalidField('value', 'masked', 'is the mask of the value, not the value: name the value itself');
  if (type !== 'json' && typeof given.value !== type)
    throw invalidField('value', 'type', `must be a ${type}${known ? '' : '; or name another type'}`);
  if (known) ofKnown(known, given.value);
  const value = JSON.stringify(given.value);
  if (value.length > MAX_CHARACTERS) throw invalidField('value', 'too_big', `must not be longer than ${MAX_CHARACTERS} characters as JSON`);
  return { key, value, type, category, encrypted };
}

function fixed<T extends string>(field: string, known: T | undefined, given: T | undefined): T | undefined {
  if (known !== undefined && given !== undefined && given !== known)
    throw invalidField(field, 'fixed', `must be ${known}, or be left out: the system reads this setting`);
  return known ?? given;
}

function ofKnown({ value: schema }: KnownSetting, value: unknown): void {
  const result = schema.safeParse(value);
  if (result.success) return;
  throw invalid(fieldErrors(result.error, ['value']));
}

const typeOf = (value: unknown): 'string' | 'number' | 'boolean' | 'json' => {
  const type = typeof value;
  return type === 'string' || type === 'number' || type === 'boolean' ? type : 'json';
};

/** A refusal of a setting, under the name that it has in the body. */
export function within<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const errors = (error as { errors?: FieldError[] }).errors;
    if (!errors?.length) throw error;
    throw invalid(errors.map((one) => ({ ...one, field: one.field.startsWith('value.') ? path + one.field.slice('value'.length) : path })));
  }
}
