import type { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { MAX_COMMAND_BYTES, MAX_EVENT_BYTES, MAX_NAME_LENGTH, measure } from '../limits.js';
import type { AppendCommand } from '../port.js';
import { codeOf, command, type OpenStore, positions, upTo, wholeLog } from './given.js';

/** A command whose one event has exactly so many bytes. */
function ofBytes(tenantId: string, bytes: number, stream = 'thing'): AppendCommand {
  const empty = command(tenantId, { stream, events: [{ data: { text: '' } }] });
  const text = 'x'.repeat(bytes - measure(empty).bytes);
  return { ...empty, events: empty.events.map((event) => ({ ...event, data: { text } })) };
}

/** What a log cannot hold is refused with the field and the remedy, and leaves no trace. */
export function limits(open: OpenStore): void {
  const refusal = async (given: AppendCommand): Promise<DomainError> => {
    const store = await open();
    const error = await store.append(given).then(
      () => undefined,
      (failure: DomainError) => failure,
    );
    expect(await wholeLog(store, given.tenantId)).toEqual([]);
    expect(error).toBeInstanceOf(Error);
    return error as DomainError;
  };

  describe('limits', () => {
    it('let an event of 256 KiB pass, and refuse one byte more', async () => {
      const store = await open();
      const tenantId = newId();
      await store.append(ofBytes(tenantId, MAX_EVENT_BYTES));
      expect((await wholeLog(store, tenantId))[0]?.data).toMatchObject({ text: expect.stringMatching(/^x{200000,}$/) });
      const error = await refusal(ofBytes(newId(), MAX_EVENT_BYTES + 1));
      expect(error).toMatchObject({ code: 'log.event_too_large', errors: [{ field: 'data', rule: 'max_bytes' }] });
      expect(error.errors[0]?.message).toContain('262144');
      expect(error.errors[0]?.message).toMatch(/smaller|several/);
    });

    it('count bytes, not characters', async () => {
      const tenantId = newId();
      const text = '\u{1f600}'.repeat(MAX_EVENT_BYTES / 4);
      expect((await refusal(command(tenantId, { events: [{ data: { text } }] }))).code).toBe('log.event_too_large');
    });

    it('let a command of 512 KiB pass, and refuse more', async () => {
      const store = await open();
      const tenantId = newId();
      const half = ofBytes(tenantId, MAX_COMMAND_BYTES / 2).events[0]!;
      await store.append({ ...command(tenantId), events: [half, { ...half, id: newId() }] });
      expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1]);
      const small = command(tenantId).events[0]!;
      const error = await refusal({ ...command(newId()), events: [half, { ...half, id: newId() }, small] });
      expect(error).toMatchObject({ code: 'log.event_too_large', errors: [{ field: 'events', rule: 'max_bytes' }] });
      expect(error.errors[0]?.message).toContain('524288');
    });

    it('hold for each command, not for what comes together', async () => {
      const store = await open();
      const tenants = upTo(6).map(newId);
      const results = await Promise.all(
        tenants.flatMap((tenantId) => [store.append(ofBytes(tenantId, MAX_EVENT_BYTES, 'a')), store.append(ofBytes(tenantId, 1_000, 'b'))]),
      );
      expect(results.every(({ outcome }) => outcome === 'appended')).toBe(true);
      for (const tenantId of tenants) expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1]);
    });

    it('refuse one of many without disturbing the others', async () => {
      const store = await open();
      const tenantId = newId();
      const results = await Promise.allSettled([
        store.append(command(tenantId, { stream: 'a' })),
        store.append(ofBytes(tenantId, MAX_EVENT_BYTES + 1, 'b')),
        store.append(command(tenantId, { stream: 'c' })),
      ]);
      expect(results.map(codeOf)).toEqual(['done', 'log.event_too_large', 'done']);
      expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1]);
    });

    it('refuse the character NUL, and say in which field', async () => {
      const error = await refusal(command(newId(), { events: [{}, { data: { list: [{ text: 'a\u0000b' }] } }] }));
      expect(error).toMatchObject({ code: 'request.invalid', errors: [{ field: 'data.list.0.text', rule: 'no_nul' }] });
      expect((await refusal(command(newId(), { events: [{ data: { 'a\u0000': 1 } }] }))).code).toBe('request.invalid');
    });

    it('refuse half a surrogate pair, and say in which field', async () => {
      const given = command(newId(), { events: [{ data: { text: 'fine' } }] });
      const broken = { ...given, events: given.events.map((event) => ({ ...event, data: { text: 'x\ud83d' } })) };
      expect(await refusal(broken)).toMatchObject({ code: 'request.invalid', errors: [{ field: 'data.text', rule: 'well_formed' }] });
    });

    it('refuse names that are empty, too long, or hold NUL', async () => {
      for (const name of ['', 'x'.repeat(MAX_NAME_LENGTH + 1), 'a\u0000b', 'a\ud83d']) {
        const given = command(newId());
        expect(await refusal({ ...given, stream: name })).toMatchObject({ code: 'request.invalid', errors: [{ field: 'stream' }] });
        expect(await refusal({ ...given, commandId: name })).toMatchObject({ code: 'request.invalid', errors: [{ field: 'commandId' }] });
      }
    });
  });
}
