// The page of traces: a list on the left, one trace as a tree of spans over time on the right.

import * as api from "./api.js";
import { h, heading, keyed, setText } from "./dom.js";
import { LogList } from "./logs.js";
import { clockTime } from "./time.js";
import { inTree } from "./tree.js";
import { format } from "./units.js";

const REFRESH_MS = 5000;
const MOST_TRACES = 200;
const MOST_ENTRIES = 200;
const DEEPEST = 12; // levels that are indented; deeper ones stay in line, so that names remain readable
const COLOURS = 10;

const byId = (id) => document.getElementById(id);
const settings = { filter: "", trace: "", ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
let shown = "";

function remember() {
  const told = Object.entries(settings).filter(([, value]) => value);
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
}

/** Which of the theme's colours a service has: the same in every trace. */
function colourOf(service) {
  let sum = 0;
  for (const letter of service) sum = (sum * 31 + letter.codePointAt(0)) % 65_521;
  return `var(--series-${sum % COLOURS})`;
}

const failedOf = (span) => Boolean(span.status?.code);

function definitions(pairs) {
  return h("dl", {}, ...Object.entries(pairs).flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
}

function details(span, begin) {
  const labels = Object.keys(span.labels).length ? definitions(span.labels) : null;
  const events = span.events.map((event) =>
    h(
      "div",
      {},
      h("strong", {}, event.name || "(event)"),
      ` after ${format(Math.max(0, event.time - begin), "s")}`,
      definitions(event.labels),
    ),
  );
  const links = span.links.map((other) =>
    h(
      "div",
      {},
      "Linked to ",
      h("a", { href: `#trace=${encodeURIComponent(other.traceId)}` }, `trace ${other.traceId.slice(0, 12)}…`),
    ),
  );
  return h(
    "div",
    { class: "span-details" },
    failedOf(span) ? h("p", { class: "wrong" }, `Failed: ${span.status.message || `status ${span.status.code}`}`) : null,
    h("div", { class: "faint" }, [`span ${span.spanId}`, span.kind].filter(Boolean).join(" · ")),
    labels,
    ...events,
    ...links,
  );
}

function row([span, depth], begin, whole) {
  const item = h("li", {});
  const left = Math.min(100, Math.max(0, ((span.start - begin) / whole) * 100));
  const width = Math.min(100 - left, (span.seconds / whole) * 100);
  const end = left + width;
  // Right of its bar, else left of it, else upon it.
  const place = end < 85 ? "right" : left > 15 ? "left" : "upon";
  const toggle = () => {
    const open = item.children.length > 1;
    button.setAttribute("aria-expanded", String(!open));
    if (open) item.lastElementChild.remove();
    else item.append(details(span, begin));
  };
  const took = format(span.seconds, "s");
  const button = h(
    "button",
    {
      type: "button",
      class: "span",
      "aria-expanded": "false",
      "data-level": failedOf(span) ? "bad" : undefined,
      onclick: toggle,
    },
    h(
      "span",
      { class: "what", css: { "padding-left": `${12 + Math.min(depth, DEEPEST) * 16}px` }, title: span.name },
      span.name,
      span.service ? h("span", { class: "service" }, span.service) : null,
    ),
    h(
      "span",
      { class: "track" },
      h("span", {
        class: "bar-of-span",
        css: { left: `${left}%`, width: `${width}%`, "--colour": colourOf(span.service) },
      }),
      h("span", { class: `took ${place}`, css: { left: `${place === "right" ? end : left}%` } }, took),
    ),
  );
  item.append(button);
  return item;
}

function draw(trace, entries, now) {
  const rows = inTree(trace.spanList);
  const whole = Math.max(trace.seconds, 1e-9);
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", {}, format(whole * share, "s")));
  const filter = `trace="${trace.trace}"`;
  const logs = new LogList();
  logs.show(entries, now);
  byId("trace").replaceChildren(
    h("h2", {}, trace.name || "(no name)"),
    h(
      "p",
      { class: "facts" },
      h("span", {}, clockTime(trace.start * 1000, { millis: true, now })),
      h("span", {}, format(trace.seconds, "s")),
      h("span", {}, `${trace.spans} ${trace.spans === 1 ? "span" : "spans"}`),
      trace.services.length ? h("span", {}, trace.services.join(", ")) : null,
      h("code", {}, trace.traceId),
    ),
    h(
      "div",
      { class: "waterfall" },
      h("div", { class: "scale", "aria-hidden": "true" }, ...marks),
      h("ol", {}, ...rows.map((one) => row(one, trace.start, whole))),
    ),
    trace.omitted ? h("p", { class: "faint" }, `${trace.omitted} more spans are not drawn.`) : "",
    h("h3", {}, "Log entries of this trace"),
    entries.length
      ? logs.element
      : h("p", { class: "faint" }, "None. An entry belongs here when its trace field names this trace."),
    entries.length
      ? h("p", {}, h("a", { href: `/#${new URLSearchParams({ filter })}` }, "Search them beside the dashboards"))
      : "",
  );
}

function nothing(text) {
  shown = "";
  byId("trace").replaceChildren(h("p", { class: "nothing" }, text));
}

async function showTrace(now) {
  if (!settings.trace) {
    nothing("Choose a trace.");
    return;
  }
  let trace;
  try {
    trace = await api.trace(settings.trace);
  } catch (error) {
    if (error instanceof api.Unreachable) throw error;
    nothing(error.message);
    return;
  }
  const entries = await api.entries(`trace="${trace.trace}"`, MOST_ENTRIES);
  entries.reverse();
  // What is unfolded stays unfolded: the drawing changes only with the data.
  const drawing = JSON.stringify([trace, entries]);
  if (drawing === shown) return;
  shown = drawing;
  draw(trace, entries, now);
}

const title = heading("Traces");
const input = h("input", {
  type: "text",
  name: "filter",
  spellcheck: "false",
  autocomplete: "off",
  maxlength: "20000",
  value: settings.filter,
  "aria-label": "Filter as Cloud Trace knows it",
  placeholder: "Filter, e.g.  GET  latency:200ms  span:SELECT",
});
const problem = h("p", { class: "problem", role: "status", hidden: true });
const empty = h("p", { class: "nothing", hidden: true });
const list = h("ol", { class: "found" });

function choose(traceId) {
  settings.trace = traceId;
  remember();
  poll();
}

function line(trace, now) {
  return h(
    "li",
    { "data-level": trace.errors ? "bad" : undefined },
    h(
      "button",
      { type: "button", onclick: () => choose(trace.traceId) },
      h("span", { class: "name" }, trace.name || "(no name)"),
      h("span", { class: "latency" }, format(trace.seconds, "s")),
      h(
        "span",
        { class: "more" },
        [
          clockTime(trace.start * 1000, { now }),
          `${trace.spans} ${trace.spans === 1 ? "span" : "spans"}`,
          trace.httpStatus,
          ...trace.services,
        ]
          .filter(Boolean)
          .join(" · "),
        trace.errors ? h("span", { class: "failed" }, ` · ${trace.errors} failed`) : null,
      ),
    ),
  );
}

async function showList(now) {
  let answer;
  try {
    answer = await api.traces(settings.filter, MOST_TRACES);
  } catch (error) {
    setText(problem, error.message);
    problem.hidden = false;
    throw error;
  }
  problem.hidden = true;
  keyed(list, answer.traces, {
    // A trace grows while its spans arrive: then its line is made anew.
    key: (trace) => JSON.stringify(trace),
    create: (trace) => line(trace, now),
    update: (item, trace) => item.setAttribute("data-chosen", String(trace.traceId === settings.trace)),
  });
  title.tell(answer.found > answer.traces.length ? `newest ${answer.traces.length} of ${answer.found}` : String(answer.found));
  setText(
    empty,
    settings.filter ? "No trace matches." : "No traces yet. Spans that arrive by OTLP or Cloud Trace's API appear here.",
  );
  empty.hidden = answer.traces.length > 0;
}

let timer;

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  let failure = null;
  try {
    const { now } = await api.about();
    for (const part of [showList, showTrace]) {
      try {
        await part(now);
      } catch (error) {
        failure = error;
      }
    }
    if (!failure) setText(byId("status").querySelector(".said"), `Live ${clockTime(now)}`);
  } catch (error) {
    failure = error;
  }
  if (failure) {
    const away = failure instanceof api.Unreachable;
    setText(byId("status").querySelector(".said"), away ? "Emulator away, retrying" : "Partly refreshed");
  }
  byId("status").dataset.level = failure ? "warning" : "good";
  document.documentElement.dataset.polls = Number(document.documentElement.dataset.polls ?? 0) + 1;
  clearTimeout(timer);
  timer = setTimeout(poll, REFRESH_MS);
}

const form = h(
  "form",
  {
    role: "search",
    onsubmit: (event) => {
      event.preventDefault();
      settings.filter = input.value.trim();
      remember();
      poll();
    },
  },
  input,
);
byId("list").append(h("div", { class: "panel-head" }, title.element, form), problem, empty, h("div", { class: "scroll" }, list));
window.addEventListener("hashchange", () => {
  Object.assign(settings, { filter: "", trace: "" }, Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
  input.value = settings.filter;
  poll();
});
document.addEventListener("visibilitychange", poll);
poll();
