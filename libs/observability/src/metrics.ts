import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Everything that this process measures. */
export const registry = new Registry();

/** Memory, CPU, event loop, garbage collection. Called once at start. */
export function collectProcessMetrics(service: string): void {
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
}

/** Text in Prometheus' format, and its content type. */
export const exposition = async (): Promise<{ contentType: string; text: string }> => ({
  contentType: registry.contentType,
  text: await registry.metrics(),
});

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** The histogram of that name; made at the first call. Names begin with `tenantry_` and end in their unit; labels have few values, never a tenant. */
export const histogram = <L extends string>(
  name: string,
  help: string,
  labels: readonly L[] = [],
  buckets: number[] = SECONDS,
): Histogram<L> =>
  (registry.getSingleMetric(name) as Histogram<L> | undefined) ??
  new Histogram({ name, help, labelNames: labels, buckets, registers: [registry] });

/** A number that is asked for whenever somebody looks; `total` for one that only rises. */
export function observed(name: string, help: string, read: () => number, total = false): void {
  const options = { name, help, registers: [registry] };
  if (total)
    new Counter({
      ...options,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  else
    new Gauge({
      ...options,
      collect() {
        this.set(read());
      },
    });
}

/** Gauges that are measured when they are asked for: `measure` gives a value per label value. */
export const measuredGauge = (name: string, help: string, label: string, measure: () => Promise<Map<string, number>>): Gauge =>
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    async collect() {
      this.reset();
      for (const [value, number] of await measure()) this.set({ [label]: value }, number);
    },
  });

/** Calls that this process served. */
export const rpcServed = histogram('tenantry_rpc_served_seconds', 'Calls served, by operation and outcome', ['operation', 'outcome']);
/** Calls that this process made. */
export const rpcCalled = histogram('tenantry_rpc_called_seconds', 'Calls made, by operation and outcome', ['operation', 'outcome']);
export const appended = histogram('tenantry_log_append_seconds', 'Appends to tenant logs, by outcome', ['outcome']);
export const effects = histogram('tenantry_effects_seconds', 'Effects run, by kind and outcome', ['effect', 'outcome']);
/** From the log to the broker's acknowledgement, of each log's last event in a round; what is published again doesn't count. */
export const relayed = histogram('tenantry_relay_lag_seconds', 'From an event to its acknowledgement by the broker');
