import { DomainError } from '@tenantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { askAll, decodeAfter, pageOf, servicesFrom } from './fan-out.js';

describe('asking all services', () => {
  it('tells which did not answer, and keeps what the others said', async () => {
    const { answers, unanswered } = await askAll(['audit', 'billing', 'identity'], async (service) => {
      if (service === 'billing') throw new DomainError('service.timeout');
      if (service === 'identity') throw new Error('password=secret');
      return { items: [service] };
    });
    expect(answers).toEqual([{ service: 'audit', answer: { items: ['audit'] } }]);
    expect(unanswered).toEqual([
      { service: 'billing', error: 'The service did not answer in time' },
      { service: 'identity', error: 'It did not answer' },
    ]);
  });

  it('gives pages that go from one service to the next', () => {
    const id = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
    const all = [
      { service: 'audit' as const, answer: { items: [id(1), id(2)] } },
      { service: 'identity' as const, answer: { items: [id(3)] } },
    ];
    const first = pageOf(all, 2, (item) => [item]);
    expect(first.items).toEqual([id(1), id(2)]);
    const after = decodeAfter(first.nextCursor ?? undefined, 1);
    expect(after).toEqual({ service: 'audit', key: [id(2)] });
    expect(servicesFrom(after, undefined)).toEqual(['audit', 'identity']);
    expect(pageOf([{ service: 'audit', answer: { items: [] } }, ...all.slice(1)], 2, (item) => [item])).toEqual({
      items: [id(3)],
      nextCursor: null,
    });
  });

  it('refuses a cursor that it did not give', () => {
    expect(() => decodeAfter('nonsense', 1)).toThrow(DomainError);
    expect(() => decodeAfter(Buffer.from('gateway|x').toString('base64url'), 1)).toThrow(DomainError);
  });
});
