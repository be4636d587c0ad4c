import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type JsonWebKey, sign, verify } from 'node:crypto';
import canonicalize from 'canonicalize';

/** A public Ed25519 key as others get it (RFC 7517, RFC 8037). */
export interface PublicJwk {
  kty: 'OKP';
  crv: 'Ed25519';
  x: string;
  kid: string;
  use: 'sig';
  alg: 'EdDSA';
}

/** A new key pair; the private key as PKCS #8 DER. `kid` is the thumbprint (RFC 7638), so it names exactly this key. */
export function newSigningKey(): { jwk: PublicJwk; privateKey: Buffer } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' }) as { x: string };
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
  return {
    jwk: { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' },
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
  };
}

const bytesOf = (text: string) => Buffer.from(text).toString('base64url');
const typeOf = (purpose: string) => `tenantry-${purpose}`;

/** A document as it is signed: its JSON by RFC 8785. @throws Error for what JSON cannot hold */
export function signedText(document: unknown): string {
  const text = canonicalize(document);
  if (text === undefined) throw new Error('the document has no JSON form');
  return text;
}

/**
 * A JWS with detached payload (RFC 7515, appendix F): `<header>..<signature>`.
 * @param purpose kind of document, in the header's `typ`: a signature of one kind is none of another
 */
export function signDetached({ kid, privateKey }: { kid: string; privateKey: Buffer }, purpose: string, text: string): string {
  const header = bytesOf(JSON.stringify({ alg: 'EdDSA', kid, typ: typeOf(purpose) }));
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return `${header}..${sign(null, Buffer.from(`${header}.${bytesOf(text)}`), key).toString('base64url')}`;
}

/** Why the signature does not hold; null when it does. Needs nothing but its arguments. */
export function signatureFault(signature: string, purpose: string, text: string, keys: readonly PublicJwk[]): string | null {
  const [header = '', payload, value = '', ...rest] = signature.split('.');
  if (payload !== '' || rest.length > 0 || value === '') return 'it is not a JWS with detached payload';
  let claims: { alg?: unknown; kid?: unknown; typ?: unknown };
  try {
    claims = JSON.parse(Buffer.from(header, 'base64url').toString());
  } catch {
    return 'its header cannot be read';
  }
  if (claims.alg !== 'EdDSA') return 'it is not of Ed25519';
  if (claims.typ !== typeOf(purpose)) return `it does not sign a document of the kind ${purpose}`;
  const jwk = keys.find(({ kid }) => kid === claims.kid);
  if (jwk?.kty !== 'OKP' || jwk.crv !== 'Ed25519') return 'its key is not among those that are known';
  const key = createPublicKey({ key: jwk as unknown as JsonWebKey, format: 'jwk' });
  const signed = Buffer.from(`${header}.${bytesOf(text)}`);
  return verify(null, signed, key, Buffer.from(value, 'base64url')) ? null : 'the document is not the one that was signed';
}
