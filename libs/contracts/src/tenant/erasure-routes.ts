import { z } from 'zod';
import { route } from '../route.js';
import { erasureMethods } from '../stores/stores.js';
import { InstantText, Uuid } from '../values.js';

const common = { owner: 'provisioning', tag: 'Erasure', scope: 'platform', method: 'GET' } as const;
const ById = z.strictObject({ tenantId: Uuid });
const path = '/api/v1/platform/tenants/:tenantId';

/** What is signed: everything but `keyId` and `signature`. */
export const ErasureStatement = z.object({
  tenantId: Uuid,
  operationId: Uuid,
  erasedAt: InstantText,
  stores: z.array(
    z.object({
      name: z.string(),
      method: z.enum(erasureMethods),
      checkedAt: InstantText,
      found: z
        .number()
        .int()
        .describe('How much of the tenant was found, of what had to go, when the store was searched after its erasure'),
      query: z.string().optional().describe('What was looked at: SQL with the tenant’s id as $1, or words where the store is no table'),
      kept: z.number().int().optional().describe('How much of the tenant stays in it'),
      keeps: z.string().optional().describe('What stays, and why; missing where nothing may stay'),
    }),
  ),
  databases: z
    .array(z.object({ server: z.string(), database: z.string() }))
    .optional()
    .describe('Every database that the tenant ever lived in, also after moves: `schemas` was searched there'),
  export: z
    .object({ location: z.string(), manifestSha256: z.string(), expiresAt: InstantText })
    .describe('What was handed over before: encrypted under a key of its own, which is destroyed at `expiresAt`'),
});
export type ErasureStatement = z.infer<typeof ErasureStatement>;
export const ErasureCertificate = ErasureStatement.extend({
  keyId: z.string(),
  signature: z.string().describe('A detached JWS (RFC 7515, appendix F) over the canonical JSON (RFC 8785) of all but keyId and signature'),
});
export type ErasureCertificate = z.infer<typeof ErasureCertificate>;

export const getErasureCertificate = route({
  ...common,
  name: 'tenants.erasure-certificate',
  summary: 'The signed certificate that an erased tenant is gone, with every store that was searched',
  permission: 'tenant:read',
  path: `${path}/erasure-certificate`,
  ofErased: true,
  params: ById,
  answers: { 200: ErasureCertificate },
});
export const getErasureExport = route({
  ...common,
  name: 'tenants.erasure-export',
  summary: 'Where the export of an erased tenant is, and the key that opens it, until it expires',
  permission: 'tenant:export',
  path: `${path}/erasure-export`,
  ofErased: true,
  params: ById,
  answers: {
    200: z.object({
      location: z.string().describe('Folder in the storage of the platform'),
      key: z.string().describe('base64, 32 bytes: for `npx tenantry open-export`'),
      expiresAt: InstantText,
      files: z.number().int(),
      bytes: z.number().int(),
    }),
  },
});

export const erasureRoutes = [getErasureCertificate, getErasureExport];
