// The page's one loop: asks everything again every few seconds, rests while the tab is hidden.

import * as api from "./api.js";
import { IncidentPanel, NotificationPanel, PolicyPanel } from "./alerts.js";
import { Board } from "./board.js";
import { h, keyed, setText } from "./dom.js";
import { LogPanel } from "./logs.js";
import { onThemeChange } from "./theme.js";
import { clockTime } from "./time.js";

const RANGES = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400 };
const REFRESH = { paused: 0, "2s": 2, "5s": 5, "15s": 15 };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const POINTS = 240;
const CATALOGUE_SECONDS = 10;

const byId = (id) => document.getElementById(id);
const settings = {
  dashboard: "",
  range: "",
  refresh: "5s",
  filter: "",
  floor: "",
  ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
};
if (!(settings.refresh in REFRESH)) settings.refresh = "5s";
if (!(settings.range in RANGES)) settings.range = "";

const state = {
  ahead: 0, // what the emulator's clock shows more than the browser's, in ms
  started: 0,
  zoom: null,
  dashboards: null,
  drawn: "",
  catalogueAt: -Infinity,
  alerting: { incidents: [], policies: [], evaluations: [], notifications: [], values: new Map() },
};

const now = () => Date.now() + state.ahead;

function remember() {
  const told = Object.entries(settings).filter(([name, value]) => value && !(name === "refresh" && value === "5s"));
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
}

/** Until the reader chooses, the shortest range that reaches back to the emulator's start, at most an hour. */
function rangeName() {
  if (settings.range) return settings.range;
  const age = (now() - state.started) / 1000;
  return age < RANGES["5m"] ? "5m" : age < RANGES["15m"] ? "15m" : "1h";
}

function drawingWindow() {
  const end = state.zoom?.end ?? now() / 1000;
  const start = state.zoom?.start ?? end - RANGES[rangeName()];
  const step = STEPS.find((candidate) => (end - start) / candidate <= POINTS) ?? STEPS.at(-1);
  // Whole steps since the epoch: a moving window then asks for the same instants again, and the drawing does not shimmer.
  return { start: Math.floor(start / step) * step, end: Math.floor(end / step) * step, step };
}

const board = new Board(byId("board"), {
  context: () => ({ window: drawingWindow(), now: now() }),
  alerting: () => state.alerting,
  onZoom: (start, end) => {
    state.zoom = { start, end };
    byId("back-to-live").hidden = false;
    redraw();
  },
});
const logs = new LogPanel(byId("logs"), settings, () => {
  remember();
  run("logs", () => logs.refresh(now()));
});
const incidents = new IncidentPanel(byId("incidents"));
const policies = new PolicyPanel(byId("policies"));
const notifications = new NotificationPanel(byId("notifications"));

const failed = new Map();

/** Runs one part of a poll; its failure is shown in the corner and does not stop the others. */
async function run(name, part) {
  try {
    await part();
    failed.delete(name);
  } catch (error) {
    failed.set(name, error);
  }
}

function tellStatus() {
  const [error] = [...failed.values()];
  const paused = settings.refresh === "paused";
  const away = error instanceof api.Unreachable;
  byId("status").dataset.level = error ? (away ? "bad" : "warning") : paused ? "quiet" : "good";
  setText(
    byId("status").querySelector(".said"),
    away ? "Emulator away, retrying" : error ? "Partly refreshed" : `${paused ? "Paused" : "Live"} ${clockTime(now())}`,
  );
  byId("status").title = [...failed].map(([name, { message }]) => `${name}: ${message}`).join("\n");
}

async function synchronise() {
  const sent = Date.now();
  const { now: theirs, started } = await api.about();
  state.ahead = theirs - (sent + Date.now()) / 2;
  state.started = started;
}

async function readCatalogue() {
  if (performance.now() - state.catalogueAt < CATALOGUE_SECONDS * 1000 && state.dashboards?.length) return;
  const found = await api.dashboards();
  state.catalogueAt = performance.now();
  state.dashboards = found.sort((left, right) => (left.displayName ?? "").localeCompare(right.displayName ?? ""));
  showDashboard();
}

function showDashboard() {
  const chosen =
    state.dashboards.find((dashboard) => dashboard.name === settings.dashboard) ??
    state.dashboards.find((dashboard) => /overview/i.test(dashboard.displayName ?? "")) ??
    state.dashboards[0];
  const select = byId("dashboards");
  if (select.disabled) select.replaceChildren();
  keyed(select, state.dashboards, {
    key: (dashboard) => dashboard.name,
    create: (dashboard) => h("option", { value: dashboard.name }),
    update: (option, dashboard) => setText(option, dashboard.displayName || dashboard.name),
  });
  select.disabled = state.dashboards.length === 0;
  if (select.disabled) select.replaceChildren(h("option", {}, "No dashboard yet"));
  if (chosen) select.value = chosen.name;
  const drawing = JSON.stringify(chosen ?? null);
  if (drawing === state.drawn) return;
  state.drawn = drawing;
  if (chosen) board.show(chosen);
  else showEmpty();
}

function showEmpty() {
  board.clear();
  const command = [
    location.port === "8086" ? "" : `CLOUDOPS_EMULATOR_HTTP=${location.host} `,
    "cloudops apply terraform/monitoring \\\n  --var service=my-service --var environment=production --var host=localhost",
  ].join("");
  byId("board").replaceChildren(
    h(
      "div",
      { class: "empty" },
      h("h2", {}, "No dashboard is loaded"),
      h(
        "p",
        {},
        "Load the alert policies, dashboards and uptime checks of this repository, or any file that Google's console exports:",
      ),
      h("pre", {}, command),
      h("p", { class: "faint" }, "It appears here within seconds."),
    ),
  );
}

async function readAlerting() {
  const parts = {
    incidents: api.alerts,
    policies: api.policies,
    evaluations: api.evaluations,
    notifications: api.notifications,
  };
  await Promise.all(
    Object.entries(parts).map(([name, ask]) =>
      run(name, async () => {
        state.alerting[name] = await ask();
      }),
    ),
  );
  await run("values", readValues);
  const open = incidents.show(state.alerting, now());
  policies.show(state.alerting, now());
  notifications.show(state.alerting, now());
  document.title = `${open ? `(${open}) ` : ""}${api.project} · cloudops`;
}

/** What violates right now: the queries of the policies that have an open incident, by policy name. */
async function readValues() {
  const { incidents: known, policies: all } = state.alerting;
  const open = new Set(known.filter((incident) => incident.state === "OPEN").map((incident) => incident.policy?.name));
  const asked = all
    .filter((policy) => open.has(policy.name))
    .flatMap(({ name, conditions = [] }) =>
      conditions
        .map(({ conditionPrometheusQueryLanguage: condition }) => [name, condition?.query])
        .filter(([, query]) => query),
    );
  const answers = await Promise.all(asked.map(async ([name, query]) => [name, await api.query(query, now() / 1000)]));
  state.alerting.values = new Map(answers);
}

async function poll() {
  await run("clock", synchronise);
  showRange();
  await run("dashboards", readCatalogue);
  await readAlerting();
  await Promise.all([run("charts", () => board.refresh()), run("logs", () => logs.refresh(now()))]);
  tellStatus();
}

let timer;
let polling = false;

async function loop() {
  clearTimeout(timer);
  if (polling || document.hidden) return;
  polling = true;
  try {
    await poll();
  } finally {
    polling = false;
  }
  document.documentElement.dataset.polls = Number(document.documentElement.dataset.polls ?? 0) + 1;
  if (REFRESH[settings.refresh]) timer = setTimeout(loop, REFRESH[settings.refresh] * 1000);
}

async function redraw() {
  await run("charts", () => board.refresh());
  tellStatus();
}

function showRange() {
  for (const input of byId("ranges").querySelectorAll("input"))
    input.checked = !state.zoom && input.value === rangeName();
}

function controls() {
  byId("ranges").append(
    ...Object.keys(RANGES).map((name) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: "range",
          value: name,
          onchange: () => {
            settings.range = name;
            backToLive();
          },
        }),
        h("span", {}, name),
      ),
    ),
  );
  byId("refresh").append(
    ...Object.keys(REFRESH).map((name) =>
      h("option", { value: name, selected: name === settings.refresh }, name === "paused" ? "Paused" : `Every ${name}`),
    ),
  );
  byId("refresh").addEventListener("change", (event) => {
    settings.refresh = event.target.value;
    remember();
    tellStatus();
    loop();
  });
  byId("dashboards").addEventListener("change", (event) => {
    settings.dashboard = event.target.value;
    remember();
    showDashboard();
    redraw();
  });
  byId("back-to-live").addEventListener("click", backToLive);
  document.addEventListener("visibilitychange", loop);
  onThemeChange(() => {
    state.drawn = "";
    if (state.dashboards) showDashboard();
    redraw();
  });
}

function backToLive() {
  state.zoom = null;
  byId("back-to-live").hidden = true;
  remember();
  showRange();
  redraw();
}

controls();
loop();
