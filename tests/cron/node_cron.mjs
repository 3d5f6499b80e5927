// Node's side of the patterns, a line of JSON for each question and each answer.
//
// {"repeat", "afterMs", "count"}  ->  {"times"}, each by BullMQ's own strategy after the one before, and {"problem"}
//                                     where it has no more; `repeat` are BullMQ's options with the pattern
// {"zone", "instants"}            ->  {"offsets"}, in seconds
// {}                              ->  {"versions"}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../interop/package.json", import.meta.url));
const { defaultRepeatStrategy } = require("bullmq/dist/cjs/classes/job-scheduler.js");
const { IANAZone } = require("luxon");

function nextTimes({ repeat, afterMs, count }) {
  const times = [];
  try {
    for (let after = afterMs; times.length < count; after = times.at(-1)) {
      const next = defaultRepeatStrategy(after, repeat);
      if (next === undefined) return { times, problem: "no next time" };
      times.push(next);
    }
  } catch (error) {
    return { times, problem: error.message };
  }
  return { times };
}

function offsets({ zone, instants }) {
  const rules = IANAZone.create(zone);
  return { offsets: instants.map((instant) => rules.offset(instant * 1000) * 60) };
}

function versions() {
  const ofPackage = (name) => require(`${name}/package.json`).version;
  return { versions: { "cron-parser": ofPackage("cron-parser"), node: process.versions.node, tz: process.versions.tz } };
}

function answer(question) {
  if ("repeat" in question) return nextTimes(question);
  return "zone" in question ? offsets(question) : versions();
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + "\n");
}
