/** How far each log was appended to by this process, as long as the copy isn't known to have it. */
export class AppendedEnds {
  private readonly ends = new Map<string, number>();

  /** -1 where there is nothing to wait for. */
  get(tenantId: string): number {
    return this.ends.get(tenantId) ?? -1;
  }
  tenants(): string[] {
    return [...this.ends.keys()];
  }
  add(tenantId: string, position: number): void {
    if (position <= this.get(tenantId)) return;
    this.ends.set(tenantId, position);
    // Whoever is that far behind has waited long enough.
    if (this.ends.size > 10_000) this.ends.delete(this.ends.keys().next().value as string);
  }
  copied(tenantId: string, head: number): void {
    if (this.get(tenantId) <= head) this.ends.delete(tenantId);
  }
}
