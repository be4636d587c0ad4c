import type { Span, Tracer } from '@opentelemetry/api';
import { currentContext, runWith } from './context.js';
import { formatTraceparent, parseTraceparent } from './traceparent.js';

type Api = typeof import('@opentelemetry/api');
let otel: { api: Api; tracer: Tracer } | null = null;

/**
 * Starts OpenTelemetry where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; elsewhere nothing of it is even loaded.
 * @returns what sends the last spans and ends it
 */
export async function startTracing(service: string, env: NodeJS.ProcessEnv = process.env): Promise<() => Promise<void>> {
  if (!env['OTEL_EXPORTER_OTLP_ENDPOINT']) return async () => {};
  const [api, { NodeSDK }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ]);
  const sdk = new NodeSDK({ serviceName: `tenantry-${service}`, traceExporter: new OTLPTraceExporter() });
  sdk.start();
  otel = { api, tracer: api.trace.getTracer('tenantry') };
  return async () => {
    otel = null;
    await sdk.shutdown();
  };
}

/** Runs `work` as a span below the current context's `traceparent`, which is the span's own meanwhile. Without OpenTelemetry it just runs. */
export function traced<T>(name: string, attributes: Record<string, string | number | boolean>, work: () => Promise<T>): Promise<T> {
  return otel === null ? work() : inSpan(otel, name, attributes, work);
}

async function inSpan<T>(
  { api, tracer }: NonNullable<typeof otel>,
  name: string,
  attributes: Record<string, string | number | boolean>,
  work: () => Promise<T>,
): Promise<T> {
  const context = currentContext() ?? {};
  const parent = parseTraceparent(context.traceparent);
  const parentContext = parent
    ? api.trace.setSpanContext(api.ROOT_CONTEXT, {
        traceId: parent.traceId,
        spanId: parent.spanId,
        traceFlags: Number.parseInt(parent.flags, 16),
        isRemote: true,
      })
    : api.ROOT_CONTEXT;
  const span: Span = tracer.startSpan(name, { attributes }, parentContext);
  const { traceId, spanId, traceFlags } = span.spanContext();
  const traceparent = formatTraceparent({ traceId, spanId, flags: traceFlags.toString(16).padStart(2, '0') });
  try {
    return await runWith({ ...context, traceparent }, work);
  } catch (error) {
    span.recordException(error as Error);
    span.setStatus({ code: api.SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
