// @ts-check
// What the board does beyond its pages, which all work without it: it keeps them up to date, and makes them quicker.
// Elements with an `id` and `data-live` become what they are in the page as the server makes it now; nothing is built
// from data here, so nothing of a job can become markup. `data-script` marks what is hidden where no script runs.

const BASE = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const SPACING_MS = 1_000, AT_LEAST_EVERY_MS = 30_000, REOPEN_MS = 5_000, TYPED_MS = 250;
const SECOND_MS = 1_000, MINUTE_MS = 60_000, HOUR_MS = 3_600_000, DAY_MS = 86_400_000;
const RELATIVE = /^(in .+|.+ ago)$/;

/** @param {string} selector @param {ParentNode} root @returns {HTMLElement[]} */
const all = (selector, root = document) => [...root.querySelectorAll(selector)].map((one) => /** @type {HTMLElement} */ (one));

// Up to date

/** What tells two children of one parent apart. @param {Node} node @returns {string | null} */
function keyOf(node) {
  if (!(node instanceof Element)) return null;
  return node.getAttribute("id") || node.getAttribute("data-key"); // `form.id` is its input of that name
}

/** Make `old` what `fresh` is, and keep the elements that both have: with them focus, scroll and what is open. @param {Element} old @param {Element} fresh */
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const kept = old.tagName === "DETAILS" ? "open" : "";
  for (const { name } of [...old.attributes]) if (name !== kept && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (name !== kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
  /** @type {Map<string, Node>} */
  const known = new Map();
  for (const child of old.childNodes) known.set(keyOf(child) ?? "", child);
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const same = key ? known.get(key) : at && keyOf(at) === null ? at : null;
    if (key) known.delete(key);
    if (same && same === at && same.nodeName === wanted.nodeName) at = at.nextSibling;
    else old.insertBefore(same?.nodeName === wanted.nodeName ? same : document.importNode(wanted, true), at);
    if (same?.nodeName !== wanted.nodeName) continue;
    if (same instanceof Element && wanted instanceof Element) morph(same, wanted);
    else if (same.nodeValue !== wanted.nodeValue) same.nodeValue = wanted.nodeValue;
  }
  while (at && old.lastChild !== at) old.lastChild?.remove();
  at?.remove();
}

/** Whether somebody types, selects or has ticked something in there. @param {HTMLElement} region */
function isInUse(region) {
  const selection = getSelection();
  if (selection && !selection.isCollapsed && selection.containsNode(region, true)) return true;
  return /** @type {HTMLInputElement[]} */ (all("input, textarea, select", region)).some(
    (one) => one.checked !== one.defaultChecked || (one.type !== "checkbox" && (one === document.activeElement || ("defaultValue" in one && one.value !== one.defaultValue))),
  );
}

let lastMs = 0, isFetching = false, isWanted = false;

/** Where this page is: one that answers a form has another address than that which the form was sent to. */
const here = () => all("main[data-here]")[0]?.dataset.here ?? location.pathname + location.search;

/** Ask for this page again, soon: at most once a second, one at a time, and not while nobody looks. Where what it was
 * about is gone, the page that says so takes its place. */
async function refresh() {
  isWanted = true;
  if (isFetching || document.hidden) return;
  isFetching = true;
  try {
    await new Promise((done) => setTimeout(done, Math.max(0, lastMs + SPACING_MS - performance.now())));
    isWanted = false;
    lastMs = performance.now();
    const answer = await fetch(here(), { headers: { accept: "text/html" }, cache: "no-store", redirect: "manual" });
    if (answer.status === 404) return location.replace(here());
    if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (!answer.ok) tell("away");
    else if (stream?.readyState === EventSource.OPEN) tell("live");
  } catch {
    tell("away"); // the server is gone; the event stream says when it is back
  } finally {
    isFetching = false;
  }
  if (isWanted) refresh();
}

/** @param {Document} page */
function show(page) {
  prepare(page);
  for (const region of all("[data-live][id]")) {
    const fresh = page.getElementById(region.getAttribute("id") ?? "");
    if (fresh && !isInUse(region)) morph(region, fresh);
  }
}

// Live

/** @type {EventSource | null} */
let stream = null;
let wasLive = false;

/** @param {"live" | "away"} state */
function tell(state) {
  const shown = document.getElementById("live");
  if (!shown || shown.dataset.state === state) return;
  shown.dataset.state = shown.textContent = state;
  shown.title = state === "live" ? "What happens is shown at once." : "No news: Redis or the server does not answer. It is tried again.";
}

function open() {
  if (stream || document.hidden || !document.querySelector("[data-live][id]")) return;
  const [, queue, job] = location.pathname.slice(BASE.length).match(/^\/queues\/([^/]+)(?:\/jobs\/([^/]+))?/) ?? [];
  stream = new EventSource(`${BASE}/live${queue ? `?queue=${queue}${job ? `&job=${job}` : ""}` : ""}`);
  const back = () => {
    tell("live");
    if (wasLive) refresh();
    wasLive = true;
  };
  stream.addEventListener("live", back);
  stream.addEventListener("back", back);
  stream.addEventListener("changed", refresh);
  stream.addEventListener("away", () => tell("away"));
  stream.addEventListener("error", () => {
    tell("away");
    if (stream?.readyState !== EventSource.CLOSED) return; // the browser tries again
    close();
    setTimeout(open, REOPEN_MS * (1 + Math.random()));
  });
}

/** A browser has six connections to a server, and a page that nobody looks at needs none. */
function close() {
  stream?.close();
  stream = null;
}

// Times

/** How far this machine's clock is behind the server's, by the time that the foot of the page tells. */
const asOfMs = Date.parse(document.querySelector(".foot time")?.getAttribute("datetime") ?? "");
const behindMs = Number.isNaN(asOfMs) ? 0 : asOfMs - Date.now();

/** As the server says it. @param {number} ms */
function span(ms) {
  if (ms >= DAY_MS) return `${Math.floor(ms / DAY_MS)} d`;
  if (ms >= HOUR_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  if (ms >= MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms >= 10 * SECOND_MS) return `${Math.floor(ms / SECOND_MS)} s`;
  return ms >= SECOND_MS ? `${(ms / SECOND_MS).toFixed(1)} s` : `${ms} ms`;
}

function tick() {
  if (document.hidden) return;
  const nowMs = Date.now() + behindMs;
  for (const time of all("time[datetime]")) {
    const atMs = Date.parse(time.getAttribute("datetime") ?? "");
    const shown = time.nextElementSibling?.tagName === "SMALL" ? time.nextElementSibling : time;
    if (Number.isNaN(atMs) || !RELATIVE.test(shown.textContent ?? "")) continue;
    const distance = span(Math.abs(nowMs - atMs));
    const text = atMs <= nowMs ? `${distance} ago` : `in ${distance}`;
    if (shown.textContent !== text) shown.textContent = text;
  }
}

// Ticked boxes, copies, previews

/** What only the script can do is added to a page before it is shown. @param {Document} page */
function prepare(page) {
  for (const one of all("[data-script]", page)) one.hidden = false;
  for (const text of all(":is(pre, [data-copy]):not(:has(.copy))", page)) {
    const button = page.createElement("button");
    button.type = "button";
    button.className = "copy plain";
    button.textContent = "Copy";
    text.append(button);
  }
}

/** @param {HTMLElement} button */
async function copy(button) {
  const text = /** @type {HTMLElement} */ (button.parentElement?.cloneNode(true));
  for (const own of all(".copy", text)) own.remove();
  await navigator.clipboard.writeText(text.dataset.copy || (text.textContent ?? "").trim());
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2 * SECOND_MS);
}

/** @param {HTMLInputElement} box */
function ticked({ form, checked, dataset }) {
  const boxes = /** @type {HTMLInputElement[]} */ (all("input[type=checkbox][name=id]", form ?? document));
  if ("all" in dataset) for (const one of boxes) one.checked = checked;
  const count = boxes.filter((one) => one.checked).length;
  for (const one of all("[data-count]", form ?? document)) one.textContent = count ? `${count} ticked` : "";
  for (const one of /** @type {HTMLInputElement[]} */ (all("input[data-all]", form ?? document))) {
    one.checked = count > 0 && count === boxes.length;
    one.indeterminate = count > 0 && count < boxes.length;
  }
}

/** @type {AbortController | null} */
let asking = null;

/** @param {HTMLInputElement} input */
async function preview({ form }) {
  const shown = form && all("[data-preview]", form)[0];
  if (!shown) return;
  asking?.abort();
  const { signal } = (asking = new AbortController());
  await new Promise((done) => setTimeout(done, TYPED_MS));
  const typed = new FormData(form), query = new URLSearchParams();
  for (const name of ["pattern", "timezone"]) query.set(name, String(typed.get(name) ?? ""));
  const answer = signal.aborted ? null : await fetch(`${shown.dataset.preview}?${query}`, { cache: "no-store" });
  const text = answer?.ok ? await answer.text() : null;
  if (text !== null && !signal.aborted) shown.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
}

let pressed = "";

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {Element} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
  const link = pressed === "g" && all(".top nav a").find((one) => one.textContent?.trim().toLowerCase().startsWith(event.key));
  pressed = event.key;
  if (link) link.click();
  else if (event.key === "/") all(".find input")[0]?.focus();
  else if (event.key === "?") /** @type {HTMLDialogElement} */ (document.getElementById("keys")).showModal();
  else return;
  event.preventDefault();
}

// Begin

/** @template {HTMLElement} T @param {string} kind @param {string} selector @param {(one: T) => unknown} act */
function on(kind, selector, act) {
  document.addEventListener(kind, ({ target }) => {
    const one = /** @type {Element} */ (target).closest(selector);
    if (one) act(/** @type {T} */ (one));
  });
}

on("click", "button.copy", copy);
on("change", "input[type=checkbox]", ticked);
on("input", "[name=pattern], [name=timezone]", preview);
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close();
  open();
  refresh();
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);
prepare(document);
setInterval(tick, SECOND_MS);
setInterval(() => document.querySelector("[data-live][id]") && refresh(), AT_LEAST_EVERY_MS);
