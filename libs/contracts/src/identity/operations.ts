import { z } from 'zod';
import { operation, services } from '../route.js';
import { Uuid } from '../values.js';

const owner = 'identity';

/** Data keys in clear, made where they do not exist yet. The tenant's own key is made first, idempotently by its id. @throws `keys.destroyed` */
export const ensureKeys = operation({
  name: 'keys.ensure',
  owner,
  callers: services.filter((name) => name !== 'identity'),
  input: z.object({ tenantId: Uuid, subjects: z.array(z.string().min(1).max(200)).min(1).max(100) }),
  output: z.object({ keys: z.array(z.object({ subject: z.string(), id: z.string(), key: z.string().describe('base64, 32 bytes') })) }),
});

/** Data keys in clear by their ids, of whatever version. Those that were destroyed, never were, or are another tenant's are left out. */
export const openKeys = operation({
  name: 'keys.open',
  owner,
  callers: services.filter((name) => name !== 'identity'),
  input: z.object({
    tenantId: Uuid,
    ids: z
      .array(z.string().regex(/^[^/:]{1,36}\/[^:]{1,200}\/\d{1,9}$/))
      .min(1)
      .max(100),
  }),
  output: z.object({ keys: z.array(z.object({ id: z.string(), key: z.string().describe('base64, 32 bytes') })) }),
});

/** The principal behind an API key, by the SHA-256 (hex) of the key; null where there is none or it was revoked. */
export const authenticate = operation({
  name: 'authenticate',
  owner,
  callers: ['gateway'],
  input: z.object({ keyHash: z.string().regex(/^[0-9a-f]{64}$/) }),
  output: z.object({
    principal: z
      .object({
        kind: z.enum(['staff', 'api-key', 'service']),
        id: z.string(),
        person: z.string().optional(),
        tenantId: Uuid.optional(),
        permissions: z.array(z.string()),
      })
      .nullable(),
  }),
});

/** The `secure` step of provisioning: keys and roles. Idempotent. */
export const secureTenant = operation({
  name: 'tenants.secure',
  owner,
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, operationId: Uuid, securityLevel: z.string() }),
  output: z.object({ keyVersion: z.number().int() }),
});

/** The `admin` step: the first owner is invited by mail. Idempotent. */
export const inviteAdmin = operation({
  name: 'members.invite-admin',
  owner,
  callers: ['provisioning'],
  input: z.object({
    tenantId: Uuid,
    operationId: Uuid,
    email: z.union([z.string(), z.object({ enc: z.string() })]),
    tenantName: z.string(),
    host: z.string(),
  }),
  output: z.object({ memberId: Uuid, invitationId: Uuid }),
});
/** Undoes `members.invite-admin`. Idempotent. */
export const withdrawAdmin = operation({
  name: 'members.withdraw-admin',
  owner,
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, operationId: Uuid }),
  output: z.object({}),
});

/** A mail to a contact of the tenant. `id`: a second one with the same id is not sent. */
export const sendNotice = operation({
  name: 'notices.send',
  owner,
  callers: ['provisioning'],
  input: z.object({
    id: Uuid,
    tenantId: Uuid,
    to: z.union([z.string(), z.object({ enc: z.string() })]),
    subject: z.string(),
    text: z.string(),
  }),
  output: z.object({ simulated: z.boolean().describe('Nothing has left the machine') }),
});

/** A credential of at most a minute with the tenant's own reading permissions: for the smoke test of the `verify` step. */
export const issueProbeKey = operation({
  name: 'keys.probe',
  owner,
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid }),
  output: z.object({ key: z.string() }),
});

/** What documents the platform signs: a signature of one kind is none of another. */
export const signedKinds = ['isolation-report', 'erasure-certificate'] as const;
/** A document's signature: a JWS with detached payload over `text`, its JSON by RFC 8785 (`signedText` of crypto). */
export const signDocument = operation({
  name: 'documents.sign',
  owner,
  callers: ['provisioning'],
  input: z.object({ purpose: z.enum(signedKinds), text: z.string().min(2).max(900_000) }),
  output: z.object({ keyId: z.string(), signature: z.string() }),
});

/** Tries, with short-lived credentials of one of the tenant's active event subscriptions, what these must not reach. None where it has none. */
export const probeSubscriptions = operation({
  name: 'event-subscriptions.probe',
  owner,
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, foreignTenantId: Uuid.nullable() }),
  output: z.object({ attempts: z.array(z.object({ what: z.enum(['publish', 'subscribe']), subject: z.string(), refused: z.boolean() })) }),
});

/** Destroys the key of an export of the platform: what was encrypted with it can't be read any more. Idempotent. */
export const destroyExportKey = operation({
  name: 'keys.destroy-export',
  owner,
  callers: ['provisioning'],
  input: z.object({ subject: z.string().regex(/^export-[0-9a-f-]{36}$/) }),
  output: z.object({}),
});

/** Master keys of identity's KMS, by name. */
export const masterKeyState = operation({
  name: 'master-key.state',
  owner,
  callers: ['provisioning'],
  input: z.object({}),
  output: z.object({ current: z.string() }),
});
/** Where a batch has ended. `id`: of a tenant, or of a signing key. */
const RewrapCursor = z.object({ id: z.string().max(100), version: z.number().int() });
/**
 * Wraps a batch of what another master key has wrapped by `to`: of the signing keys where `portion` is null, else of the tenants whose id
 * ends in that hexadecimal digit. What can't be opened stays as it is, and is named. Idempotent.
 * @throws `keys.other_master_key` where the process that answers has another current one
 */
export const rewrapKeys = operation({
  name: 'master-key.rewrap',
  owner,
  callers: ['provisioning'],
  input: z.object({
    to: z.string().max(64),
    portion: z.number().int().min(0).max(15).nullable(),
    from: RewrapCursor.nullable().describe('As the batch before has answered'),
  }),
  output: z.object({
    rewrapped: z.number().int(),
    unopened: z.array(RewrapCursor).describe('Keys that the master key which is said to have wrapped them does not open'),
    from: RewrapCursor.nullable(),
    isLast: z.boolean(),
  }),
});
