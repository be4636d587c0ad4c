import { createHmac, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { createTenantKey } from '@tenantry/contracts/identity/routes';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { newTokenKeys, TokenSigner } from '@tenantry/crypto/token';
import { calledSubject, decode, encode, type WireReply } from '@tenantry/messaging/rpc-wire';
import { Bus } from '@tenantry/service/bus';
import { Environment } from '@tenantry/service/environment';
import { breached, held, type Tried } from '../attempt.js';
import { Probe, type Subject } from '../probe.js';

const TIMEOUT_MS = 3_000;
/** A request that could only be refused: what it asks for is not valid either, so nothing comes of it where a token is believed. */
const target = createTenantKey;

const base64url = (text: string) => Buffer.from(text).toString('base64url');

/** Between services: a token that somebody else than the gateway made, and requests past the gateway. */
@Injectable()
export class TokensProbe extends Probe {
  private readonly forger = new TokenSigner(newTokenKeys().privateKey);
  private readonly publicKeyFile: string;
  constructor(
    private readonly bus: Bus,
    { values }: Environment,
  ) {
    super();
    this.publicKeyFile = values.TENANTRY_TOKEN_PUBLIC_KEY_FILE;
  }

  async attempts({ tenantId }: Subject): Promise<Attempt[]> {
    const staff = { kind: 'staff', id: 'isolation-check', permissions: ['*'] } as const;
    const forged = this.forger.sign({ ...staff, permissions: [...staff.permissions] }, target.owner);
    const [header = '', payload = '', signature = ''] = forged.split('.');
    const unsigned = (alg: string) => `${base64url(JSON.stringify({ alg, typ: 'JWT' }))}.${payload}`;
    const publicKey = await readFile(this.publicKeyFile);
    const what = 'a request of another process, with a token that';
    const tried = await Promise.all([
      this.ask(`${what} it made itself`, tenantId, forged),
      this.ask(`${what} has no signature`, tenantId, `${header}.${payload}.`),
      this.ask(`${what} says that it needs no signature`, tenantId, `${unsigned('none')}.`),
      this.ask(
        `${what} is signed with the public key as a secret`,
        tenantId,
        `${unsigned('HS256')}.${createHmac('sha256', publicKey).update(unsigned('HS256')).digest('base64url')}`,
      ),
      this.ask(
        `${what} has the signature of other claims`,
        tenantId,
        `${header}.${base64url(JSON.stringify({ aud: target.owner }))}.${signature}`,
      ),
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
