/** The data of an event as some release wrote it: to be upcast and folded for ever. */
export interface EventFixture {
  type: string;
  version: number;
  data: Record<string, unknown>;
}

export const at = '2026-01-01T00:00:00.000Z';
export const end = '2026-02-01T00:00:00.000Z';
export const sealed = { enc: '11111111-1111-4111-8111-111111111111/contacts/1:AAAA' };
