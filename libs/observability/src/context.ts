import { AsyncLocalStorage } from 'node:async_hooks';

/** What belongs to the work at hand, wherever its code is: log lines and further calls carry it on. */
export interface WorkContext {
  /** W3C: `00-<trace id>-<span id>-<flags>`. */
  traceparent?: string;
  tenantId?: string;
}

const storage = new AsyncLocalStorage<WorkContext>();

/** Runs `work` with that context, whatever it awaits. */
export const runWith = <T>(context: WorkContext, work: () => T): T => storage.run(context, work);
export const currentContext = (): WorkContext | undefined => storage.getStore();
