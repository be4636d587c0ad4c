import { EventEmitter } from 'node:events';
import type { FastifyRequest } from 'fastify';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { demandBody, leaveBody } from './body-deadline.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function request(headers: Record<string, string>) {
  const raw = Object.assign(new EventEmitter(), { complete: false, resume: vi.fn(), socket: { destroy: vi.fn() } });
  return { raw, request: { headers, raw } as unknown as FastifyRequest };
}

it.each<Record<string, string>>([{ 'content-length': '1' }, { 'transfer-encoding': 'chunked' }])(
  'a body (%j) that has not come within a minute is late',
  (headers) => {
    const late = vi.fn();
    demandBody(request(headers).request, late);
    vi.advanceTimersByTime(59_000);
    expect(late).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2_000);
    expect(late).toHaveBeenCalledOnce();
  },
);

it('what has come, has gone or was never to come is not late', () => {
  const late = vi.fn();
  const come = request({ 'content-length': '1' });
  demandBody(come.request, late);
  come.raw.complete = true;
  const gone = request({ 'content-length': '1' });
  demandBody(gone.request, late);
  gone.raw.emit('close');
  demandBody(request({ 'content-length': '0' }).request, late);
  demandBody(request({}).request, late);
  vi.advanceTimersByTime(100_000);
  expect(late).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

it('who was answered before all had come is listened to for a moment longer, so that he can read the answer', () => {
  const { raw, request: early } = request({ 'content-length': '1000' });
  leaveBody(early);
  expect(raw.resume).toHaveBeenCalled();
  vi.advanceTimersByTime(2_000);
  expect(raw.socket.destroy).not.toHaveBeenCalled();
  vi.advanceTimersByTime(2_000);
  expect(raw.socket.destroy).toHaveBeenCalled();
});

it('who has sent all keeps his connection', () => {
  const { raw, request: whole } = request({ 'content-length': '1000' });
  raw.complete = true;
  leaveBody(whole);
  vi.advanceTimersByTime(10_000);
  expect(raw.socket.destroy).not.toHaveBeenCalled();
});
