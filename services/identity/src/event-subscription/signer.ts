import { randomBytes } from 'node:crypto';
import { type Account, encodeUser, fmtCreds, type Permissions } from '@nats-io/jwt';
import { createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { newId } from '@tenantry/contracts/ids';

export interface AccountClaim {
  name: string;
  /** Public key of the account. */
  sub: string;
  /** Seconds since the epoch. */
  iat: number;
  nats: Account;
}

const utf8 = new TextEncoder();
const base64url = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64url');

/** Holds the keys of the broker's operator and of the platform's account: nobody else can make accounts, or users of them. */
export class Signer {
  private readonly operator: KeyPair;
  private readonly platform: KeyPair;
  readonly platformAccount: string;

  /** @throws Error that shows nothing of a seed */
  constructor(seeds: { operator: string; platform: string }) {
    this.operator = keyOf(seeds.operator, 'O', 'TENANTRY_NATS_OPERATOR_SEED_FILE');
    this.platform = keyOf(seeds.platform, 'A', 'TENANTRY_NATS_PLATFORM_SEED_FILE');
    this.platformAccount = this.platform.getPublicKey();
  }

  /**
   * The account's JWT. Of two for one account, brokers that come back from an absence keep the one that was issued later, by the second:
   * so the time of issue is the caller's to say.
   */
  signAccount({ name, sub, iat, nats }: AccountClaim): string {
    const header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
    const claim = { jti: newId(), iat, iss: this.operator.getPublicKey(), name, sub, nats };
    const signed = `${header}.${base64url(JSON.stringify(claim))}`;
    return `${signed}.${base64url(this.operator.sign(utf8.encode(signed)))}`;
  }

  /**
   * A new user of the account, until then (milliseconds since the epoch, to the second) or for ever: the broker itself ends its connections.
   * The text of its `.creds` file is all that ever shows its seed.
   */
  async issueUser(
    name: string,
    account: string,
    permissions: Permissions,
    untilMs?: number,
  ): Promise<{ publicKey: string; credentials: string }> {
    const user = createUser();
    const jwt = await encodeUser(
      name,
      user,
      this.platform,
      { ...{ subs: -1, data: -1, payload: -1 }, ...permissions, issuer_account: account },
      untilMs === undefined ? {} : { exp: Math.floor(untilMs / 1000) },
    );
    return { publicKey: user.getPublicKey(), credentials: new TextDecoder().decode(fmtCreds(jwt, user)) };
  }
}

/** Nobody guesses it, so nobody's reply can be meant for it. */
export const newInboxPrefix = (): string => `_INBOX_${randomBytes(12).toString('hex')}`;

function keyOf(seed: string, kind: 'O' | 'A', variable: string): KeyPair {
  let pair: KeyPair | undefined;
  try {
    pair = fromSeed(utf8.encode(seed.trim()));
  } catch {
    // What the library says may hold the seed.
  }
  if (pair?.getPublicKey().startsWith(kind) !== true)
    throw new Error(`${variable}: the file holds no seed of ${kind === 'O' ? 'an operator' : 'an account'} (S${kind}…)`);
  return pair;
}
