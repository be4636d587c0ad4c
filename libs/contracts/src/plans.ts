import { z } from 'zod';

export const planIds = ['free', 'professional', 'business', 'enterprise', 'msp'] as const;

const aliases: Record<string, string> = { pro: 'professional', basic: 'free', starter: 'free' };
/** Canonical id of a plan or tier name: `pro` is professional, `basic` and `starter` are free. */
export const canonicalPlan = (name: string): string => aliases[name.toLowerCase()] ?? name.toLowerCase();
/** The tenant surface says `free, pro, business, enterprise, msp`. */
export const tierName = (plan: string): string => (plan === 'professional' ? 'pro' : plan);

export const ResourceKind = z.enum(['gauge', 'counter', 'rate', 'concurrency']);
/** `unit`: `count` or `bytes`. Counters start again with each billing period; gauges never. */
export const resources = {
  users: { kind: 'gauge', unit: 'count' },
  devices: { kind: 'gauge', unit: 'count' },
  storage: { kind: 'gauge', unit: 'bytes' },
  bandwidth: { kind: 'counter', unit: 'bytes' },
  api_calls: { kind: 'counter', unit: 'count' },
  alerts: { kind: 'counter', unit: 'count' },
  compute_cpu: { kind: 'counter', unit: 'seconds' },
  compute_memory: { kind: 'gauge', unit: 'bytes' },
  concurrent_users: { kind: 'concurrency', unit: 'count' },
  domains: { kind: 'gauge', unit: 'count' },
  database_size: { kind: 'gauge', unit: 'bytes' },
} as const satisfies Record<string, { kind: z.infer<typeof ResourceKind>; unit: string }>;
export type Resource = keyof typeof resources;
export const resourceNames = Object.keys(resources) as [Resource, ...Resource[]];

export const SecurityLevel = z.enum(['basic', 'standard', 'advanced', 'enterprise']);

/** What a plan grants. Limits are in the resource's unit; null is unlimited, a resource not named is metered and unlimited. */
export const PlanTerms = z.object({
  priceMinor: z.number().int().min(0).describe('Per month, in minor units of the currency'),
  currency: z.string(),
  limits: z.record(z.string(), z.number().int().min(0).nullable()),
  retentionDays: z.number().int().min(1),
  securityLevel: SecurityLevel,
  priority: z.number().int().min(0).max(100).describe('Higher is served first'),
  features: z.array(z.string()),
});
export type PlanTerms = z.infer<typeof PlanTerms>;

const GB = 1_000_000_000;
const terms = (
  priceUsd: number,
  [users, devices, storage, api_calls, alerts]: [number, number, number, number, number],
  retentionDays: number,
  securityLevel: PlanTerms['securityLevel'],
  priority: number,
  features: string[],
): PlanTerms => ({
  priceMinor: priceUsd * 100,
  currency: 'USD',
  limits: { users, devices, storage, api_calls, alerts },
  retentionDays,
  securityLevel,
  priority,
  features,
});

/**
 * Features that the platform itself acts on: `reselling`: the tenant may have children. `pooled_limits`: its limits bound the sum of what it and
 * its children use.
 *
 * The catalogue that a new installation starts with, as version 1 of each plan. */
export const shippedPlans: Record<(typeof planIds)[number], PlanTerms> = {
  free: terms(0, [5, 10, GB, 1_000, 100], 30, 'basic', 10, []),
  professional: terms(299, [50, 100, 10 * GB, 10_000, 1_000], 90, 'standard', 30, ['custom_domains']),
  business: terms(799, [500, 1_000, 100 * GB, 100_000, 10_000], 365, 'advanced', 50, ['custom_domains', 'manual_certificates']),
  enterprise: terms(1_999, [1_000, 5_000, 500 * GB, 500_000, 50_000], 730, 'enterprise', 70, [
    'custom_domains',
    'manual_certificates',
    'custom_css',
    'worker_group',
  ]),
  msp: terms(2_999, [1_000, 10_000, 1_000 * GB, 1_000_000, 100_000], 730, 'enterprise', 80, [
    'custom_domains',
    'manual_certificates',
    'custom_css',
    'worker_group',
    'reselling',
    'pooled_limits',
  ]),
};

/** A plan as one version of it stood: embedded in events that rely on it. */
export const PlanSnapshot = PlanTerms.extend({ id: z.string(), version: z.number().int().min(1), trialDays: z.number().int().min(0) });
export type PlanSnapshot = z.infer<typeof PlanSnapshot>;
