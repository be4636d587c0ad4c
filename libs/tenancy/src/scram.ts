import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** RFC 5803 verifier of a password, as `CREATE ROLE … PASSWORD` takes it: the clear text then never reaches the server, nor its log. */
export function scramVerifier(password: string, salt = randomBytes(16), iterations = 4096): string {
  // PostgreSQL normalizes passwords (SASLprep) before it hashes; ASCII is left as it is.
  if (!/^[\x20-\x7e]+$/.test(password)) throw new Error('A password of a database login must be printable ASCII');
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
