import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { Keyring } from '@tenantry/crypto/keyring';
import { breached, held, type Tried } from '../attempt.js';
import { alone, Probe, type Subject } from '../probe.js';

const SUBJECT = 'config';

/** Encrypted values: what this tenant's key made means nothing under another's, whatever its label says. */
@Injectable()
export class KeysProbe extends Probe {
  constructor(private readonly keyring: Keyring) {
    super();
  }

  async attempts({ tenantId, peer, nonce }: Subject): Promise<Attempt[]> {
    if (!peer) return [alone('keys', 'an encrypted value')];
    const sealed = await this.keyring.encrypt(tenantId, SUBJECT, nonce);
    // As if it were made with the peer's own key: that is there, so that what fails is the decryption.
    const label = (await this.keyring.keys(peer.tenantId, [SUBJECT])).get(SUBJECT)?.id;
    const relabelled = { enc: `${label}${sealed.enc.slice(sealed.enc.lastIndexOf(':'))}` };
    const tried = await Promise.all([
      this.open('open it as another tenant', peer.tenantId, sealed, nonce),
      this.open("open it with another tenant's key", peer.tenantId, relabelled, nonce),
      this.open("take another tenant's key for its own", tenantId, relabelled, nonce),
    ]);
    return tried.map((one) => ({ boundary: 'keys', target: 'an encrypted value', ...one }));
  }

  private async open(attempt: string, as: string, value: { enc: string }, clear: string): Promise<Tried> {
    // The keys are there: else what fails below would prove nothing.
    await this.keyring.keys(as, [SUBJECT]);
    try {
      const found = await this.keyring.reveal<string>(as, value);
      return found === clear ? breached(attempt, 'it was read') : held(attempt, 'it is something else');
    } catch (error) {
      // Nobody could say what the keys are: that nothing was read then proves nothing either.
      if (error instanceof DomainError && error.code !== 'keys.destroyed') throw error;
      return held(attempt, 'it cannot be decrypted');
    }
  }
}
