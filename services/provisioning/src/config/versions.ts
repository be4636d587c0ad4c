import { isRegional } from '@tenantry/contracts/config/known-settings';
import type { Actor, StoredEvent } from '@tenantry/contracts/events';

/** Where a version of the configuration ends in the tenant's log. */
export interface VersionMark {
  version: number;
  /** Of its first and its last event. */
  from: number;
  position: number;
  changedAt: string;
  actor: Actor;
}

const always = new Set(['SettingsInitialized', 'SettingChanged', 'SettingRemoved', 'FeatureChanged', 'FeatureReset']);
/** The types that versions, and what is in them, follow from. */
export const versionTypes: readonly string[] = [...always, 'TenantRegistered', 'RegistrationAbandoned', 'TenantUpdated'];

/**
 * Numbers the versions of settings and flags, from 1 on: each command that changed some is one. Pure: the log never changes, so neither do
 * the numbers. Changes of a plan and schedules that have not come are none; before its first settings a tenant has no version.
 */
export class VersionCounter {
  last: VersionMark | null = null;
  private commandId = '';

  /** The version that the event belongs to, null for none. The mark of a version that goes on is replaced. */
  count(event: StoredEvent): VersionMark | null {
    if (!this.changes(event)) return null;
    const { position, recordedAt: changedAt, metadata } = event;
    const goesOn = this.last !== null && metadata.commandId === this.commandId && position === this.last.position + 1;
    const { version, from } = goesOn && this.last ? this.last : { version: (this.last?.version ?? 0) + 1, from: position };
    this.commandId = metadata.commandId;
    this.last = { version, from, position, changedAt, actor: metadata.actor };
    return this.last;
  }

  private changes({ type, data }: StoredEvent): boolean {
    if (type === 'TenantUpdated') return this.last !== null && Object.keys(data as object).some(isRegional);
    return always.has(type);
  }
}
