// Log entries: one line each, the whole entry as JSON behind it.

import { entries as listEntries } from "./api.js";
import { h, heading, keyed, link, setText } from "./dom.js";
import { clockTime, seconds } from "./time.js";
import { format } from "./units.js";

const PAGE = 100;
// google/logging/type/log_severity.proto, with the level under which the page colours it.
const LEVELS = {
  DEFAULT: "quiet",
  DEBUG: "quiet",
  INFO: "info",
  NOTICE: "info",
  WARNING: "warning",
  ERROR: "bad",
  CRITICAL: "worst",
  ALERT: "worst",
  EMERGENCY: "worst",
};
const severityOf = (entry) => (entry.severity in LEVELS ? entry.severity : "DEFAULT");

// The store may answer the same insertId in two logs; an entry without one is told apart by all it holds.
const keyOf = (entry) => `${entry.logName} ${entry.timestamp} ${entry.insertId ?? JSON.stringify(entry)}`;

const ACCESS = /^([A-Z]+) (?:\/\S*|\(no route\)) (\d{3})(?: [A-Z][\w' -]*)?$/;

/** Whether a message only repeats what the request beside it says, as `GET /items/{id} 200 OK` does. */
function repeatsRequest(message, { httpRequest }) {
  const [, method, status] = ACCESS.exec(message) ?? [];
  return Boolean(httpRequest) && method === httpRequest.requestMethod && Number(status) === httpRequest.status;
}

function messageOf(entry) {
  const message = fullMessageOf(entry);
  return repeatsRequest(message, entry) ? "" : message;
}

function fullMessageOf(entry) {
  const payload = entry.jsonPayload ?? entry.protoPayload;
  const message = entry.textPayload ?? payload?.message ?? payload?.msg;
  if (typeof message === "string") return message;
  if (payload) return JSON.stringify(payload);
  return "";
}

function pathOf(address = "") {
  try {
    const { pathname, search } = new URL(address, "http://host.invalid");
    return pathname + search;
  } catch {
    return address;
  }
}

function requestOf({ httpRequest }) {
  if (!httpRequest) return null;
  const { requestMethod = "", requestUrl = "", status, latency } = httpRequest;
  const level = status >= 500 ? "bad" : status >= 400 ? "warning" : "good";
  return h(
    "span",
    { class: "request" },
    h("span", { class: "method" }, requestMethod),
    status === undefined ? null : h("span", { class: "http-status", "data-level": level }, String(status)),
    h("span", { class: "path" }, pathOf(requestUrl)),
    latency === undefined ? null : h("span", { class: "latency" }, format(seconds(latency), "s")),
  );
}

const KINDS = { string: "string", number: "number", boolean: "word" };

/** Pretty JSON as nested spans; every value is a text node. */
export function json(value, indent = 0) {
  const pad = "  ".repeat(indent + 1);
  const end = `\n${"  ".repeat(indent)}`;
  if (Array.isArray(value) && value.length) {
    return h(
      "span",
      {},
      "[\n",
      ...value.flatMap((item, index) => [pad, json(item, indent + 1), index < value.length - 1 ? ",\n" : ""]),
      end,
      "]",
    );
  }
  if (value && typeof value === "object" && Object.keys(value).length) {
    const members = Object.entries(value);
    return h(
      "span",
      {},
      "{\n",
      ...members.flatMap(([name, item], index) => [
        pad,
        h("span", { class: "json-key" }, JSON.stringify(name)),
        ": ",
        json(item, indent + 1),
        index < members.length - 1 ? ",\n" : "",
      ]),
      end,
      "}",
    );
  }
  return h("span", { class: `json-${KINDS[typeof value] ?? "word"}` }, JSON.stringify(value) ?? "null");
}

function details(entry, onFilter) {
  const trace = entry.trace?.split("/").at(-1);
  const errorMessage = entry.jsonPayload?.stack_trace ?? entry.jsonPayload?.exception;
  return h(
    "div",
    { class: "entry-details" },
    h(
      "div",
      { class: "entry-actions" },
      trace && onFilter
        ? h(
            "button",
            {
              type: "button",
              class: "quiet",
              onclick: () => onFilter(`trace="${entry.trace.replaceAll('"', '\\"')}"`),
            },
            `Entries of trace ${trace.slice(0, 12)}…`,
          )
        : null,
      trace && onFilter ? h("a", { href: `/traces#${new URLSearchParams({ trace })}` }, "Open the trace") : null,
      /^https?:/i.test(entry.httpRequest?.requestUrl ?? "") ? link(entry.httpRequest.requestUrl, "Request URL") : null,
      h("span", { class: "faint" }, entry.logName?.split("/").slice(2).join("/") ?? ""),
    ),
    typeof errorMessage === "string" ? h("pre", { class: "stack" }, errorMessage) : null,
    h("pre", { class: "json" }, json(entry)),
  );
}

/** A list of entries, newest first; what is unfolded stays unfolded while others arrive. */
export class LogList {
  constructor({ onFilter } = {}) {
    this.onFilter = onFilter;
    this.element = h("ol", { class: "entries" });
  }

  show(entries, now) {
    keyed(this.element, entries, { key: keyOf, create: (entry) => this.#row(entry, now) });
  }

  #row(entry, now) {
    const severity = severityOf(entry);
    const row = h("li", { class: "entry", "data-level": LEVELS[severity] });
    const toggle = () => {
      const open = row.children.length > 1;
      button.setAttribute("aria-expanded", String(!open));
      if (open) row.lastElementChild.remove();
      else row.append(details(entry, this.onFilter));
    };
    const button = h(
      "button",
      { type: "button", class: "line", "aria-expanded": "false", onclick: toggle },
      h("span", { class: "severity" }, severity),
      h("time", { datetime: entry.timestamp }, clockTime(Date.parse(entry.timestamp), { millis: true, now })),
      requestOf(entry),
      h("span", { class: "message" }, messageOf(entry)),
    );
    row.append(button);
    return row;
  }
}

const FLOORS = [
  ["", "All severities"],
  ["INFO", "Info and above"],
  ["WARNING", "Warning and above"],
  ["ERROR", "Error and above"],
];

/** The panel with its filter box; `settings`: {filter, floor}, told to `onChange` when the reader changes them. */
export class LogPanel {
  #held = null;

  constructor(root, settings, onChange) {
    this.settings = settings;
    this.onChange = onChange;
    this.heading = heading("Logs");
    this.input = h("input", {
      type: "text",
      name: "filter",
      spellcheck: "false",
      autocomplete: "off",
      maxlength: "20000",
      value: settings.filter,
      "aria-label": "Filter in the Logging query language",
      placeholder: 'Filter, e.g.  severity>=ERROR  httpRequest.status>=500  jsonPayload.message:"timeout"',
    });
    this.floor = h(
      "select",
      { "aria-label": "Lowest severity", onchange: () => this.#apply() },
      ...FLOORS.map(([value, label]) => h("option", { value, selected: value === settings.floor }, label)),
    );
    this.clear = h(
      "button",
      { type: "button", class: "quiet", hidden: !settings.filter, onclick: () => this.setFilter("") },
      "Clear",
    );
    this.size = h(
      "button",
      { type: "button", class: "quiet", "aria-expanded": "true", onclick: () => this.#fold(root) },
      "Hide",
    );
    const form = h(
      "form",
      {
        role: "search",
        onsubmit: (event) => {
          event.preventDefault();
          this.#apply();
        },
      },
      this.input,
      this.clear,
      this.floor,
    );
    this.problem = h("p", { class: "problem", role: "status", hidden: true });
    this.newer = h("button", { type: "button", class: "newer", hidden: true, onclick: () => this.#release() });
    this.list = new LogList({ onFilter: (filter) => this.setFilter(filter) });
    this.scroll = h(
      "div",
      {
        class: "scroll",
        tabindex: "0",
        role: "region",
        "aria-label": "Newest log entries",
        onscroll: () => this.scroll.scrollTop < 4 && this.#release(),
      },
      this.list.element,
    );
    this.empty = h("p", { class: "nothing", hidden: true });
    root.append(
      h("div", { class: "panel-head" }, this.heading.element, form, this.size),
      this.problem,
      h("div", { class: "log-body" }, this.newer, this.empty, this.scroll),
    );
  }

  setFilter(filter) {
    this.input.value = filter;
    this.#apply();
  }

  async refresh(now) {
    const { filter, floor } = this.settings;
    // The reader's filter comes first and unchanged, so that positions in an error message are the reader's own.
    const whole = [filter, floor && `${filter ? "AND " : ""}severity>=${floor}`].filter(Boolean).join("\n");
    let found;
    try {
      found = await listEntries(whole, PAGE);
    } catch (error) {
      if (filter === this.settings.filter) this.#complain(error.message);
      throw error;
    }
    if (filter !== this.settings.filter || floor !== this.settings.floor) return;
    this.#complain("");
    const fresh =
      found.length && this.shown?.length ? found.findIndex((entry) => keyOf(entry) === keyOf(this.shown[0])) : 0;
    if (this.scroll.scrollTop >= 4 && fresh !== 0) {
      // Somebody reads further down: keep still, and say what waits above.
      this.#held = { found, now };
      setText(
        this.newer,
        fresh > 0 ? `${fresh} newer ${fresh === 1 ? "entry" : "entries"} ↑` : `${found.length}+ newer entries ↑`,
      );
      this.newer.hidden = false;
      return;
    }
    this.#show(found, now);
  }

  #show(found, now) {
    this.shown = found;
    this.list.show(found, now);
    this.heading.tell(found.length >= PAGE ? `newest ${PAGE}` : String(found.length));
    setText(
      this.empty,
      this.settings.filter || this.settings.floor
        ? "No entry matches."
        : "No log entries yet. What a service writes under cloudops run appears here.",
    );
    this.empty.hidden = found.length > 0;
    this.newer.hidden = true;
  }

  #release() {
    if (!this.#held) return;
    const { found, now } = this.#held;
    this.#held = null;
    this.scroll.scrollTop = 0;
    this.#show(found, now);
  }

  #apply() {
    this.settings.filter = this.input.value.trim();
    this.settings.floor = this.floor.value;
    this.clear.hidden = !this.settings.filter;
    this.#held = null;
    this.scroll.scrollTop = 0;
    this.onChange(this.settings);
  }

  #complain(message) {
    setText(this.problem, message);
    this.problem.hidden = !message;
    this.input.setAttribute("aria-invalid", String(Boolean(message)));
  }

  #fold(root) {
    const folded = root.classList.toggle("folded");
    setText(this.size, folded ? "Show" : "Hide");
    this.size.setAttribute("aria-expanded", String(!folded));
  }
}
