import type { ConfigChange, configEvents } from '@tenantry/contracts/config/events';
import type { EventOf, Stored } from '@tenantry/contracts/events';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import { fold } from '@tenantry/event-store/aggregate';
import { resetFeature, setFeature } from '../feature/feature.js';
import { type Config, change, config, removeSetting, type Seen, type SettingRecord } from './config.js';

type ConfigEvent = EventOf<typeof configEvents>;
type TenantEvent = EventOf<typeof tenantEvents>;
/** A change with all values in clear. */
export interface ClearChange extends Omit<ConfigChange, 'settings' | 'removed'> {
  settings: (SettingRecord & { value: string })[];
  removed: { key: string }[];
}

export const nothingChanged: ClearChange = { settings: [], removed: [], features: [], reset: [], tenant: {} };

/** Keys of the settings that a change names. */
export const keysOf = ({ settings, removed }: ClearChange): string[] => [...settings, ...removed].map(({ key }) => key);

/** The part of a change that is the configuration's, as one command; `seen` has the settings of its keys. */
export const changeAll =
  ({ settings, removed, features, reset }: ClearChange, seen: ReadonlyMap<string, Seen>, now: string) =>
  (state: Config): ConfigEvent[] => {
    const decisions = [
      ...removed.map(({ key }) => removeSetting(key)),
      ...settings.map((setting) => change(setting, seen.get(setting.key) ?? null)),
      ...reset.map(resetFeature),
      ...features.map(({ flag, ...wanted }) => setFeature(flag, wanted, now)),
    ];
    const decided: ConfigEvent[] = [];
    // Each decides on what those before it leave: limits hold for all of them together.
    let current = state;
    for (const decide of decisions) {
      const events = decide(current);
      decided.push(...events);
      current = fold(config, events.map(draft), current);
    }
    return decided;
  };

const draft = (event: ConfigEvent) =>
  ({ ...event, recordedAt: '', metadata: { commandId: '', actor: { kind: 'system', id: '' } } }) as unknown as Stored<ConfigEvent>;

/** What the events of a decision change, and nothing else: what others have to approve. */
export function changeOf(ofTenant: readonly TenantEvent[], ofConfig: readonly ConfigEvent[]): ConfigChange {
  const found: ConfigChange = { settings: [], removed: [], features: [], reset: [], tenant: {} };
  for (const { type, data } of ofTenant) {
    if (type === 'TenantPlanChanged') {
      found.tenant.plan = data.plan.id;
      found.planVersion = data.plan.version;
    }
    if (type !== 'TenantUpdated') continue;
    const { before: _, ...fields } = data;
    Object.assign(found.tenant, fields);
  }
  for (const { type, data } of ofConfig) {
    if (type === 'SettingChanged') found.settings.push(data);
    if (type === 'SettingRemoved') found.removed.push(data);
    // A schedule that comes on record by the way was approved as one.
    if (type === 'FeatureChanged' && data.scheduledAt === undefined) found.features.push({ ...rollout(data), at: null });
    if (type === 'FeatureScheduled') found.features.push({ ...rollout(data), at: data.at });
    if ((type === 'FeatureReset' || type === 'FeatureScheduleCancelled') && !found.reset.includes(data.flag)) found.reset.push(data.flag);
  }
  return found;
}

const rollout = ({ flag, enabled, percentage }: { flag: string; enabled: boolean; percentage: number }) => ({ flag, enabled, percentage });
