import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { createTenantKey } from '@tenantry/contracts/identity/routes';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { newTokenKeys, TokenSigner } from '@tenantry/crypto/token';
import { calledSubject, decode, encode, type WireReply } from '@tenantry/messaging/rpc-wire';
import { Bus } from '@tenantry/service/bus';
import { breached, held, type Tried } from '../attempt.js';
import { Probe, type Subject } from '../probe.js';

const TIMEOUT_MS = 3_000;
/** A request that could only be refused: what it asks for is not valid either, so nothing comes of it where a token is believed. */
const target = createTenantKey;

/** Between services: a token that somebody else than the gateway made, and requests past the gateway. */
@Injectable()
export class TokensProbe extends Probe {
  private readonly forger = new TokenSigner(newTokenKeys().privateKey);
  constructor(private readonly bus: Bus) {
    super();
  }

  async attempts({ tenantId }: Subject): Promise<Attempt[]> {
    const staff = { kind: 'staff', id: 'isolation-check', permissions: ['*'] } as const;
    const forged = this.forger.sign({ ...staff, permissions: [...staff.permissions] }, target.owner);
    const tried = await Promise.all([
      this.ask('a request of another process, with a token that it made itself', tenantId, forged),
      this.ask('a request of another process, without a token', tenantId, undefined),
    ]);
    return tried.map((one) => ({ boundary: 'tokens', target: `rpc.${target.owner}`, ...one }));
  }

  private async ask(attempt: string, tenantId: string, token: string | undefined): Promise<Tried> {
    const request = {
      input: { params: { tenantId }, query: {}, body: {} },
      token,
      command: { id: randomUUID(), requestHash: '0'.repeat(64) },
    };
    const reply = await this.bus.connection.request(calledSubject(target, 'provisioning'), encode(request), { timeout: TIMEOUT_MS });
    const answer = decode<WireReply>(reply.data);
    const code = 'problem' in answer ? answer.problem.code : null;
    return code === 'auth.forbidden' || code === 'auth.unauthenticated'
      ? held(attempt, `refused: ${code}`)
      : breached(attempt, code === null ? 'it was served' : `it was taken for genuine: ${code}`);
  }
}
