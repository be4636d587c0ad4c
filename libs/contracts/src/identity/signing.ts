import { z } from 'zod';
import { route } from '../route.js';

const PublicJwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string().describe('Thumbprint of the key (RFC 7638)'),
  use: z.literal('sig'),
  alg: z.literal('EdDSA'),
});

export const publicKeys = route({
  owner: 'identity',
  tag: 'Access',
  scope: 'public',
  name: 'signing.public-keys',
  summary: 'The public keys of what the platform signs (RFC 7517), those of the past too',
  permission: null,
  method: 'GET',
  path: '/.well-known/jwks.json',
  answers: { 200: z.object({ keys: z.array(PublicJwk) }) },
});
export const signingRoutes = [publicKeys];
