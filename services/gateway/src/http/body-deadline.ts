import type { FastifyRequest } from 'fastify';

const BODY_MS = 60_000;
const REST_MS = 3_000;

const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** A body comes within a minute. Node's own deadline knows no exception for files, which take their time. */
export function demandBody(request: FastifyRequest, late: () => void): void {
  if (!hasBody(request)) return;
  const timer = setTimeout(() => {
    if (!request.raw.complete) late();
  }, BODY_MS);
  request.raw.once('close', () => clearTimeout(timer));
}

/** It was answered before all of it had come: the client may read the answer, and is not listened to for ever. */
export function leaveBody(request: FastifyRequest): void {
  if (request.raw.complete || !hasBody(request)) return;
  request.raw.resume();
  const timer = setTimeout(() => {
    if (!request.raw.complete) request.raw.socket.destroy();
  }, REST_MS);
  request.raw.once('close', () => clearTimeout(timer));
}
