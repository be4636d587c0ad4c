import { z } from 'zod';

const relayEnvironment = z.object({
  /** Copies of the event stream among the brokers: 1 for a single one, 3 in a cluster. */
  TENANTRY_STREAM_REPLICAS: z.coerce.number().int().min(1).max(5).default(1),
});

/** What the relay needs beyond the environment of every process. @throws Error that names the variable */
export function readRelayEnvironment(env: NodeJS.ProcessEnv = process.env): { streamReplicas: number } {
  const read = relayEnvironment.safeParse(env);
  if (!read.success) throw new Error(read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'));
  return { streamReplicas: read.data.TENANTRY_STREAM_REPLICAS };
}
