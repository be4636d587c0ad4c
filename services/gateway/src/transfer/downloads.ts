import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { FILE_PART_BYTES } from '@tenantry/contracts/tenant/file-routes';
import { Logger } from '@tenantry/observability/logger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { matchesEtag } from '../http/conditions.js';
import type { Endpoint } from '../http/endpoint.js';
import { Forwarder } from '../http/forwarder.js';
import { renderProblem } from '../http/rendered.js';
import { describing } from './headers.js';
import { type Range, rangeOf } from './range.js';
import { Transfers } from './transfers.js';

/** A client that takes nothing for so long is gone, or as good as. */
const IDLE_MS = 60_000;
const LOOK_MS = 1_000;

interface Part {
  bytes: number;
  etag: string;
  content: Buffer;
}

/** Files that clients are sent: asked of their owner part by part, each when the client has taken the one before. */
@Injectable()
export class Downloads {
  private readonly open = new Set<Readable>();

  constructor(
    private readonly forwarder: Forwarder,
    private readonly transfers: Transfers,
    private readonly logger: Logger,
  ) {}

  /** @throws DomainError for what is refused */
  async send(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply, stillAllowed: () => Promise<void>): Promise<FastifyReply> {
    const { headers } = request;
    const ask = async (offset: number, length: number): Promise<Part> => {
      const { body } = await this.forwarder.ask(endpoint, request, { query: { offset, length } });
      const { bytes, etag, content } = body as { bytes: number; etag: string; content: string };
      return { bytes, etag, content: Buffer.from(content, 'base64') };
    };
    const { bytes, etag } = await ask(0, 0);
    if (headers['if-match'] !== undefined && !matchesStrongly(headers['if-match'], etag)) throw new DomainError('precondition.failed');
    reply.headers({ etag, 'accept-ranges': 'bytes' });
    if (matchesEtag(headers['if-none-match'], etag)) return reply.code(304).send();
    const isSame = headers['if-range'] === undefined || String(headers['if-range']).trim() === etag;
    const range = isSame ? rangeOf(headers.range, bytes) : null;
    if (range === 'not_satisfiable') return this.refuseRange(request, reply, bytes);
    const { first, last }: Range = range ?? { first: 0, last: bytes - 1 };
    reply.code(range ? 206 : 200).headers({
      ...describing((request.params as { key: string }).key),
      'content-length': String(last - first + 1),
      ...(range ? { 'content-range': `bytes ${first}-${last}/${bytes}` } : {}),
    });
    if (request.method === 'HEAD') return reply.send(Readable.from([]));
    const giveBack = await this.transfers.begin(request.exchange.tenantId ?? '');
    const content = Readable.from(this.parts({ first, last }, etag, ask, stillAllowed), { objectMode: false, highWaterMark: 1 });
    this.open.add(content);
    content.once('close', () => {
      this.open.delete(content);
      giveBack();
    });
    reply.raw.setTimeout(IDLE_MS, () => reply.raw.destroy());
    return reply.send(content);
  }

  /** The gateway is going: clients ask for the rest, of another replica. */
  endAll(): void {
    for (const content of [...this.open]) content.destroy();
  }

  /** What goes wrong from here on the client sees as a connection that breaks off: a part of it has gone out. */
  private async *parts(
    { first, last }: Range,
    etag: string,
    ask: (offset: number, length: number) => Promise<Part>,
    stillAllowed: () => Promise<void>,
  ): AsyncIterable<Buffer> {
    let lookedMs = performance.now();
    try {
      for (let offset = first; offset <= last; ) {
        if (performance.now() - lookedMs > LOOK_MS) {
          await stillAllowed();
          lookedMs = performance.now();
        }
        const part = await ask(offset, Math.min(FILE_PART_BYTES, last - offset + 1));
        if (part.etag !== etag || part.content.length === 0)
          throw new DomainError('precondition.failed', { detail: 'The file was replaced while it was sent' });
        offset += part.content.length;
        yield part.content;
      }
    } catch (error) {
      this.logger.info({ code: error instanceof DomainError ? error.code : 'internal.error' }, 'a download was broken off');
      throw error;
    }
  }

  private refuseRange({ exchange }: FastifyRequest, reply: FastifyReply, bytes: number): FastifyReply {
    const error = new DomainError('file.range_not_satisfiable', { detail: `The file has ${bytes} bytes` });
    const { status, headers, body } = renderProblem(error, exchange.traceparent);
    return reply
      .code(status)
      .headers({ ...headers, 'content-range': `bytes */${bytes}` })
      .send(body);
  }
}

const matchesStrongly = (header: string, etag: string): boolean => header.split(',').some((one) => ['*', etag].includes(one.trim()));
