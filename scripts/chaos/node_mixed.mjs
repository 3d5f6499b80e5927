// R18's Node: a producer and a worker of BullMQ's own on the queue that ours share. The worker runs whatever job it gets;
// of our patterns it knows nothing.
//
// Usage: node node_mixed.mjs PORT PREFIX QUEUE LEDGER JOBS SEED
// The lines that it writes are those of ledger.py. A line is printed when the worker serves; it ends when its input closes.
import { appendFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const { Queue, Worker } = createRequire(new URL('../../tests/interop/package.json', import.meta.url))('bullmq');

const [port, prefix, name, ledger, jobs, seed] = process.argv.slice(2);
const at = { connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null }, prefix };
const KINDS = ['plain', 'delayed', 'prioritized', 'flaky'];

let state = Number(seed);
function chance(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

// appendFileSync opens with O_APPEND: lines of several processes never overwrite each other.
function write(what, id, claim, key, note) {
  appendFileSync(ledger, `${JSON.stringify([what, id, claim, process.pid, Date.now() * 1000, key, note])}\n`);
}

async function work(job) {
  const item = job.data.payload ?? job.data;
  const [key, ms] = Array.isArray(item) ? item : [item.key, item.work_ms];
  write('start', job.id, job.attemptsStarted, key, 'node');
  await sleep(ms);
  if (job.name === 'flaky' && job.attemptsMade === 0) {
    write('end', job.id, job.attemptsStarted, 'failed', '');
    throw new Error('node');
  }
  write('end', job.id, job.attemptsStarted, 'finished', '');
  return 'node';
}

async function produce(queue) {
  const retried = { attempts: 3, backoff: { type: 'fixed', delay: 100 } };
  for (let number = 0; number < Number(jobs); number++) {
    const kind = KINDS[chance(KINDS.length)];
    const opts = {
      plain: {},
      delayed: { delay: 1 + chance(3000) },
      prioritized: { priority: 1 + chance(100) },
      flaky: retried,
    }[kind];
    const item = { key: `${kind}-${chance(20)}`, work_ms: chance(10) };
    const job = await queue.add(kind === 'flaky' ? 'flaky' : 'plain', item, opts);
    write('stored', job.id, 0, kind, 'node');
    if (number % 10 === 0) {
      await sleep(chance(20));
    }
  }
}

const queue = new Queue(name, at);
const worker = new Worker(name, work, { ...at, concurrency: 10, lockDuration: 30_000 });
worker.on('error', error => console.error(error.stack));
await worker.waitUntilReady();
console.log('serves');
const closed = new Promise(resolve => process.stdin.resume().on('end', resolve));
await produce(queue);
console.log('stored');
await closed;
await worker.close();
await queue.close();
