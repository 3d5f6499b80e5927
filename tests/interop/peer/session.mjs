// What one peer holds open: queues, workers, event readers, a board. Each is closed when the session ends.
import { FlowProducer, Queue } from 'bullmq';

export class Session {
  constructor(redisUrl) {
    this.connection = { url: redisUrl };
    this.workers = new Map();
    this.events = new Map();
    this.board = null;
    this.queues = new Map();
    this.flowProducers = new Map();
  }

  // The one Queue object of a prefix and a name, made at first use. A silent one never writes `meta`, so that a test
  // can see what the other side alone has written there.
  queue({ prefix, queue, silent = false }) {
    const key = `${prefix}:${queue}${silent ? ' silent' : ''}`;
    if (!this.queues.has(key)) {
      const opened = new Queue(queue, { prefix, connection: this.connection, skipMetasUpdate: silent });
      opened.on('error', error => console.error(`queue ${key}: ${error.message}`));
      this.queues.set(key, opened);
    }
    return this.queues.get(key);
  }

  flowProducer(prefix) {
    if (!this.flowProducers.has(prefix)) {
      const producer = new FlowProducer({ prefix, connection: this.connection });
      producer.on('error', error => console.error(`flow producer ${prefix}: ${error.message}`));
      this.flowProducers.set(prefix, producer);
    }
    return this.flowProducers.get(prefix);
  }

  // As it was at its start, for the next test on the same peer.
  async reset() {
    await this.close();
    this.board = null;
    for (const opened of [this.workers, this.events, this.queues, this.flowProducers]) {
      opened.clear();
    }
  }

  // Workers first, so that none asks a closed queue; forced, so that a handler asleep does not keep the peer alive.
  async close() {
    const closed = await Promise.allSettled([
      ...[...this.workers.values()].map(worker => worker.close(true)),
      ...[...this.events.values()].map(reader => reader.close()),
      this.board?.close(),
    ]);
    closed.push(...(await Promise.allSettled([...this.queues.values()].map(queue => queue.close()))));
    closed.push(...(await Promise.allSettled([...this.flowProducers.values()].map(flow => flow.close()))));
    for (const { reason } of closed.filter(({ status }) => status === 'rejected')) {
      console.error(`while closing: ${reason?.stack ?? reason}`);
    }
  }
}
