// A Node service with BullMQ's own telemetry: it adds one job to the queue `jobs`, runs one of the queue `node`, and
// sends its spans to a collector before it ends.
//
// Usage: node traced.mjs REDIS_URL PREFIX COLLECTOR_URL
import { trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { Queue, Worker } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';

const [url, prefix, collector] = process.argv.slice(2);
const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${collector}/v1/traces` }))],
});
provider.register();
const telemetry = new BullMQOtel({ tracerName: 'a service in Node' });

let tellEnd;
const ended = new Promise((resolve, reject) => { tellEnd = { resolve, reject }; });
const worker = new Worker(
  'node',
  async () => {
    trace.getTracer('a service in Node').startSpan('what the handler in Node does').end();
  },
  { connection: { url }, prefix, telemetry },
);
worker.on('completed', () => tellEnd.resolve());
worker.on('failed', (_job, error) => tellEnd.reject(error));

const queue = new Queue('jobs', { connection: { url }, prefix, telemetry });
await trace.getTracer('a service in Node').startActiveSpan('a request in Node', async span => {
  await queue.add('order', { card: 'a secret of the customer' });
  span.end();
});
await ended;
await worker.close();
await queue.close();
await provider.shutdown();
