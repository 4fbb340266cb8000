// Incidents, policies and notifications.

import { h, heading, keyed, link, setText } from "./dom.js";
import { clockTime, duration } from "./time.js";
import { format } from "./units.js";

const RECENT = 5;
const SHOWN = 20;
const idOf = (name = "") => name.split("/").at(-1);
// A notification's url leads here and names its incident.
const named = new URLSearchParams(location.search).get("incident");
const when = (text) => Date.parse(text ?? "");

/** The runbook of a policy: its first documentation link, else the first address its text holds. */
export function runbookOf(policy) {
  const { links = [], content = "" } = policy?.documentation ?? {};
  if (links[0]?.url) return { url: links[0].url, label: links[0].displayName || "Runbook" };
  const url = /https?:\/\/[^\s<>()"'\]]+/.exec(content)?.[0];
  return url ? { url, label: "Runbook" } : null;
}

const labelsOf = ({ resource, metric }) => {
  const labels = { ...resource?.labels, ...metric?.labels };
  delete labels.project_id;
  return Object.entries(labels);
};

/** The value that violates now, else the one that was notified. */
function valueOf(incident, { values, notifications }) {
  const mine = Object.fromEntries(labelsOf(incident));
  const now = values
    .get(incident.policy?.name)
    ?.find(({ metric }) =>
      Object.entries(metric).every(
        ([name, value]) => name === "__name__" || name === "project_id" || mine[name] === value,
      ),
    );
  if (now) return `Value ${format(Number(now.value[1]))} now`;
  const told = notifications.find((one) => one.incidentId === idOf(incident.name))?.payload?.incident?.observed_value;
  return told ? `Value ${told} when last told` : "";
}

function severity(name) {
  if (!name || name === "SEVERITY_UNSPECIFIED") return null;
  return h("span", { class: "badge", "data-severity": name }, name);
}

/** Cards for incidents; a card stays the same element for as long as its incident is listed. */
export function incidentCards() {
  const element = h("ul", { class: "incidents" });
  const show = (incidents, alerting, now) => {
    keyed(element, incidents, {
      key: (incident) => `${incident.name} ${incident.state}`,
      create: (incident) =>
        card(
          incident,
          alerting.policies.find((policy) => policy.name === incident.policy?.name),
        ),
      update: (item, incident) => {
        const [opened, closed] = [when(incident.openTime), when(incident.closeTime)];
        const open = incident.state === "OPEN";
        setText(
          item.querySelector(".since"),
          open
            ? `open for ${duration((now - opened) / 1000)}, since ${clockTime(opened, { now })}`
            : `${clockTime(opened, { now })}, closed after ${duration((closed - opened) / 1000)}`,
        );
        setText(item.querySelector(".observed"), open ? valueOf(incident, alerting) : "");
      },
    });
  };
  return { element, show };
}

function card(incident, policy) {
  const runbook = runbookOf(policy);
  const open = incident.state === "OPEN";
  const labels = open ? labelsOf(incident) : [];
  return h(
    "li",
    { class: "incident", "data-state": incident.state, "data-named": idOf(incident.name) === named },
    h(
      "div",
      { class: "incident-head" },
      h("strong", {}, incident.policy?.displayName || idOf(incident.policy?.name)),
      severity(incident.policy?.severity ?? policy?.severity),
    ),
    open && policy?.conditions?.length === 1
      ? h("div", { class: "condition" }, policy.conditions[0].displayName ?? "")
      : null,
    h("div", { class: "since" }),
    h("div", { class: "observed" }),
    labels.length
      ? h(
          "details",
          { class: "labels" },
          h("summary", {}, `${labels.length} ${labels.length === 1 ? "label" : "labels"}`),
          h("dl", {}, ...labels.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
        )
      : null,
    runbook ? h("div", { class: "links" }, link(runbook.url, runbook.label)) : null,
  );
}

export class IncidentPanel {
  constructor(root) {
    this.heading = heading("Open incidents");
    this.open = incidentCards();
    this.closed = incidentCards();
    this.calm = h("p", { class: "all-clear" }, "Nothing is wrong.");
    this.recent = h(
      "details",
      { class: "recent", hidden: true, open: true },
      h("summary", {}, "Recently closed"),
      this.closed.element,
    );
    root.append(this.heading.element, this.calm, this.open.element, this.recent);
  }

  show(alerting, now) {
    const { incidents, policies } = alerting;
    const open = incidents
      .filter((incident) => incident.state === "OPEN")
      .sort((left, right) => when(right.openTime) - when(left.openTime));
    const closed = incidents
      .filter((incident) => incident.state === "CLOSED")
      .sort((left, right) => when(right.closeTime) - when(left.closeTime));
    this.heading.tell(open.length ? String(open.length) : "");
    this.calm.hidden = open.length > 0;
    setText(this.calm, policies.length ? "Nothing is wrong." : "Nothing is watched yet.");
    this.calm.dataset.level = policies.length ? "good" : "quiet";
    this.open.show(open, alerting, now);
    this.closed.show(closed.slice(0, RECENT), alerting, now);
    this.recent.hidden = closed.length === 0;
    return open.length;
  }
}

// What the emulator says of a condition (/emulator/v1/evaluations), the worst first, and how a policy then looks.
const STATES = [
  ["firing", "Open", "bad"],
  ["error", "Failing", "warning"],
  ["pending", "Pending", "warning"],
  ["not evaluated yet", "Not evaluated", "quiet"],
  ["waiting", "Waiting", "quiet"],
  ["ok", "OK", "good"],
];

function stateOf(policy, { incidents, evaluations }) {
  if (policy.enabled === false) return ["disabled", "Disabled", "quiet"];
  const conditions = evaluations.find((one) => one.policy === policy.name)?.conditions ?? [];
  const open = incidents.some((incident) => incident.state === "OPEN" && incident.policy?.name === policy.name);
  return (
    STATES.find(([state]) => (open && state === "firing") || conditions.some((one) => one.state === state)) ??
    STATES.at(-2)
  );
}

const row = () =>
  h(
    "li",
    {},
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "what" }),
    h("span", { class: "state" }),
    h("span", { class: "more" }),
  );

function write(element, level, texts) {
  element.dataset.level = level;
  texts.forEach((text, index) => setText(element.children[index + 1], text));
}

export class PolicyPanel {
  constructor(root) {
    this.heading = heading("Policies");
    this.list = h("ul", { class: "rows" });
    this.empty = h("p", { class: "nothing", hidden: true }, "No alert policy is loaded.");
    root.append(this.heading.element, this.empty, this.list);
  }

  show(alerting, now) {
    const { policies, evaluations } = alerting;
    const last = Math.max(
      ...evaluations.flatMap((one) => one.conditions ?? []).map((one) => when(one.lastEvaluationTime) || 0),
    );
    this.heading.tell(
      [policies.length || "", last > 0 ? `evaluated ${clockTime(last, { now })}` : ""].filter(Boolean).join(" · "),
    );
    this.empty.hidden = policies.length > 0;
    const sorted = [...policies].sort((left, right) => (left.displayName ?? "").localeCompare(right.displayName ?? ""));
    keyed(this.list, sorted, {
      key: (policy) => policy.name,
      create: row,
      update: (element, policy) => {
        const [, label, level] = stateOf(policy, alerting);
        const conditions = evaluations.find((one) => one.policy === policy.name)?.conditions ?? [];
        const problems = conditions.map((one) => one.error).filter(Boolean);
        write(element, level, [policy.displayName || idOf(policy.name), label, problems.join("; ")]);
      },
    });
  }
}

const DELIVERY = { delivered: "good", recorded: "good", waiting: "warning" };

export class NotificationPanel {
  constructor(root) {
    this.heading = heading("Notifications");
    this.list = h("ul", { class: "rows" });
    this.empty = h("p", { class: "nothing", hidden: true }, "None sent yet.");
    root.append(this.heading.element, this.empty, this.list);
  }

  show({ notifications }, now) {
    this.heading.tell(notifications.length ? String(notifications.length) : "");
    this.empty.hidden = notifications.length > 0;
    keyed(this.list, notifications.slice(0, SHOWN), {
      key: (one) => one.id,
      create: row,
      update: (element, one) => {
        const attempt = one.attempts?.at(-1);
        const answer = attempt?.statusCode ? `HTTP ${attempt.statusCode}` : attempt?.error;
        const where = [one.channelDisplayName || one.channelType, one.target].filter(Boolean).join(" ");
        write(element, DELIVERY[one.status] ?? "bad", [
          one.payload?.incident?.policy_name ?? one.policy,
          `${one.event}, ${one.status}`,
          [clockTime(when(attempt?.time ?? one.createTime), { now }), where, answer, one.note]
            .filter(Boolean)
            .join(" · "),
        ]);
      },
    });
  }
}
