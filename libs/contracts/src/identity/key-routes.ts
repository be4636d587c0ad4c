import { z } from 'zod';
import { route } from '../route.js';
import { OperationRef } from '../tenant/bodies.js';
import { InstantText, Uuid } from '../values.js';

const ById = z.strictObject({ tenantId: Uuid });
const base = '/api/v1/platform';
const common = { owner: 'identity', tag: 'Keys', scope: 'platform' } as const;

export const rotateTenantKey = route({
  ...common,
  name: 'tenant-keys.rotate',
  summary: "Another version of the tenant's key, for everything that is encrypted from now on; the earlier ones stay for reading",
  permission: 'tenant-key:rotate',
  method: 'POST',
  path: `${base}/tenants/:tenantId/keys/rotate`,
  params: ById,
  answers: { 200: z.object({ tenantId: Uuid, keyVersion: z.number().int(), rotatedAt: InstantText }) },
});
export const listTenantKeyVersions = route({
  ...common,
  name: 'tenant-keys.list',
  summary: "The versions of the tenant's key, the newest first: that one encrypts",
  permission: 'tenant-key:read',
  method: 'GET',
  path: `${base}/tenants/:tenantId/keys`,
  params: ById,
  answers: {
    200: z.object({
      items: z.array(z.object({ keyVersion: z.number().int(), createdAt: InstantText, destroyedAt: InstantText.nullable() })).max(200),
    }),
  },
});
export const getMasterKey = route({
  ...common,
  name: 'master-key.get',
  summary: 'Which master keys there are, by name, how many keys each of them wraps, and which of them nothing needs any more',
  permission: 'master-key:read',
  method: 'GET',
  path: `${base}/master-key`,
  answers: {
    200: z.object({
      current: z.string().describe('Wraps from now on'),
      known: z.array(z.string()).describe('The current one first'),
      wrapped: z.array(
        z.object({ masterKey: z.string().nullable().describe('null: wrapped before that was written down'), keys: z.number().int() }),
      ),
      removable: z.array(z.string()).describe('Of the known ones: no key needs them any more'),
      unopened: z
        .object({
          keys: z.number().int(),
          items: z
            .array(
              z.object({
                tenantId: Uuid.nullable(),
                keyVersion: z.number().int().nullable(),
                signingKeyId: z.string().nullable(),
                masterKey: z.string().nullable().describe('That is said to have wrapped it'),
                since: InstantText,
              }),
            )
            .max(100),
        })
        .describe('Keys that could not be opened when everything was wrapped anew last; at most 100 are named'),
    }),
  },
});
export const rewrapMasterKey = route({
  ...common,
  owner: 'provisioning',
  name: 'master-key.rewrap-all',
  summary: 'Wrap all keys by the current master key, so that the others can be removed',
  permission: 'master-key:rewrap',
  method: 'POST',
  path: `${base}/master-key/rewrap`,
  answers: { 202: z.object({ masterKey: z.string(), operation: OperationRef }) },
});
export const rotateSigningKey = route({
  ...common,
  name: 'signing-keys.rotate',
  summary: 'Sign documents with another key from now on; the public keys of the earlier ones stay published',
  permission: 'signing-key:rotate',
  method: 'POST',
  path: `${base}/signing-keys/rotate`,
  answers: { 200: z.object({ keyId: z.string(), rotatedAt: InstantText }) },
});

export const keyRoutes = [rotateTenantKey, listTenantKeyVersions, getMasterKey, rewrapMasterKey, rotateSigningKey];
