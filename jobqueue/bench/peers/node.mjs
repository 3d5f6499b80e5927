// Node's program: BullMQ with its defaults, and with the options that our jobs carry, so that both do equal work.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const task = JSON.parse(process.argv[2]);
const require = createRequire(`${process.env.NODE_MODULES_DIR}/`);
const { Queue, Worker } = require("bullmq");
const Redis = require("ioredis");

const DAY_S = 24 * 60 * 60;
const OPTIONS = {
  attempts: 3,
  backoff: { type: "exponential", delay: 5_000 },
  removeOnComplete: { age: 7 * DAY_S, count: 10_000 },
  removeOnFail: { age: 30 * DAY_S, count: 10_000 },
  keepLogs: 1_000,
};
const TEXT = "the quick brown fox jumps over the lazy dog";

const payload = (n) => ({ n, text: TEXT });
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const connection = (url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) });

// Measuring: time, this process's CPU, and what it cost Redis.

const info = new (Redis.Redis ?? Redis.default ?? Redis)(connection(task.load_url));

async function redisUse() {
  const fields = new Map((await info.info("everything")).split("\r\n").map((line) => line.split(/:(.*)/s)));
  let commands = 0;
  let scriptCalls = 0;
  for (const [name, stat] of fields) {
    if (!name.startsWith("cmdstat_") || name === "cmdstat_info") continue;
    const calls = Number(/calls=(\d+)/.exec(stat)[1]);
    commands += calls;
    if (["cmdstat_eval", "cmdstat_evalsha", "cmdstat_fcall"].includes(name)) scriptCalls += calls;
  }
  const cpu = Number(fields.get("used_cpu_user_main_thread")) + Number(fields.get("used_cpu_sys_main_thread"));
  return { cpu, commands, scriptCalls };
}

async function measured(work) {
  const before = await redisUse();
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  await work();
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const after = await redisUse();
  return {
    seconds,
    cpu_s: (cpu.user + cpu.system) / 1e6,
    redis_cpu_s: after.cpu - before.cpu,
    script_calls: after.scriptCalls - before.scriptCalls,
    commands: after.commands - before.commands,
  };
}

function highestRssMb() {
  if (!existsSync("/proc/self/status")) return process.resourceUsage().maxRSS / 1024;
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
}

function tell(figures, until, latencies = null) {
  const told = {
    jobs: task.jobs,
    ...figures,
    rss_mb: highestRssMb(),
    versions: { node: process.version.slice(1), bullmq: require("bullmq/package.json").version },
    until,
    latencies_ms: latencies,
  };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

// Workloads

async function load(jobs) {
  const queue = new Queue("jobs", { connection: connection(task.load_url) });
  for (let start = 0; start < jobs; start += 1_000) {
    const size = Math.min(1_000, jobs - start);
    await queue.addBulk(
      Array.from({ length: size }, (_, at) => ({ name: "noop", data: payload(start + at), opts: OPTIONS })),
    );
  }
  await queue.close();
}

async function drainOnce(jobs) {
  await load(jobs);
  const processor = task.sleep_ms ? async () => rest(task.sleep_ms) : async () => undefined;
  let worker;
  const figures = await measured(
    () =>
      new Promise((resolve, reject) => {
        let left = jobs;
        worker = new Worker("jobs", processor, {
          connection: connection(task.redis_url),
          concurrency: task.concurrency,
        });
        worker.on("completed", () => --left === 0 && resolve());
        worker.on("failed", (_, error) => reject(error));
        worker.on("error", reject);
      }),
  );
  await worker.close();
  return figures;
}

async function drain() {
  if (task.warm_jobs) await drainOnce(task.warm_jobs);
  tell(await drainOnce(task.jobs), "the last job is recorded as completed");
}

async function enqueue() {
  const queue = new Queue("jobs", { connection: connection(task.redis_url) });
  await queue.waitUntilReady();
  let next = 0;
  const call = async () => {
    while (next < task.jobs) await queue.add("noop", payload(next++), OPTIONS);
  };
  const inChunks = async () => {
    while (next < task.jobs) {
      const size = Math.min(task.chunk, task.jobs - next);
      await queue.addBulk(Array.from({ length: size }, () => ({ name: "noop", data: payload(next++), opts: OPTIONS })));
    }
  };
  const figures = await measured(() =>
    task.callers ? Promise.all(Array.from({ length: task.callers }, call)) : inChunks(),
  );
  await queue.close();
  tell(figures, "the last answer has come");
}

async function pickup() {
  const queue = new Queue("jobs", { connection: connection(task.redis_url) });
  await queue.waitUntilReady();
  let started;
  const worker = new Worker("jobs", async () => started(performance.now()), {
    connection: connection(task.redis_url),
    concurrency: task.concurrency,
  });
  await worker.waitUntilReady();
  const latencies = [];
  const one = async (n) => {
    const picked = new Promise((resolve) => (started = resolve));
    const askedMs = performance.now();
    await queue.add("noop", payload(n), OPTIONS);
    return (await picked) - askedMs;
  };
  for (let n = 0; n < task.warm_jobs; n++) await one(n);
  const figures = await measured(async () => {
    for (let n = 0; n < task.jobs; n++) {
      await rest(task.gap_ms);
      latencies.push(await one(n));
    }
  });
  await worker.close();
  await queue.close();
  tell(figures, "the last handler has started", latencies);
}

async function idle() {
  const worker = new Worker("jobs", async () => undefined, {
    connection: connection(task.redis_url),
    concurrency: task.concurrency,
  });
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.on("end", resolve));
  await worker.close();
}

await { drain, enqueue, pickup, idle }[task.kind]();
info.disconnect();
