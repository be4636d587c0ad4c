import { connectionFault, connectionStrings } from '@tenantry/event-store/adapters/kurrentdb/connection-string';
import { s3Place } from '@tenantry/tenancy/s3-place';
import { z } from 'zod';

/**
 * Environment of every process, read once at start. All faults are reported at once.
 * The local launcher sets it; in Kubernetes it comes from ConfigMaps and Secrets (see k8s/base).
 */
export const processEnvironment = z.object({
  /** The control-plane database, with this service's own login (`tenantry_<service>`, hyphens as underscores). */
  TENANTRY_POSTGRES_URL: z.string().regex(/^postgres(ql)?:\/\//),
  /**
   * Where KurrentDB decides the logs: its connection string, which may hold a login. Without it PostgreSQL does. The same in every process,
   * and for ever: the logs don't move from one to the other.
   */
  TENANTRY_EVENTSTORE_URL: z.preprocess(
    // As a compose file gives what isn't set.
    (value) => (value === '' ? undefined : value),
    z
      .string()
      .superRefine((url, { addIssue }) => {
        const fault = connectionFault(url);
        if (fault !== null) addIssue({ code: 'custom', message: `${fault}; give ${connectionStrings}` });
      })
      .optional(),
  ),
  TENANTRY_NATS_URL: z.string().default('nats://127.0.0.1:4222'),
  /** NATS credentials of this process. */
  TENANTRY_NATS_CREDS_FILE: z.string(),
  TENANTRY_HEALTH_HOST: z.string().default('127.0.0.1'),
  /** `/livez`, `/readyz`, `/metrics`; 0 = any free port. */
  TENANTRY_HEALTH_PORT: z.coerce.number().int().min(0).max(65535).default(9464),
  TENANTRY_DATA_DIR: z.string().default('.tenantry'),
  /** Where tenants' files are kept: `s3://<bucket>/<prefix>?region=…`. Without it in the data directory. The same in every process. */
  TENANTRY_STORAGE_URL: z.preprocess(
    // As a compose file gives what isn't set.
    (value) => (value === '' ? undefined : value),
    z
      .string()
      .superRefine((url, { addIssue }) => {
        try {
          s3Place(url);
        } catch (error) {
          addIssue({ code: 'custom', message: (error as Error).message });
        }
      })
      .optional(),
  ),
  TENANTRY_BASE_DOMAIN: z.string().default('tenantry.localhost'),
  TENANTRY_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  TENANTRY_REPLICA: z.coerce.number().int().min(0).default(0),
  /** Connections that one tenant may use at once, in each process. */
  TENANTRY_TENANT_CONNECTIONS: z.coerce.number().int().min(1).max(100).default(3),
  /** How long one statement of a tenant may take. */
  TENANTRY_TENANT_STATEMENT_TIMEOUT_MS: z.coerce.number().int().min(100).max(600_000).default(10_000),
  /** How long nobody may come in to a tenant that changes its place; a move that would need longer at every try is undone. */
  TENANTRY_MOVE_PAUSE_MS: z.coerce.number().int().min(50).max(60_000).default(400),
  /** Requests with one tenant's own credentials that each gateway works on at once; some more wait. */
  TENANTRY_TENANT_REQUESTS: z.coerce.number().int().min(1).max(10_000).default(32),
  /** Of provisioning's alone: what a file that is sent as it is may have. */
  TENANTRY_FILE_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .max(80_000_000_000)
    .default(5 * 1024 ** 3),
  /** Of provisioning's alone: uploads that each process takes at once, a quarter of them of one tenant. With a bucket each needs up to 24 MiB of memory. */
  TENANTRY_UPLOADS: z.coerce.number().int().min(1).max(1_000).default(16),
  /** Of the gateway's alone: uploads and downloads of one tenant's files that each gateway works on at once. */
  TENANTRY_TENANT_TRANSFERS: z.coerce.number().int().min(1).max(1_000).default(8),
  /** Which roles of the program run here. */
  TENANTRY_ROLE: z.enum(['api', 'worker', 'both']).default('both'),
  /** `live` or `test`: the middle part of API keys. */
  TENANTRY_ENVIRONMENT: z.enum(['live', 'test']).default('live'),
  /** Ed25519 public key (SPKI, PEM) of the tokens that the gateway adds to calls. */
  TENANTRY_TOKEN_PUBLIC_KEY_FILE: z.string(),
  /** Of the gateway's alone: the private key (PKCS#8, PEM). */
  TENANTRY_TOKEN_PRIVATE_KEY_FILE: z.string().optional(),
  /** Of identity's alone: 32 bytes (base64) that wrap the tenants' keys. `<name>.<anything>.<ext>` beside `<name>.<ext>` only unwraps. */
  TENANTRY_KMS_KEY_FILE: z.string().optional(),
  /** Of identity's alone: a tenant's key that is older gets a newer version; 0 for never. */
  TENANTRY_KEY_ROTATION_DAYS: z.coerce.number().int().min(0).max(36_500).default(365),
  /** Of identity's alone: seeds of the broker's operator and of the platform's account, and a user of the system account that may push accounts. Event subscriptions need all three. */
  TENANTRY_NATS_OPERATOR_SEED_FILE: z.string().optional(),
  TENANTRY_NATS_PLATFORM_SEED_FILE: z.string().optional(),
  TENANTRY_NATS_SYSTEM_CREDS_FILE: z.string().optional(),
  /** Of identity's alone: where event subscribers reach the broker. Without it, where the processes do. */
  TENANTRY_PUBLIC_NATS_URL: z.string().optional(),
  /** Of identity's alone: every so many seconds the broker is compared with what event subscriptions need. */
  TENANTRY_SUBSCRIPTION_CHECK_SECONDS: z.coerce.number().min(1).max(300).default(10),
  /** Of the gateway's alone. */
  TENANTRY_HTTP_HOST: z.string().default('127.0.0.1'),
  TENANTRY_PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  /** Of the gateway's alone: addresses or CIDR ranges of the proxies before it, whose `X-Forwarded-For` is believed. None unless given. */
  TENANTRY_TRUST_PROXY: z.string().optional(),
  /** Where the gateway is reached from inside, for the smoke test of a new tenant. */
  TENANTRY_GATEWAY_URL: z.string().optional(),
  /** Of provisioning's alone: every so many hours all tenants' isolation is checked; 0 for never. */
  TENANTRY_ISOLATION_CHECK_HOURS: z.coerce.number().min(0).max(8_760).default(24),
  /** Of provisioning's alone: the control-plane database with the login that the operator's blueprints run with (`tenantry_blueprints`). */
  TENANTRY_BLUEPRINTS_POSTGRES_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//)
    .optional(),
  /** First platform API key, created at identity's first start (from the launcher or a Secret). */
  TENANTRY_BOOTSTRAP_KEY_FILE: z.string().optional(),
  /** `outbox` (simulated: kept in a table, shown at /outbox of the health port). */
  TENANTRY_MAIL: z.enum(['outbox']).default('outbox'),
  TENANTRY_TEST: z.enum(['0', '1']).default('0'),
  TENANTRY_FAULT: z.string().optional(),
});
export type ProcessEnvironment = z.infer<typeof processEnvironment>;

/** @throws Error that lists every fault, one a line, with the variable's name */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): ProcessEnvironment {
  const read = processEnvironment.safeParse(env);
  if (read.success) return read.data;
  const faults = read.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`The environment is not usable:\n${faults.join('\n')}`);
}
