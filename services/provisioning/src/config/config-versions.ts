import { Injectable } from '@nestjs/common';
import { type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import { DomainError } from '@tenantry/contracts/errors';
import type { Personal } from '@tenantry/contracts/events';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { changesBetween, type NodeChange } from '../history/changes.js';
import { configDocumentOf, type Document, Sealed } from '../history/document.js';
import { after, nothing, type Snapshot } from '../history/snapshot.js';
import { TenantHistory } from '../history/tenant-history.js';
import { registered } from '../tenant/tenant.js';
import type { ClearChange } from './change.js';
import type { Config } from './config.js';
import { VersionCounter, type VersionMark, versionTypes } from './versions.js';

export interface VersionChanges extends VersionMark {
  changes: NodeChange[];
}

/** Versions of the configuration, by folding the log: one page of events, one snapshot and a mark per version are in memory. */
@Injectable()
export class ConfigVersions {
  constructor(
    private readonly history: TenantHistory,
    private readonly keyring: Keyring,
  ) {}

  /** @throws DomainError `tenant.not_found` */
  head(tenantId: string): Promise<number> {
    return this.history.head(tenantId);
  }

  /** The newest below a version, newest first, with what each changed. */
  async page(tenantId: string, head: number, below: number, limit: number): Promise<VersionChanges[]> {
    const marks: VersionMark[] = [];
    const counter = new VersionCounter();
    for await (const event of this.history.events(tenantId, 0, head, versionTypes)) {
      const mark = counter.count(event);
      if (!mark || mark.version >= below) continue;
      if (marks.at(-1)?.version === mark.version) marks.pop();
      else if (marks.length === limit) marks.shift();
      marks.push(mark);
    }
    return (await this.changesOf(tenantId, marks)).reverse();
  }

  /** Marks are in their order, and the log is read once for all of them. */
  private async changesOf(tenantId: string, marks: readonly VersionMark[]): Promise<VersionChanges[]> {
    const found: VersionChanges[] = [];
    let snapshot: Snapshot = nothing;
    let before: Document = {};
    for await (const event of this.history.events(tenantId, 0, marks.at(-1)?.position ?? -1, versionTypes)) {
      const mark = marks[found.length];
      if (event.position === mark?.from) before = configDocumentOf(snapshot);
      snapshot = after(snapshot, event);
      if (event.position === mark?.position) found.push({ ...mark, changes: changesBetween(before, configDocumentOf(snapshot)) });
    }
    return found;
  }

  /** What there was with a version. @throws DomainError `config_version.not_found` */
  async at(tenantId: string, head: number, version: number): Promise<Snapshot> {
    const counter = new VersionCounter();
    let snapshot: Snapshot = nothing;
    let found: Snapshot | null = null;
    for await (const event of this.history.events(tenantId, 0, head, versionTypes)) {
      snapshot = after(snapshot, event);
      const mark = counter.count(event);
      if (mark?.version === version) found = snapshot;
      else if (found && mark) break;
    }
    if (!found) {
      const last = counter.last?.version ?? 0;
      throw new DomainError('config_version.not_found', {
        detail: last === 0 ? 'The configuration has no version yet.' : `The configuration has the versions 1 to ${last}.`,
      });
    }
    return found;
  }

  /** Without those whose values are the same in clear: they were only stored anew. */
  async different(tenantId: string, changes: NodeChange[]): Promise<NodeChange[]> {
    const pairs = changes.flatMap(({ from, to }) => (from instanceof Sealed && to instanceof Sealed ? [[from.value, to.value]] : []));
    const clear = (await revealed<unknown>(this.keyring, tenantId, pairs)) as [Personal, Personal][];
    let pair = 0;
    return changes.filter(({ from, to }) => {
      if (!(from instanceof Sealed && to instanceof Sealed)) return true;
      const [before, now] = clear[pair++] as [Personal, Personal];
      return before !== now;
    });
  }

  /** What makes the configuration of now as it was then, in clear. Known settings are always there, so they are never removed. */
  async backTo(tenantId: string, then: Snapshot, now: Config): Promise<ClearChange> {
    const owner = registered(then.tenant);
    const settings = Object.values(then.config.settings);
    const values = (await revealed<unknown>(
      this.keyring,
      tenantId,
      settings.map(({ value }) => value),
    )) as string[];
    return {
      settings: settings.map(({ key, type, category, encrypted }, index) => ({
        key,
        value: values[index] as string,
        type,
        category,
        encrypted,
      })),
      removed: Object.keys(now.settings).flatMap((key) => (Object.hasOwn(then.config.settings, key) ? [] : [{ key }])),
      features: Object.entries(then.config.features).map(([flag, { enabled, percentage }]) => ({ flag, enabled, percentage, at: null })),
      reset: Object.keys(now.features).filter((flag) => !Object.hasOwn(then.config.features, flag)),
      tenant: Object.fromEntries(Object.keys(regionalSettings).map((key) => [key, owner[key as RegionalSetting]])),
    };
  }
}
