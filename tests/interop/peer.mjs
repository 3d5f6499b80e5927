// One Node peer, told what to do over standard input and output: a real BullMQ and bull-board for the tests.
//
// Usage: node peer.mjs redis://127.0.0.1:6379/0
//
// Each line in:  {"id": 1, "command": "add", "args": {...}}
// Each line out: {"id": 1, "result": ...}  or  {"id": 1, "error": {"name", "message", "code"?}}
//
// Commands run at the same time, so answers may come out of order. Only answers are written to standard output;
// everything else that a person may want to read goes to standard error. The peer ends when its input closes.
import { createInterface } from 'node:readline';

import { commands } from './peer/commands.mjs';
import { Session } from './peer/session.mjs';

const CLOSE_LIMIT_MS = 5_000;

const redisUrl = process.argv[2];
if (!redisUrl) {
  console.error('usage: node peer.mjs REDIS_URL');
  process.exit(2);
}

// bullmq writes advice to console.log; on standard output it would be taken for an answer.
console.log = console.error;

const session = new Session(redisUrl);
const input = createInterface({ input: process.stdin, crlfDelay: Infinity });
input.on('line', line => void answer(line));
input.on('close', () => void end());

async function answer(line) {
  let id = null;
  try {
    const request = JSON.parse(line);
    id = request.id;
    const command = Object.hasOwn(commands, request.command) ? commands[request.command] : null;
    if (command === null) {
      throw new Error(`no command ${request.command}; there are ${Object.keys(commands).sort().join(', ')}`);
    }
    const result = await command(session, request.args ?? {});
    write({ id, result: result ?? null });
  } catch (error) {
    write({ id, error: { name: error.name, message: error.message, code: error.code } });
  }
}

function write(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function end() {
  setTimeout(() => {
    console.error(`connections still open after ${CLOSE_LIMIT_MS} ms`);
    process.exit(1);
  }, CLOSE_LIMIT_MS).unref();
  await session.close();
  process.exit(0);
}
