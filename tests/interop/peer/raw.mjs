// The keys in Redis as they stand, past all of BullMQ's getters.

export async function readRaw(session, { jobId, ...at }) {
  const queue = session.queue(at);
  await queue.getVersion(); // waits until this queue object has written `meta`
  const backend = queue.getBackend();
  const client = await backend.client;
  const [hash, meta, state] = await Promise.all([
    client.hgetall(queue.toKey(jobId)),
    client.hgetall(queue.toKey('meta')),
    backend.getState(jobId),
  ]);
  return { state, hash, meta };
}

export async function wipe(session, at) {
  const client = await session.queue({ ...at, silent: true }).getBackend().client;
  let cursor = '0';
  let removed = 0;
  do {
    const [next, keys] = await client.scan(cursor, { MATCH: `${at.prefix}:*`, COUNT: 1000 });
    cursor = next;
    removed += keys.length > 0 ? await client.del(...keys) : 0;
  } while (cursor !== '0');
  return removed;
}
