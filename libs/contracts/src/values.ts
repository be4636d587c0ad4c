import { z } from 'zod';

// Control characters, bidirectional marks and lone surrogates: they hide or reorder what a person reads, or cannot be stored.
const HOSTILE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/u;
const wellFormed = (text: string) => text.isWellFormed() && !HOSTILE.test(text);
const CLEAN = 'must not contain control characters, direction marks or broken characters';
const BLANK = { message: 'must not be blank', params: { rule: 'not_blank' } };
const isFilled = (min: number) => (value: string) => min === 0 || value.trim().length > 0;

/** One line that people read: no control characters, no direction marks. */
export const text = (max: number, min = 1) =>
  z
    .string()
    .min(min)
    .max(max)
    .refine(wellFormed, { message: CLEAN, params: { rule: 'clean_text' } })
    .refine(isFilled(min), BLANK);

/** Free text over several lines. */
export const longText = (max: number, min = 0) =>
  z
    .string()
    .min(min)
    .max(max)
    .refine((value) => wellFormed(value.replace(/[\n\r\t]/g, ' ')), { message: CLEAN, params: { rule: 'clean_text' } })
    .refine(isFilled(min), BLANK);

/** Ids are compared as text everywhere: however somebody writes one, it is this one. */
export const Uuid = z.uuid().toLowerCase().describe('A UUID');
/** RFC 3339 in UTC. */
export const InstantText = z.iso.datetime({ offset: true });
/** A moment of a tenant's log: a position in it, or an RFC 3339 instant. */
export const Moment = z
  .string()
  .max(64)
  .refine((text) => /^\d{1,15}$/.test(text) || InstantText.safeParse(text.replace(' ', '+')).success, {
    // In an address a + that is not written as %2B arrives as a space.
    message: 'must be a position such as 12 or an RFC 3339 instant such as 2026-01-31T12:00:00Z',
    params: { rule: 'moment' },
  })
  .describe('A position in the log, or an RFC 3339 instant');
export const Slug = z
  .string()
  .min(2)
  .max(50)
  .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])$/, 'must consist of a–z, 0–9 and inner hyphens')
  .describe('URL-safe name, unique over all tenants');
export const Email = z.email().max(254);
export const Phone = z
  .string()
  .min(3)
  .max(40)
  .regex(/^\+?[0-9 ()./-]{3,40}$/, 'must be a phone number such as +49 30 123456');

const supported = <T extends string>(key: 'timeZone' | 'currency') => new Set<T>(Intl.supportedValuesOf(key) as T[]);
const currencies = supported('currency');
const valid = (check: () => unknown) => {
  try {
    return check() !== undefined;
  } catch {
    return false;
  }
};

/** An IANA time zone, e.g. `Europe/Berlin`. */
export const TimeZone = z
  .string()
  .min(1)
  .max(64)
  .refine((zone) => /^[A-Za-z][A-Za-z0-9_+/-]*$/.test(zone) && valid(() => new Intl.DateTimeFormat('en', { timeZone: zone })), {
    message: 'must be an IANA time zone such as Europe/Berlin',
    params: { rule: 'time_zone' },
  });
/** A BCP 47 language tag, e.g. `en-US`. */
export const Locale = z
  .string()
  .min(2)
  .max(35)
  .refine((locale) => valid(() => Intl.getCanonicalLocales(locale)[0]) && /^[a-z]{2,3}(-|$)/i.test(locale), {
    message: 'must be a language tag such as en-US',
    params: { rule: 'locale' },
  });
/** An ISO 4217 code, e.g. `USD`. */
export const Currency = z
  .string()
  .length(3)
  .refine((code) => currencies.has(code), { message: 'must be an ISO 4217 code such as USD', params: { rule: 'currency' } });

export const Isolation = z.enum(['shared', 'dedicated', 'isolated']);
export type Isolation = z.infer<typeof Isolation>;

export const Region = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'must be a region name such as eu-central-1');

/** Cursor pages: read on with `?cursor=` the `nextCursor` of the page before. */
export const PageQuery = { cursor: z.string().max(500).optional(), limit: z.coerce.number().int().min(1).max(200).optional() };
export const page = <S extends z.ZodType>(item: S) => z.object({ items: z.array(item), nextCursor: z.string().nullable() });
/** `limit`/`offset` lists of the tenant surface. */
export const OffsetQuery = {
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  offset: z.coerce.number().int().min(0).max(1_000_000_000).optional(),
};
