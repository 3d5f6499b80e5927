// QueueEvents of the peer: every event from the first one in the stream, kept in order.
import { QueueEvents } from 'bullmq';

// QueueEvents also emits `event:jobId` and its own life; these are the words that BullMQ writes to the stream.
const names = [
  'added', 'waiting', 'active', 'completed', 'failed', 'delayed', 'progress', 'stalled', 'removed', 'drained',
  'duplicated', 'deduplicated', 'retries-exhausted', 'waiting-children', 'cleaned', 'paused', 'resumed',
];

class Reader {
  constructor(queueEvents) {
    this.queueEvents = queueEvents;
    this.collected = [];
    this.waiting = new Set();
    for (const name of names) {
      queueEvents.on(name, args => this.collect(name, args));
    }
  }

  collect(name, args) {
    // `drained` has the stream id alone; all others come with their fields.
    this.collected.push({ event: name, ...(typeof args === 'object' ? args : {}) });
    for (const check of this.waiting) {
      check();
    }
  }

  matching({ event, jobId }) {
    return this.collected.filter(one => one.event === event && (jobId === undefined || one.jobId === jobId));
  }

  until(wanted, count, timeoutMs) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.waiting.delete(check);
        settle(value);
      };
      const check = () => {
        const found = this.matching(wanted);
        if (found.length >= count) {
          finish(resolve, found[count - 1]);
        }
      };
      const timer = setTimeout(() => finish(reject, new Error(this.missed(wanted, count, timeoutMs))), timeoutMs);
      this.waiting.add(check);
      check();
    });
  }

  missed({ event, jobId }, count, timeoutMs) {
    const seen = this.collected.slice(-20).map(one => `${one.event}(${one.jobId ?? ''})`).join(' ');
    return `no ${count}. event ${event} of job ${jobId ?? 'any'} within ${timeoutMs} ms; last seen: ${seen || 'nothing'}`;
  }

  close() {
    return this.queueEvents.close();
  }
}

export async function startEvents(session, { queue, prefix }) {
  const key = `${prefix}:${queue}`;
  if (session.events.has(key)) {
    throw new Error(`events of ${key} are already being read`);
  }
  // From the start of the stream: with the default `$` an event between now and the first read would be missed.
  const queueEvents = new QueueEvents(queue, { prefix, connection: session.connection, lastEventId: '0-0' });
  queueEvents.on('error', error => console.error(`events ${key}: ${error.stack}`));
  session.events.set(key, new Reader(queueEvents));
  await queueEvents.waitUntilReady();
}

export function eventsSince(session, { queue, prefix, start = 0 }) {
  return reader(session, queue, prefix).collected.slice(start);
}

export function waitForEvent(session, { queue, prefix, event, jobId, count = 1, timeoutMs = 10_000 }) {
  if (!names.includes(event)) {
    throw new Error(`no event ${event}; there are ${names.join(', ')}`);
  }
  return reader(session, queue, prefix).until({ event, jobId }, count, timeoutMs);
}

function reader(session, queue, prefix) {
  const found = session.events.get(`${prefix}:${queue}`);
  if (!found) {
    throw new Error(`events of ${prefix}:${queue} are not being read; send startEvents first`);
  }
  return found;
}
