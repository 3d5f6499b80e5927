// What Node's own getters say of a queue and of a job.
import { createRequire } from 'node:module';

const packageOf = createRequire(import.meta.url);

// The version comes from the queue itself, since bullmq exports neither it nor its package.json.
export function version(session) {
  const probe = session.queue({ prefix: 'version-probe', queue: 'none', silent: true });
  return { node: process.version, bullmq: probe.metaValues.version, ioredis: packageOf('ioredis/package.json').version };
}

export async function existing(session, jobId, at) {
  const job = await session.queue(at).getJob(jobId);
  if (!job) {
    throw new Error(`no job ${jobId} in ${at.prefix}:${at.queue}`);
  }
  return job;
}

export const commands = {
  job: async (session, { jobId, ...at }) => {
    const queue = session.queue(at);
    const job = await queue.getJob(jobId);
    return job ? describe(queue, job) : null;
  },
  // Ids alone, for a state that may hold thousands.
  jobIds: async (session, { state, start = 0, end = -1, ...at }) =>
    (await session.queue(at).getJobs([state], start, end, true)).map(job => job.id),
  results: async (session, { state = 'completed', ...at }) =>
    (await session.queue(at).getJobs([state], 0, -1, true)).map(({ id, returnvalue }) => ({ id, returnvalue })),
  counts: (session, at) => session.queue(at).getJobCounts(),
  isPaused: (session, at) => session.queue(at).isPaused(),
  workers: async (session, at) =>
    (await session.queue(at).getWorkers()).map(({ id, name, rawname, addr }) => ({ id, name, rawname, addr })),
  metrics: (session, { type, ...at }) => session.queue(at).getMetrics(type),
  logs: async (session, { jobId, ...at }) => (await session.queue(at).getJobLogs(jobId)).logs,
};

async function describe(queue, job) {
  const [state, { logs }] = await Promise.all([job.getState(), queue.getJobLogs(job.id)]);
  return {
    id: job.id,
    name: job.name,
    state,
    data: job.data ?? null,
    opts: job.opts,
    progress: job.progress,
    // JSON has no undefined, so "no value at all" and null are told apart by this flag.
    hasReturnvalue: job.returnvalue !== undefined,
    returnvalue: job.returnvalue ?? null,
    failedReason: job.failedReason ?? null,
    stacktrace: job.stacktrace ?? [],
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    delay: job.delay,
    priority: job.priority,
    timestamp: job.timestamp,
    processedOn: job.processedOn ?? null,
    finishedOn: job.finishedOn ?? null,
    processedBy: job.processedBy ?? null,
    repeatJobKey: job.repeatJobKey ?? null,
    parentKey: job.parentKey ?? null,
    logs,
  };
}
