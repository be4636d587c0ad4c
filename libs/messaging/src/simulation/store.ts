import { DomainError } from '@tenantry/contracts/errors';
import type { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { type AppendCommand, type AppendResult, EventStore, type Head, type LogSlice, type StreamSlice } from '@tenantry/event-store/port';
import { Outage, type Process } from './world.js';

const retryForMs = 15_000;

/** The log as a process reaches it: far away, and repeated identically when no answer came, as the real adapter does. */
export class RemoteEventStore extends EventStore {
  constructor(
    private readonly process: Process,
    private readonly logs: MemoryEventStore,
  ) {
    super();
  }

  override async append(command: AppendCommand): Promise<AppendResult> {
    const { result, attempts } = await this.persistently(() => this.logs.append(command));
    if (result.outcome === 'appended' || attempts > 1) this.onAppended?.([command.tenantId]);
    return result;
  }
  override async readStream(
    tenantId: string,
    stream: string,
    options?: { fromVersion?: number; commandId?: string },
  ): Promise<StreamSlice> {
    return (await this.persistently(() => this.logs.readStream(tenantId, stream, options))).result;
  }
  override async readLog(tenantId: string, from: number, options?: { types?: readonly string[]; limit?: number }): Promise<LogSlice> {
    return (await this.persistently(() => this.logs.readLog(tenantId, from, options))).result;
  }
  override async readLogs(
    requests: { tenantId: string; from: number }[],
    options?: { types?: readonly string[]; limit?: number },
  ): Promise<Map<string, LogSlice>> {
    return (await this.persistently(() => this.logs.readLogs(requests, options))).result;
  }
  override async heads(options?: { tenantIds?: readonly string[]; after?: string; limit?: number }): Promise<Head[]> {
    return (await this.persistently(() => this.logs.heads(options))).result;
  }

  private async persistently<T>(work: () => Promise<T>): Promise<{ result: T; attempts: number }> {
    const { scheduler } = this.process;
    const endMs = scheduler.nowMs() + retryForMs;
    for (let attempts = 1; ; attempts++) {
      try {
        return { result: await this.process.ask(work), attempts };
      } catch (error) {
        if (!(error instanceof Outage)) throw error;
        const waitMs = Math.min(1_000, 25 * 2 ** attempts) * (0.5 + scheduler.random() / 2);
        if (scheduler.nowMs() + waitMs > endMs) throw new DomainError('service.unavailable', { cause: error });
        await scheduler.sleep(waitMs);
      }
    }
  }
}
