import type { Applied } from './checkpoints.js';

export interface Known {
  /** The checkpoint as this process last saw or wrote it; null where there was none. */
  applied: Applied | null;
  /** Up to here nothing that the consumer handles comes after the checkpoint. */
  scannedTo: number;
  /** Of the placement that it was seen at. */
  generation?: number;
}

/** What this process remembers of its checkpoints, so that most runs needn't read them. Being wrong is found out when the checkpoint is moved. Bounded: the longest unused go. */
export class Progress {
  private readonly byTenant = new Map<string, Known>();
  constructor(private readonly limit = 20_000) {}

  get(tenantId: string): Known | undefined {
    return this.byTenant.get(tenantId);
  }

  set(tenantId: string, known: Known): void {
    this.byTenant.delete(tenantId);
    this.byTenant.set(tenantId, known);
    if (this.byTenant.size > this.limit) this.byTenant.delete(this.byTenant.keys().next().value as string);
  }

  forget(tenantId: string): void {
    this.byTenant.delete(tenantId);
  }

  /** All that is known to have been looked at, -1 where nothing is known. */
  scannedTo(tenantId: string): number {
    return this.byTenant.get(tenantId)?.scannedTo ?? -1;
  }
}
