// Workers of the peer, and the small set of processors that a test may ask for by name.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { UnrecoverableError, Worker } from 'bullmq';

// Each makes a processor out of the options that came with `startWorker`.
const processors = {
  echo: () => async job => job.data,
  none: () => async () => undefined,
  value: ({ value }) => async () => value,
  fail: ({ message = 'boom' }) => async () => {
    throw new Error(message);
  },
  failUnrecoverably: ({ message = 'boom' }) => async () => {
    throw new UnrecoverableError(message);
  },
  failUntil: ({ attempt, message = 'boom' }) => async job => {
    if (job.attemptsMade + 1 < attempt) {
      throw new Error(message);
    }
    return job.data;
  },
  sleep: ({ ms }) => async job => {
    await sleep(ms);
    return job.data;
  },
  report: ({ progress, log }) => async job => {
    await job.updateProgress(progress);
    await job.log(log);
    return job.data;
  },
  // appendFileSync opens with O_APPEND: lines of several processes never overwrite each other.
  ledger: ({ path }) => async job => {
    appendFileSync(path, `${job.id}\n`);
    return job.data;
  },
  childrenValues: () => async job => Object.values(await job.getChildrenValues()),
};

export async function startWorker(session, { workerId, processor, processorOptions = {}, queue, prefix, opts = {} }) {
  if (session.workers.has(workerId)) {
    throw new Error(`a worker ${workerId} is already running`);
  }
  if (!Object.hasOwn(processors, processor)) {
    throw new Error(`no processor ${processor}; there are ${Object.keys(processors).sort().join(', ')}`);
  }
  const options = { ...opts, prefix, connection: session.connection };
  const worker = new Worker(queue, processors[processor](processorOptions), options);
  worker.on('error', error => console.error(`worker ${workerId}: ${error.stack}`));
  session.workers.set(workerId, worker);
  await worker.waitUntilReady();
}

export async function stopWorker(session, { workerId, force = false }) {
  const worker = session.workers.get(workerId);
  if (!worker) {
    throw new Error(`no worker ${workerId}; running: ${[...session.workers.keys()].join(', ') || 'none'}`);
  }
  session.workers.delete(workerId);
  await worker.close(force);
}
