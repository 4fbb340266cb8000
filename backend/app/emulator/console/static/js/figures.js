// Widgets that show the newest values: scorecard, timeSeriesTable, pieChart.

import { h, keyed, setText, svg } from "./dom.js";
import { latest } from "./query.js";
import { Palette, theme } from "./theme.js";
import { format } from "./units.js";

/** "bad", "warning" or "" by the thresholds of a scorecard (google/monitoring/dashboard/v1/scorecard.proto). */
export function verdict(value, thresholds = []) {
  const broken = thresholds.filter(({ value: limit = 0, direction }) =>
    direction === "BELOW" ? value < limit : value > limit,
  );
  if (value === null || !broken.length) return "";
  return broken.some(({ color }) => color !== "YELLOW") ? "bad" : "warning";
}

export class Scorecard {
  constructor(card) {
    this.card = card;
    this.figure = h("div", { class: "figure" });
    this.note = h("div", { class: "note" });
    this.drawing = svg("svg", { class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" });
    this.gauge = svg("svg", { class: "gauge", "aria-hidden": "true", viewBox: "0 0 100 56" });
    this.element = h(
      "div",
      { class: "scorecard" },
      card.gaugeView ? this.gauge : null,
      this.figure,
      this.note,
      card.sparkChartView ? this.drawing : null,
    );
  }

  show([{ series, unit }]) {
    // Several series have no one figure: the widget wants one, so the first is shown and the others are told.
    const value = series.length ? latest(series[0]) : null;
    setText(this.figure, format(value, unit));
    setText(this.note, series.length > 1 ? `${series[0].name}, and ${series.length - 1} more` : "");
    const state = verdict(value, this.card.thresholds);
    this.element.dataset.state = state;
    if (this.card.gaugeView) this.#drawGauge(value);
    if (this.card.sparkChartView && series.length) this.#drawSpark(series[0]);
  }

  #drawGauge(value) {
    const { lowerBound = 0, upperBound = 1 } = this.card.gaugeView;
    const part = Math.min(1, Math.max(0, ((value ?? lowerBound) - lowerBound) / (upperBound - lowerBound || 1)));
    const arc = (to) => {
      const angle = Math.PI * (1 - to);
      return `M 8 50 A 42 42 0 0 1 ${50 + 42 * Math.cos(angle)} ${50 - 42 * Math.sin(angle)}`;
    };
    this.gauge.replaceChildren(
      svg("path", { d: arc(1), class: "track" }),
      part > 0 ? svg("path", { d: arc(part), class: "fill" }) : "",
    );
  }

  #drawSpark({ times, values }) {
    const present = values.filter((value) => value !== null);
    if (present.length < 2) return;
    const low = Math.min(...present, 0);
    const high = Math.max(...present);
    const y = (value) => 30 - (28 * (value - low)) / (high - low || 1);
    const x = (time) => (100 * (time - times[0])) / (times.at(-1) - times[0] || 1);
    const points = times.flatMap((time, index) => (values[index] === null ? [] : [[x(time), y(values[index])]]));
    this.drawing.setAttribute("viewBox", "0 0 100 32");
    if (this.card.sparkChartView.sparkChartType === "SPARK_BAR") {
      const width = 80 / times.length;
      this.drawing.replaceChildren(
        ...points.map(([left, top]) =>
          svg("rect", { x: left - width / 2, y: top, width, height: 32 - top, class: "bar" }),
        ),
      );
      return;
    }
    const line = points.map(([left, top]) => `${left.toFixed(2)} ${top.toFixed(2)}`).join(" L ");
    this.drawing.replaceChildren(
      svg("path", { d: `M ${points[0][0]} 32 L ${line} L ${points.at(-1)[0]} 32 Z`, class: "area" }),
      svg("path", { d: `M ${line}`, class: "line" }),
    );
  }
}

export class SeriesTable {
  constructor(table) {
    this.bars = table.metricVisualization === "BAR";
    this.hidden = new Set(
      (table.columnSettings ?? []).filter(({ visible }) => visible === false).map(({ column }) => column),
    );
    this.head = h("tr");
    this.body = h("tbody");
    this.element = h(
      "div",
      { class: "scroll" },
      h("table", { class: "figures" }, h("thead", {}, this.head), this.body),
    );
  }

  show(sets) {
    const rows = sets.flatMap(({ series, unit, template }, place) =>
      series.map((one) => ({
        key: `${place} ${one.name} ${JSON.stringify(one.labels)}`,
        name: one.name,
        named: Boolean(template),
        labels: one.labels,
        value: latest(one),
        unit,
      })),
    );
    rows.sort((left, right) => (right.value ?? -Infinity) - (left.value ?? -Infinity));
    const differing = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))]
      .filter((label) => label !== "__name__" && !this.hidden.has(label))
      .filter((label) => rows.length === 1 || new Set(rows.map((row) => row.labels[label])).size > 1)
      .sort();
    const named = rows.some((row) => row.named) || !differing.length;
    const columns = named ? ["Name"] : differing;
    keyed(this.head, [...columns, "Value"], {
      key: (name) => name,
      create: (name) => h("th", { scope: "col", class: name === "Value" ? "number" : "" }, name),
    });
    const most = Math.max(0, ...rows.map((row) => row.value ?? 0));
    keyed(this.body, rows, {
      key: (row) => `${columns} ${row.key}`,
      create: (row) =>
        h(
          "tr",
          {},
          ...(named ? [row.name] : differing.map((label) => row.labels[label] ?? "")).map((text) => h("td", {}, text)),
          h("td", { class: "number" }, h("span"), this.bars ? h("span", { class: "meter" }, h("span")) : null),
        ),
      update: (element, row) => {
        const cell = element.lastElementChild;
        setText(cell.firstElementChild, format(row.value, row.unit));
        if (this.bars)
          cell.lastElementChild.firstElementChild.style.width = `${most ? (100 * Math.max(0, row.value ?? 0)) / most : 0}%`;
      },
    });
  }
}

export class Pie {
  #palette = new Palette();

  constructor(pie) {
    this.hole = pie.chartType === "DONUT" ? 0.58 : 0;
    this.drawing = svg("svg", { class: "pie", viewBox: "-1.05 -1.05 2.1 2.1", "aria-hidden": "true" });
    this.list = h("ul", { class: "slices" });
    this.element = h("div", { class: "pie-box" }, this.drawing, this.list);
  }

  show(sets) {
    const slices = sets.flatMap(({ series, unit }) =>
      series.map((one) => ({ name: one.name, value: Math.max(0, latest(one) ?? 0), unit })),
    );
    slices.sort((left, right) => right.value - left.value);
    const total = slices.reduce((sum, slice) => sum + slice.value, 0);
    let from = 0;
    this.drawing.replaceChildren(
      ...slices
        .filter((slice) => slice.value > 0)
        .map((slice) => {
          const to = from + slice.value / total;
          const path = svg("path", {
            d: this.#slice(from, to),
            fill: this.#palette.of(slice.name),
            stroke: theme().surface,
            "stroke-width": 0.02,
          });
          from = to;
          return path;
        }),
    );
    keyed(this.list, slices, {
      key: (slice) => slice.name,
      create: (slice) =>
        h(
          "li",
          {},
          h("span", { class: "swatch", css: { "background-color": this.#palette.of(slice.name) } }),
          h("span", { class: "name" }, slice.name),
          h("span", { class: "value" }),
        ),
      update: (element, slice) =>
        setText(
          element.lastElementChild,
          `${format(slice.value, slice.unit)} · ${total ? Math.round((100 * slice.value) / total) : 0} %`,
        ),
    });
  }

  #slice(from, to) {
    const at = (part, radius) => `${radius * Math.sin(2 * Math.PI * part)} ${-radius * Math.cos(2 * Math.PI * part)}`;
    // An arc cannot end where it begins: a lone slice stops just short of the full circle.
    const end = to - from >= 1 ? from + 0.99999 : to;
    const large = end - from > 0.5 ? 1 : 0;
    if (!this.hole) return `M 0 0 L ${at(from, 1)} A 1 1 0 ${large} 1 ${at(end, 1)} Z`;
    return `M ${at(from, 1)} A 1 1 0 ${large} 1 ${at(end, 1)} L ${at(end, this.hole)} A ${this.hole} ${this.hole} 0 ${large} 0 ${at(from, this.hole)} Z`;
  }
}
