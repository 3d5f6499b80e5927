// What Node's BullMQ sees of a queue's job schedulers, and schedulers and jobs that are Node's own.
//
// Usage: node node_schedulers.mjs PORT PREFIX QUEUE look|own
// Output of `look`: {"schedulers": getJobSchedulers(), "pending": the jobs of schedulers that nobody has picked up}
// `own` makes schedulers and delayed jobs of Node's, and says nothing.
import { createRequire } from 'node:module';

const { Queue } = createRequire(new URL('../../tests/interop/package.json', import.meta.url))('bullmq');

const [port, prefix, name, task] = process.argv.slice(2);
const queue = new Queue(name, { connection: { host: '127.0.0.1', port: Number(port) }, prefix });
const DAY_MS = 24 * 60 * 60 * 1000;

async function look() {
  const jobs = await queue.getJobs(['delayed', 'waiting', 'prioritized', 'paused']);
  const pending = jobs
    .filter(job => job.repeatJobKey && !job.processedOn)
    .map(({ id, name, data, opts, repeatJobKey }) => ({ id, name, data, opts, scheduler: repeatJobKey }));
  return { schedulers: await queue.getJobSchedulers(0, -1, true), pending };
}

async function own() {
  await queue.upsertJobScheduler('claimed', { pattern: '0 0 1 1 *' }, { name: 'node', data: { own: 1 } });
  await queue.upsertJobScheduler('edited-0-foreign', { pattern: '0 0 2 1 *', tz: 'Asia/Tokyo' }, { name: 'slot' });
  await queue.upsertJobScheduler('node-every', { every: 100 * DAY_MS, offset: DAY_MS }, { name: 'node' });
  for (let number = 0; number < 20; number++) {
    await queue.add('node', { type: 'cron', number }, { delay: DAY_MS + number, jobId: `adhoc-${number}` });
  }
}

const answer = await { look, own }[task]();
await queue.close();
console.log(JSON.stringify(answer ?? null));
