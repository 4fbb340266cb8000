// What each kind of widget draws. A view has an `element`, and `show(sets, window, title)` or `refresh(...)`.

import { entries as listEntries } from "./api.js";
import { incidentCards } from "./alerts.js";
import { XyChart } from "./chart.js";
import { h } from "./dom.js";
import { Pie, Scorecard, SeriesTable } from "./figures.js";
import { Heatmap } from "./heatmap.js";
import { LogList } from "./logs.js";
import { markdown } from "./markdown.js";

const NAMES = [
  "xyChart",
  "scorecard",
  "timeSeriesTable",
  "pieChart",
  "text",
  "sectionHeader",
  "logsPanel",
  "incidentList",
  "blank",
  "alertChart",
  "errorReportingPanel",
  "collapsibleGroup",
  "singleViewGroup",
  "treemap",
];

/** The kind of a widget as the API names it, e.g. "xyChart"; undefined when it holds none that is known. */
export const kindOf = (widget) =>
  NAMES.find((name) => name in widget) ??
  Object.keys(widget).find((name) => typeof widget[name] === "object" && name !== "visibilityCondition");

const PLOTS = { STACKED_AREA: "STACKED_AREA", STACKED_BAR: "STACKED_BAR", LINE: "LINE" };

function xyChart(chart, board) {
  const heat = (chart.dataSets ?? []).some((set) => set.plotType === "HEATMAP");
  const view = heat ? new Heatmap(board) : new XyChart(chart, board);
  view.queries = (chart.dataSets ?? []).map((set) => ({
    query: set.timeSeriesQuery,
    minAlignment: set.minAlignmentPeriod,
    template: set.legendTemplate,
    plotType: PLOTS[set.plotType] ?? "LINE",
    axis: set.targetAxis === "Y2" ? "y2" : "y",
  }));
  return view;
}

function scorecard(card) {
  const view = new Scorecard(card);
  view.queries = [{ query: card.timeSeriesQuery }];
  return view;
}

function timeSeriesTable(table) {
  const view = new SeriesTable(table);
  view.queries = (table.dataSets ?? []).map((set) => ({
    query: set.timeSeriesQuery,
    minAlignment: set.minAlignmentPeriod,
    template: set.tableTemplate,
  }));
  return view;
}

function pieChart(pie) {
  const view = new Pie(pie);
  view.queries = (pie.dataSets ?? []).map((set) => ({
    query: set.timeSeriesQuery,
    minAlignment: set.minAlignmentPeriod,
    template: set.sliceNameTemplate,
  }));
  return view;
}

const COLOUR = /^#(?:[0-9a-f]{6}|[0-9a-f]{8})$/i;
const PLAIN = new Set(["#ffffff", "#ffffffff", "#212121", "#000000"]);
const ALIGN = { H_LEFT: "left", H_CENTER: "center", H_RIGHT: "right" };
const SIZES = {
  FS_EXTRA_SMALL: "0.8em",
  FS_SMALL: "0.9em",
  FS_MEDIUM: "1em",
  FS_LARGE: "1.25em",
  FS_EXTRA_LARGE: "1.6em",
};

function text({ content = "", format, style = {} }) {
  const body = format === "RAW" ? [h("pre", { class: "raw" }, content)] : markdown(content);
  const element = h("div", { class: "text" }, ...body);
  // The plain defaults of Google's editor are black on white: the reader's own theme serves better.
  for (const [field, property] of [
    ["backgroundColor", "background-color"],
    ["textColor", "color"],
  ]) {
    const colour = style[field] ?? "";
    if (COLOUR.test(colour) && !PLAIN.has(colour.toLowerCase())) element.style.setProperty(property, colour);
  }
  if (style.horizontalAlignment in ALIGN) element.style.textAlign = ALIGN[style.horizontalAlignment];
  if (style.fontSize in SIZES) element.style.fontSize = SIZES[style.fontSize];
  return { element };
}

function sectionHeader({ subtitle, dividerBelow }) {
  return {
    element: h(
      "div",
      { class: dividerBelow ? "section-head divided" : "section-head" },
      subtitle ? h("p", {}, subtitle) : null,
    ),
  };
}

function logsPanel({ filter = "", resourceNames }) {
  const list = new LogList();
  const names = resourceNames?.length ? resourceNames : undefined;
  return {
    element: h("div", { class: "scroll", tabindex: "0" }, list.element),
    refresh: async (window, { now }) => {
      const found = await listEntries(filter, 50, names);
      list.show(found, now);
      return found.length > 0 ? "" : "No entry matches.";
    },
  };
}

function incidentList({ policyNames = [] }, board) {
  const cards = incidentCards();
  return {
    element: h("div", { class: "scroll", tabindex: "0" }, cards.element),
    refresh: async (window, { now }) => {
      const alerting = board.alerting();
      const wanted = alerting.incidents.filter(
        (incident) => !policyNames.length || policyNames.includes(incident.policy?.name),
      );
      wanted.sort((left, right) => (left.state === right.state ? 0 : left.state === "OPEN" ? -1 : 1));
      cards.show(wanted.slice(0, 20), alerting, now);
      return wanted.length ? "" : "No incidents.";
    },
  };
}

const blank = () => ({ element: h("div") });

const MAKERS = { xyChart, scorecard, timeSeriesTable, pieChart, text, sectionHeader, logsPanel, incidentList, blank };

/** The view of a widget, or null when this page cannot draw its kind. */
export function viewOf(widget, board) {
  const kind = kindOf(widget);
  return kind in MAKERS ? MAKERS[kind](widget[kind], board) : null;
}
