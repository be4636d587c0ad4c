import { ErasureCertificate } from '@tenantry/contracts/tenant/erasure-routes';
import { type PublicJwk, signatureFault, signedText } from '@tenantry/crypto/signature';

/** What a certificate says; needs nothing but the text of the two files. @throws Error that says why it proves nothing */
export function readCertificate(certificate: string, keys: string): ErasureCertificate {
  const document: unknown = parse(certificate, 'the certificate');
  const read = ErasureCertificate.safeParse(document);
  if (!read.success)
    throw new Error(
      `It is no erasure certificate: ${read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
    );
  const jwks = (parse(keys, 'the file of public keys') as { keys?: PublicJwk[] }).keys;
  if (!Array.isArray(jwks)) throw new Error('The file of public keys has no list "keys": take it from /.well-known/jwks.json');
  // The document as it is, with members that this version doesn't know: they were signed too.
  const { keyId, signature, ...statement } = document as Record<string, unknown>;
  const fault = signatureFault(String(signature), 'erasure-certificate', signedText(statement), jwks);
  if (fault !== null) throw new Error(`The signature does not hold: ${fault}`);
  const left = read.data.stores.filter(({ found }) => found > 0);
  if (left.length > 0) throw new Error(`It was signed, but says that something was left in: ${left.map(({ name }) => name).join(', ')}`);
  return { ...read.data, keyId: String(keyId) };
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON`, { cause: error });
  }
}
