// Odd payloads and options, added by Node's BullMQ.
//
// Usage: node node_payloads.mjs PORT PREFIX QUEUE MEGABYTES WAVE
// Output: {"name of the case": {"id": "12", "verdict": "runs"} or {"refused": "why"}, …}
// Verdicts are those of odd_payloads.py.
import { createRequire } from 'node:module';

const { Queue } = createRequire(new URL('../../tests/interop/package.json', import.meta.url))('bullmq');

const [port, prefix, name, megabytes, wave] = process.argv.slice(2);
const queue = new Queue(name, { connection: { host: '127.0.0.1', port: Number(port) }, prefix });
const LARGEST = Number(megabytes);

function nested(depth) {
  let value = [];
  for (let level = 1; level < depth; level++) {
    value = [value];
  }
  return value;
}

const cyclic = {};
cyclic.self = cyclic;

// [name of the case, verdict, job's name, data, options]
const cases = [
  ['no data', 'runs', 'anything', undefined],
  ['null', 'runs', 'anything', null],
  ['empty text', 'runs', 'anything', ''],
  ['empty object', 'runs', 'anything', {}],
  ['1 MB', 'runs', 'anything', { text: 'x'.repeat(1e6) }],
  ['10 MB', 'runs', 'anything', { text: 'x'.repeat(Math.min(10, LARGEST) * 1e6) }],
  [`${LARGEST} MB`, 'runs', 'anything', { text: 'x'.repeat(LARGEST * 1e6) }],
  [`${LARGEST / 10} MB of numbers`, 'runs', 'anything', new Array(LARGEST * 1e4).fill(12345.678)],
  ['1,000 deep', 'fails', 'anything', nested(1_000)],
  ['10,000 deep', 'fails', 'anything', nested(10_000)],
  ['NaN', 'runs', 'anything', { n: NaN }],
  ['Infinity', 'runs', 'anything', [Infinity, -Infinity]],
  ['a lone surrogate', 'fails', 'anything', '\ud800'],
  ['a lone surrogate as a name', 'fails', 'anything', { '\udfff': 1 }],
  ['NUL', 'runs', 'anything', { '\0': '\0' }],
  ['2^53 + 1', 'runs', 'anything', { n: 2 ** 53 + 1 }],
  ['1e308', 'runs', 'anything', { n: 1e308 }],
  ['a BigInt', 'refused', 'anything', { n: 2n ** 53n + 1n }],
  ['a cycle', 'refused', 'anything', cyclic],
  ['a date', 'runs', 'anything', new Date(0)],
  ['like our envelope', 'runs', 'anything', { type: 'adhoc', payload: { n: 1 } }],
  ['like our envelope, all wrong', 'runs', 'anything', { type: 'cron', id: 5, related: 'x', expiresAt: 'x', timeoutMs: -1 }],
  ['an order of yesterday', 'fails', 'order', { count: 3, note: 'three' }, { attempts: 3 }],
  ['a letter of yesterday', 'runs', 'letter', { text: 'dear' }],
  ['a handler that is none', 'fails', 'nobody', {}],
  ['no name', 'fails', '', {}],
  ['a name with NUL', 'fails', 'a\0b', {}],
  ['a name with a lone surrogate', 'fails', '\ud800', {}],
  ['an id with colons', 'ends', 'anything', {}, { jobId: `a:b:${wave}` }],
  ['an id with NUL', 'ends', 'anything', {}, { jobId: `a\0b${wave}` }],
  ['an id of 10 kB', 'ends', 'anything', {}, { jobId: wave + 'x'.repeat(1e4) }],
  ['attempts of text', 'ends', 'anything', {}, { attempts: 'many' }],
  ['attempts of 2.5', 'ends', 'anything', {}, { attempts: 2.5 }],
  ['a backoff of an unknown type', 'ends', 'anything', {}, { attempts: 2, backoff: { type: 'mine' } }],
  ['a backoff of text', 'ends', 'anything', {}, { attempts: 2, backoff: 'soon' }],
  ['a delay of text', 'ends', 'anything', {}, { delay: 'soon' }],
  ['a negative delay', 'ends', 'anything', {}, { delay: -5 }],
  ['a priority of text', 'ends', 'anything', {}, { priority: 'high' }],
  ['a priority that is too great', 'ends', 'anything', {}, { priority: 2 ** 22 }],
  ['a retention of text', 'ends', 'anything', {}, { removeOnComplete: 'soon', removeOnFail: 'later' }],
  ['a retention of arrays', 'ends', 'anything', {}, { removeOnComplete: [], removeOnFail: [] }],
  ['a parent that is none', 'ends', 'anything', {}, { parent: { id: '99', queue: `${prefix}:nowhere` } }],
  ['a telemetry of objects', 'ends', 'anything', {}, { telemetry: { metadata: { a: [] } } }],
  ['options that nobody knows', 'runs', 'anything', {}, { zzz: { a: [1] }, type: 'x' }],
];

const answers = {};
for (const [title, verdict, jobName, data, opts] of cases) {
  try {
    answers[title] = { id: (await queue.add(jobName, data, opts)).id, verdict };
  } catch (error) {
    answers[title] = { refused: String(error.message).slice(0, 200), verdict };
  }
}
await queue.close();
console.log(JSON.stringify(answers));
