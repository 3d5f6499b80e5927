// Superseding as docs/wire.md shows it: the module that the test made of its code block, put to use.
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

import { Worker } from 'bullmq';

const load = path => import(pathToFileURL(path).href);

export async function addSuperseding(session, { path, name, payload, dedupeKey, opts = {}, ...at }) {
  const { enqueueSuperseding } = await load(path);
  return enqueueSuperseding(session.queue(at), name, payload, dedupeKey, opts);
}

// Its processor takes `ms`, unless it is told to stop.
export async function startSupersedingWorker(session, { path, workerId, ms, ...at }) {
  const { supersedable, endLanes } = await load(path);
  const queue = session.queue(at);
  const processor = supersedable(queue, async (job, signal) => {
    await sleep(ms, undefined, { signal });
    return job.data.payload;
  });
  const worker = new Worker(at.queue, processor, { prefix: at.prefix, connection: session.connection });
  worker.on('error', error => console.error(`worker ${workerId}: ${error.stack}`));
  endLanes(queue, worker);
  session.workers.set(workerId, worker);
  await worker.waitUntilReady();
}
