import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { faultPoint } from '@tenantry/observability/fault';
import { Logger } from '@tenantry/observability/logger';
import type { Rendered } from '../http/rendered.js';
import { FirstRequests } from './first-requests.js';
import { type FirstRequest, keepMs, type Outcome, verdictOf } from './verdict.js';

export interface KeyedRequest {
  /** Hash of principal, operation and key. */
  commandId: string;
  /** SHA-256 (hex) of the canonical request. */
  requestHash: string;
}

/** After a crash of the gateway that worked on a request, others take it over within this time: sooner than a repeat gives up waiting. */
const LEASE_MS = 4_000;
/** How long a repeat waits for the first answer. */
const WAIT_MS = 10_000;
const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 500;
/** A data key that every tenant has from its registration on, and that is rotated with the tenant's. */
const SEAL_SUBJECT = 'config';
const MAX_WORKING = 10_000;

interface Working {
  requestHash: string;
  /** The first answer, as a repeat gets it; null where it says nothing about the request. */
  first: Promise<FirstRequest['answer']>;
}

/** One key, one request, one answer, over all gateways and their crashes. */
@Injectable()
export class Idempotency {
  /** In this process, so that repeats needn't ask the table. */
  private readonly working = new Map<string, Working>();

  constructor(
    private readonly firsts: FirstRequests,
    private readonly keyring: Keyring,
    private readonly logger: Logger,
  ) {}

  /**
   * Runs `work` for the first request, and gives all others its answer.
   * @throws DomainError `idempotency.mismatch`, `idempotency.in_flight` (after 10 s), `idempotency.secret_already_shown`
   */
  async run(request: KeyedRequest, work: () => Promise<Outcome>): Promise<Rendered & { replayed: boolean }> {
    const until = performance.now() + WAIT_MS;
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * 2, LONGEST_POLL_MS)) {
      const here = this.working.get(request.commandId);
      if (here) {
        if (here.requestHash !== request.requestHash) throw new DomainError('idempotency.mismatch');
        const first = await within(here.first, until - performance.now());
        if (first) return this.replay(first);
        continue;
      }
      const claim = this.work(request, work);
      const outcome = await claim;
      if ('rendered' in outcome) return { ...outcome.rendered, replayed: false };
      switch (verdictOf(outcome, request.requestHash)) {
        case 'mismatch':
          throw new DomainError('idempotency.mismatch');
        case 'replay':
        case 'secret':
          return this.replay(outcome.answer as NonNullable<FirstRequest['answer']>);
        case 'wait':
          if (performance.now() + pollMs >= until) throw inFlight();
          await sleep(pollMs);
      }
    }
  }

  /** Claims the key and works; or gives what is known of the first request. Repeats in this process meanwhile wait for it. */
  private async work(request: KeyedRequest, work: () => Promise<Outcome>): Promise<Outcome | FirstRequest> {
    const { promise: first, resolve } = Promise.withResolvers<FirstRequest['answer']>();
    if (this.working.size < MAX_WORKING) this.working.set(request.commandId, { requestHash: request.requestHash, first });
    try {
      const holder = newId();
      const known = await this.firsts.claim({ ...request, holder, leaseMs: LEASE_MS });
      if (known) {
        resolve(known.answer !== null && known.requestHash === request.requestHash ? known.answer : null);
        return known;
      }
      const outcome = await this.held(request.commandId, holder, work);
      const kept = await this.keep(request.commandId, holder, outcome);
      resolve(kept);
      return outcome;
    } finally {
      this.working.delete(request.commandId);
      resolve(null);
    }
  }

  /** Keeps the claim for as long as the work takes. */
  private async held(commandId: string, holder: string, work: () => Promise<Outcome>): Promise<Outcome> {
    const timer = setInterval(() => {
      this.firsts
        .prolong(commandId, holder, LEASE_MS)
        .catch((error) =>
          this.logger.warn(
            { err: error, commandId },
            'a claim could not be prolonged: somebody else may do the same work, to the same end',
          ),
        );
    }, LEASE_MS / 2.6);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  /** What repeats get; null where they may try again. */
  private async keep(commandId: string, holder: string, outcome: Outcome): Promise<FirstRequest['answer']> {
    const { rendered, secret, tenantId } = outcome;
    const forMs = keepMs(outcome);
    try {
      if (forMs === 0) {
        await this.firsts.release(commandId, holder);
        return null;
      }
      const sealed = tenantId !== undefined && !secret && rendered.body !== '';
      const body = secret ? null : sealed ? (await this.keyring.encrypt(tenantId, SEAL_SUBJECT, rendered.body)).enc : rendered.body;
      const answer = { status: rendered.status, headers: rendered.headers, body, sealedFor: sealed ? tenantId : null };
      await this.firsts.finish(commandId, holder, answer, forMs);
      await faultPoint('answer.recorded');
      return answer;
    } catch (error) {
      // The work is done and its caller gets the answer; a repeat waits for the lease to run out and then asks the owner, who knows the command's id.
      this.logger.warn({ err: error, commandId }, 'a first answer could not be kept');
      return null;
    }
  }

  /** @throws DomainError `idempotency.secret_already_shown`; `keys.destroyed` when the tenant was erased */
  private async replay({
    status,
    headers,
    body,
    sealedFor,
  }: NonNullable<FirstRequest['answer']>): Promise<Rendered & { replayed: boolean }> {
    if (body === null) throw new DomainError('idempotency.secret_already_shown');
    const clear = sealedFor === null ? body : await this.keyring.reveal<string>(sealedFor, { enc: body });
    return { status, headers, body: clear, replayed: true };
  }
}

const inFlight = () => new DomainError('idempotency.in_flight', { retryAfterSeconds: 1 });

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(inFlight()), Math.max(0, timeoutMs));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
