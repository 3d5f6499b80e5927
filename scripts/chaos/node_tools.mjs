// What a person with a BullMQ tool does to jobs: retry, remove, promote, retry all. Each by BullMQ's own code.
//
// Usage: node node_tools.mjs PORT PREFIX QUEUE
// A line in:  ["remove", "12"]  or  ["retryJobs", "failed"]
// A line out: "done", or why BullMQ refused
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { Queue } = createRequire(new URL('../../tests/interop/package.json', import.meta.url))('bullmq');

const [port, prefix, name] = process.argv.slice(2);
const queue = new Queue(name, { connection: { host: '127.0.0.1', port: Number(port) }, prefix });

const onJob = {
  retry: job => job.retry('failed'),
  retryCompleted: job => job.retry('completed'),
  remove: job => job.remove(),
  promote: job => job.promote(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [action, target] = JSON.parse(line);
  console.log(JSON.stringify(await tried(action, target)));
}
await queue.close();

async function tried(action, target) {
  try {
    if (action === 'retryJobs') {
      await queue.retryJobs({ state: target });
      return 'done';
    }
    const job = await queue.getJob(target);
    if (!job) {
      return 'there is no such job';
    }
    await onJob[action](job);
    return 'done';
  } catch (error) {
    return error.message;
  }
}
