// A Node BullMQ on a Redis Cluster: runs the job that we add to `theirs`, and adds one to `ours` and waits for it.
//
// Usage: node cluster_peer.mjs NODE_MODULES PORT PREFIX
// Prints as JSON our job's payload, and what our handler returned.
import { createRequire } from 'node:module';

const [modules, port, prefix] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Queue, QueueEvents, Worker } = require('bullmq');
const { Cluster } = require('ioredis');

const clusters = [];
function connection() {
  const options = { redisOptions: { maxRetriesPerRequest: null } };
  clusters.push(new Cluster([{ host: '127.0.0.1', port: Number(port) }], options));
  return clusters.at(-1);
}

const worker = new Worker('theirs', async job => job.data.payload, { connection: connection(), prefix });
const [, payload] = await new Promise(resolve => worker.on('completed', (...told) => resolve(told)));

// From the first event on: a reader of new ones alone may begin to read after the job has ended.
const queue = new Queue('ours', { connection: connection(), prefix });
const events = new QueueEvents('ours', { connection: connection(), prefix, lastEventId: '0-0' });
const job = await queue.add('echo', { type: 'adhoc', payload: 'from node' });
const returned = await job.waitUntilFinished(events, 20_000);

await Promise.all([worker.close(), events.close(), queue.close()]);
await Promise.all(clusters.map(cluster => cluster.quit()));
console.log(JSON.stringify({ payload, returned }));
