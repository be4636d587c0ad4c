import type { CampaignBody, CampaignPlan } from '@tenantry/contracts/platform/blueprints';
import type { NewItem } from '../job/job-handler.js';
import { type CampaignTarget, targetName } from './campaign-targets.js';

const SAMPLE = 20;

/**
 * Who goes when. Wave 0 is the canary; then waves up to the given shares of all; `app_shared` goes with the last one, because it is
 * many tenants at once. Pure.
 */
export function waves(
  own: readonly CampaignTarget[],
  shared: readonly CampaignTarget[],
  { canary = 0, waves: shares = [100] }: CampaignBody,
): NewItem[] {
  const rest = Math.max(0, own.length - canary);
  const bounds = [...shares.filter((share) => share < 100), 100].map((share) => canary + Math.ceil((rest * share) / 100));
  const waveOf = (index: number) => (index < canary ? 0 : 1 + bounds.findIndex((bound) => index < bound));
  return [
    ...own.map((target, index) => ({ tenantId: target.tenantId, target: targetName(target), wave: waveOf(index) })),
    ...shared.map((target) => ({ tenantId: null, target: targetName(target), wave: bounds.length })),
  ];
}

/** What a campaign would do. Pure. */
export function planned(
  targets: readonly CampaignTarget[],
  items: readonly NewItem[],
  upToDate: number,
  statements: string[],
): CampaignPlan {
  const count = <K>(keys: K[]) => [...Map.groupBy(keys, (key) => key)].map(([key, all]) => [key, all.length] as const);
  return {
    matched: items.length,
    upToDate,
    waves: count(items.map(({ wave = 0 }) => wave))
      .sort(([a], [b]) => a - b)
      .map(([wave, number]) => ({ wave, targets: number })),
    byIsolation: Object.fromEntries(count(targets.map(({ isolation }) => isolation))),
    byVersion: count(targets.map(({ version }) => version))
      .sort(([a], [b]) => a - b)
      .map(([version, number]) => ({ version, targets: number })),
    statements,
    sample: items.slice(0, SAMPLE).map(({ tenantId, target = '' }) => ({ tenantId, target })),
  };
}
