import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import type { Principal } from '@tenantry/contracts/route';

/** What the gateway says about a request to the service that serves it. Instants are seconds since the epoch. */
export interface TokenClaims {
  principal: Principal;
  /** The one service that may act on it. */
  aud: string;
  iat: number;
  exp: number;
}

export const TOKEN_LIFE_SECONDS = 30;
/** How far two machines' clocks may be apart. */
const LEEWAY_SECONDS = 5;
const HEADER = Buffer.from(JSON.stringify({ alg: 'EdDSA', typ: 'JWT' })).toString('base64url');

/** A new Ed25519 key pair as PEM: PKCS #8 and SPKI. */
export function newTokenKeys(): { privateKey: string; publicKey: string } {
  return generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

const ed25519 = (key: KeyObject): KeyObject => {
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('the key of tokens must be an Ed25519 key');
  return key;
};

/** Only the gateway has one. A token is a JWT (RFC 7519, EdDSA) and lives at most 30 s. */
export class TokenSigner {
  private readonly key: KeyObject;
  private readonly recent = new Map<string, { token: string; from: number; until: number }>();

  /** `privateKey`: Ed25519, PEM (PKCS #8). `nowMs` is wall-clock time. */
  constructor(
    privateKey: string,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.key = ed25519(createPrivateKey(privateKey));
  }

  /** A token for calls of one principal to one service. The same one is given again for some seconds: signing costs more than looking up. */
  sign(principal: Principal, audience: string): string {
    const now = this.nowMs();
    const about = JSON.stringify([audience, principal]);
    const known = this.recent.get(about);
    // From the future: the clock has been set back, and nobody would take it.
    if (known && known.from <= now && known.until > now) return known.token;
    const iat = Math.floor(now / 1000);
    const claims: TokenClaims = { principal, aud: audience, iat, exp: iat + TOKEN_LIFE_SECONDS };
    const body = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    const token = `${body}.${sign(null, Buffer.from(body), this.key).toString('base64url')}`;
    remember(this.recent, about, { token, from: now, until: now + (TOKEN_LIFE_SECONDS * 1000) / 3 });
    return token;
  }
}

/** Every service has one for itself. */
export class TokenVerifier {
  private readonly key: KeyObject;
  private readonly verified = new Map<string, TokenClaims>();

  /** `publicKey`: the gateway's, Ed25519, PEM (SPKI). `audience`: the service's own name. */
  constructor(
    publicKey: string,
    private readonly audience: string,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.key = ed25519(createPublicKey(publicKey));
  }

  /**
   * The claims of a token that is genuine, for this service, and alive.
   * @throws DomainError `auth.unauthenticated`; `service.unavailable` for one of another time: the gateway has just made it, so clocks differ
   */
  verify(token: string): TokenClaims {
    const claims = this.verified.get(token) ?? this.genuine(token);
    const now = this.nowMs() / 1000;
    if (claims.exp + LEEWAY_SECONDS <= now || claims.iat - LEEWAY_SECONDS > now) throw untimely();
    return claims;
  }

  private genuine(token: string): TokenClaims {
    const parts = token.split('.');
    const [header, payload, signature] = parts;
    // Our own header, to the byte: no algorithm is ever taken from a token.
    if (parts.length !== 3 || header !== HEADER || !payload || !signature) throw refused('form');
    if (!verify(null, Buffer.from(`${header}.${payload}`), this.key, Buffer.from(signature, 'base64url'))) throw refused('signature');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as TokenClaims;
    if (claims.aud !== this.audience) throw refused('audience');
    if (!(claims.exp - claims.iat <= TOKEN_LIFE_SECONDS)) throw refused('life');
    remember(this.verified, token, claims);
    return claims;
  }
}

// The caller learns only that the token is no good; why is for the log.
const refused = (why: string) => new DomainError('auth.unauthenticated', { cause: new Error(`token refused: ${why}`) });

// Nothing is wrong with the caller's credentials: the same request is taken as soon as the clocks agree.
const untimely = () =>
  new DomainError('service.unavailable', {
    detail: 'The clocks of two services differ. Send the request again',
    retryAfterSeconds: 1,
    cause: new Error('token refused: not of this time'),
  });

const MAX_REMEMBERED = 5_000;
/** Tokens live 30 s, so starting over when it is full costs little and needs no clean-up. */
function remember<V>(cache: Map<string, V>, key: string, value: V): void {
  if (cache.size >= MAX_REMEMBERED) cache.clear();
  cache.set(key, value);
}
