// Every command of the peer, by name: a function of the session and the arguments that came with the request.
import { startBoard } from './board.mjs';
import { eventsSince, startEvents, waitForEvent } from './events.mjs';
import * as inspect from './inspect.mjs';
import { readRaw, wipe } from './raw.mjs';
import { addSuperseding, startSupersedingWorker } from './superseding.mjs';
import { startWorker, stopWorker } from './workers.mjs';

export const commands = {
  version: session => inspect.version(session),
  reset: session => session.reset(),

  add: async (session, { name, data, opts = {}, ...at }) => (await session.queue(at).add(name, data, opts)).id,
  addBulk: async (session, { jobs, ...at }) => (await session.queue(at).addBulk(jobs)).map(job => job.id),
  addFlow: (session, { flow, prefix }) => addFlow(session.flowProducer(prefix), flow),
  flow: async (session, { jobId, queue, prefix }) =>
    flowIds(await session.flowProducer(prefix).getFlow({ id: jobId, queueName: queue, prefix })),
  childrenValues: async (session, { jobId, ...at }) => (await inspect.existing(session, jobId, at)).getChildrenValues(),
  ignoredFailures: async (session, { jobId, ...at }) =>
    (await inspect.existing(session, jobId, at)).getIgnoredChildrenFailures(),

  upsertScheduler: async (session, { schedulerId, repeat, template, ...at }) =>
    (await session.queue(at).upsertJobScheduler(schedulerId, repeat, template))?.id,
  removeScheduler: (session, { schedulerId, ...at }) => session.queue(at).removeJobScheduler(schedulerId),
  schedulers: (session, at) => session.queue(at).getJobSchedulers(0, -1, true),

  addSuperseding,

  startWorker,
  startSupersedingWorker,
  stopWorker,
  startEvents,
  events: eventsSince,
  waitForEvent,
  startBoard,

  ...inspect.commands,
  raw: readRaw,
  wipe,

  retry: async (session, { jobId, state = 'failed', opts = {}, ...at }) =>
    (await inspect.existing(session, jobId, at)).retry(state, opts),
  remove: async (session, { jobId, ...at }) => (await inspect.existing(session, jobId, at)).remove(),
  promote: async (session, { jobId, ...at }) => (await inspect.existing(session, jobId, at)).promote(),
  clean: (session, { graceMs = 0, limit = 1000, state, ...at }) => session.queue(at).clean(graceMs, limit, state),
  pause: (session, at) => session.queue(at).pause(),
  resume: (session, at) => session.queue(at).resume(),
  retryAll: (session, { state = 'failed', ...at }) => session.queue(at).retryJobs({ state }),
  promoteAll: (session, at) => session.queue(at).promoteJobs(),
  drain: (session, { delayed = false, ...at }) => session.queue(at).drain(delayed),
  obliterate: (session, { force = false, ...at }) => session.queue(at).obliterate({ force }),
  removeOrphanedJobs: (session, at) => session.queue(at).removeOrphanedJobs(),
  setGlobalConcurrency: async (session, { concurrency, ...at }) => {
    await session.queue(at).setGlobalConcurrency(concurrency);
  },
  setGlobalRateLimit: async (session, { max, durationMs, ...at }) => {
    await session.queue(at).setGlobalRateLimit(max, durationMs);
  },
};

async function addFlow(producer, flow) {
  return flowIds(await producer.add(flow));
}

function flowIds({ job, children = [] }) {
  return { id: job.id, queue: job.queueName, children: children.map(flowIds) };
}
