// One xyChart as one uPlot instance; a poll hands it new numbers, it is only built anew when its series change.

import { h, keyed, setText } from "./dom.js";
import { axisTimes, clockTime } from "./time.js";
import { faded, gravity, Palette, theme } from "./theme.js";
import { axisValues, format } from "./units.js";

const MOST_SERIES = 60;
const AXIS_HEIGHT = 26;

/** Values on top of each other, drawn from the highest to the lowest; null only where all are null. */
export function stacked(columns) {
  const sums = new Array(columns[0]?.length ?? 0).fill(null);
  return columns.map((values) => {
    values.forEach((value, index) => {
      if (typeof value === "number") sums[index] = (sums[index] ?? 0) + value;
    });
    return [...sums];
  });
}

/** Values without a neighbour, which a line would not show; undefined only says that another series has a point there. */
function lonely(plot, series) {
  const values = plot.data[series];
  const present = values.flatMap((value, index) => (value === undefined ? [] : [index]));
  const alone = (place) => typeof values[present[place]] !== "number";
  const found = present.filter((index, place) => !alone(place) && alone(place - 1) && alone(place + 1));
  return found.length ? found : null;
}

function yRange(thresholds, log) {
  return (plot, low, high) => {
    if (low === null || high === null) return log ? [1, 10] : [0, 1];
    if (log)
      return [10 ** Math.floor(Math.log10(Math.max(low, 1e-9))), 10 ** Math.ceil(Math.log10(Math.max(high, 1e-8)))];
    const top = Math.max(high, ...thresholds);
    const bottom = Math.min(low, ...thresholds);
    if (top === bottom) return top === 0 ? [0, 1] : [Math.min(0, top * 1.2), Math.max(0, top * 1.2)];
    return [bottom >= 0 ? 0 : bottom - (top - bottom) * 0.06, top <= 0 ? 0 : top + (top - Math.min(0, bottom)) * 0.08];
  };
}

export class XyChart {
  #plot = null;
  #shape = "";
  #palette = new Palette();
  #hidden = new Set();
  #rows = [];
  #cursor = null;

  /** `onZoom(start, end)` in seconds. */
  constructor(chart, { onZoom, sync }) {
    this.chart = chart;
    this.onZoom = onZoom;
    this.sync = sync;
    this.canvas = h("div", { class: "canvas", tabindex: "0", role: "img", onkeydown: (event) => this.#walk(event) });
    this.legend = h("div", { class: "legend" });
    this.element = h("div", { class: "xy" }, this.canvas, this.legend);
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(this.canvas);
  }

  /** `sets`: [{series, unit, plotType, axis: "y"|"y2"}], `window`: {start, end, step}. */
  show(sets, window, title) {
    this.window = window;
    const rows = sets.flatMap((set, place) =>
      set.series.map((series) => ({
        ...series,
        plotType: set.plotType,
        axis: set.axis,
        unit: set.unit,
        key: `${place} ${series.name} ${JSON.stringify(series.labels)}`,
      })),
    );
    // What is well lies at the bottom of a pile, what is wrong on top of it.
    rows.sort((left, right) => gravity(left.name) - gravity(right.name) || (left.key < right.key ? -1 : 1));
    this.dropped = Math.max(0, rows.length - MOST_SERIES);
    this.#rows = rows.slice(0, MOST_SERIES);
    for (const row of this.#rows) row.colour = this.#palette.of(row.key, row.name);
    this.#draw();
    this.#tell();
    this.canvas.setAttribute(
      "aria-label",
      `${title}: ${this.#rows.map((row) => `${row.name} ${format(lastOf(row.values), row.unit)}`).join(", ") || "no data"}`,
    );
  }

  destroy() {
    this.observer.disconnect();
    this.#plot?.destroy();
  }

  #visible() {
    const shown = this.#rows.filter((row) => !this.#hidden.has(row.key));
    const piles = shown.filter((row) => row.plotType !== "LINE");
    return [...piles.toReversed(), ...shown.filter((row) => row.plotType === "LINE")];
  }

  #draw() {
    const rows = this.#visible();
    const { start, end } = this.window;
    const tables = rows.length
      ? rows.map((row) => [row.times, row.values])
      : [
          [
            [start, end],
            [null, null],
          ],
        ];
    const data = uPlot.join(tables);
    const piles = rows.filter((row) => row.plotType !== "LINE").length;
    if (piles) data.splice(1, piles, ...stacked(data.slice(1, piles + 1).toReversed()).toReversed());
    const shape = JSON.stringify([rows.map((row) => [row.key, row.plotType, row.axis, row.unit, row.colour])]);
    if (shape !== this.#shape || !this.#plot) {
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(rows), data, this.canvas);
      this.#shape = shape;
    } else {
      this.#plot.setData(data);
    }
  }

  #size() {
    return { width: Math.max(60, this.canvas.clientWidth), height: Math.max(60, this.canvas.clientHeight) };
  }

  #fit() {
    const { width, height } = this.#size();
    if (this.#plot && (this.#plot.width !== width || this.#plot.height !== height))
      this.#plot.setSize({ width, height });
  }

  #options(rows) {
    const colours = theme();
    const twoAxes = rows.some((row) => row.axis === "y2");
    const unitAt = (axis) => rows.find((row) => row.axis === axis)?.unit ?? "";
    const thresholdsAt = (axis) =>
      (this.chart.thresholds ?? [])
        .filter((one) => (one.targetAxis === "Y2" ? "y2" : "y") === axis)
        .map((one) => one.value ?? 0);
    const logAt = (axis) => (axis === "y" ? this.chart.yAxis : this.chart.y2Axis)?.scale === "LOG10";
    const common = {
      stroke: colours.text,
      font: colours.font,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
    };
    const valueAxis = (axis, side) => ({
      ...common,
      scale: axis,
      side,
      size: (plot, values) =>
        Math.ceil((14 + 6.6 * Math.max(2, ...(values ?? []).map((text) => text?.length ?? 0))) / 10) * 10,
      space: 28,
      gap: 6,
      grid: { ...common.grid, show: axis === "y" },
      values: (plot, splits) => axisValues(splits, unitAt(axis)),
    });
    const scale = (axis) => ({ range: yRange(thresholdsAt(axis), logAt(axis)), distr: logAt(axis) ? 3 : 1 });
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [10, twoAxes ? 0 : 12, 0, 0],
      cursor: {
        sync: {
          key: this.sync,
          scales: ["x", null],
          filters: { pub: (type) => !["mousedown", "mouseup", "dblclick"].includes(type) },
        },
        drag: { x: true, y: false, setScale: false, dist: 6 },
        points: { size: 7 },
        y: false,
      },
      scales: {
        x: { time: true, range: () => [this.window.start, this.window.end] },
        y: scale("y"),
        ...(twoAxes ? { y2: scale("y2") } : {}),
      },
      axes: [
        {
          ...common,
          size: AXIS_HEIGHT,
          gap: 6,
          space: 54,
          grid: { show: false },
          values: (plot, splits, axis, space, increment) => axisTimes(splits, increment),
        },
        valueAxis("y", 3),
        ...(twoAxes ? [valueAxis("y2", 1)] : []),
      ],
      series: [{}, ...rows.map((row) => this.#series(row))],
      bands: rows
        .slice(0, -1)
        .flatMap((row, index) =>
          row.plotType === "STACKED_AREA" && rows[index + 1].plotType === "STACKED_AREA"
            ? [{ series: [index + 1, index + 2], fill: faded(row.colour, 0.35) }]
            : [],
        ),
      hooks: {
        draw: [(plot) => this.#drawThresholds(plot)],
        setCursor: [(plot) => this.#point(plot.cursor.idx)],
        setSelect: [(plot) => this.#zoom(plot)],
      },
    };
  }

  #series(row) {
    const base = {
      label: row.name,
      scale: row.axis,
      stroke: row.colour,
      width: 1.6,
      points: { show: () => false, size: 5, filter: lonely, fill: row.colour },
    };
    if (row.plotType === "STACKED_BAR") {
      return {
        ...base,
        width: 0,
        fill: faded(row.colour, 0.85),
        paths: uPlot.paths.bars({ size: [0.86, 40], align: 0 }),
        points: { show: false },
      };
    }
    if (row.plotType === "STACKED_AREA") return { ...base, fill: faded(row.colour, 0.35) };
    return base;
  }

  #drawThresholds(plot) {
    const { ctx, bbox } = plot;
    for (const threshold of this.chart.thresholds ?? []) {
      const axis = threshold.targetAxis === "Y2" && plot.scales.y2 ? "y2" : "y";
      const y = Math.round(plot.valToPos(threshold.value ?? 0, axis, true));
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      const colour = threshold.color === "YELLOW" ? theme().warning : theme().bad;
      ctx.save();
      ctx.strokeStyle = colour;
      ctx.fillStyle = colour;
      ctx.lineWidth = uPlot.pxRatio;
      ctx.setLineDash([6 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = theme().font.replace("11px", `${Math.round(11 * uPlot.pxRatio)}px`);
      ctx.textAlign = "left";
      const unit = this.#rows.find((row) => row.axis === axis)?.unit ?? "";
      const above = y - bbox.top > 16 * uPlot.pxRatio;
      ctx.textBaseline = above ? "bottom" : "top";
      ctx.fillText(
        [threshold.label, format(threshold.value ?? 0, unit)].filter(Boolean).join(" "),
        bbox.left + 6 * uPlot.pxRatio,
        y + (above ? -3 : 3) * uPlot.pxRatio,
      );
      ctx.restore();
    }
  }

  #zoom(plot) {
    if (plot.select.width < 6) return;
    const start = plot.posToVal(plot.select.left, "x");
    const end = plot.posToVal(plot.select.left + plot.select.width, "x");
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onZoom(start, end);
  }

  /** Arrow keys move the shared cursor, so that values can be read without a mouse. */
  #walk(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !this.#plot) return;
    event.preventDefault();
    const times = this.#plot.data[0];
    const from = this.#plot.cursor.idx ?? times.length - 1;
    const place = Math.min(times.length - 1, Math.max(0, from + move));
    this.#plot.setCursor({ left: this.#plot.valToPos(times[place], "x"), top: 10 }, true, true);
  }

  #point(index) {
    this.#cursor = typeof index === "number" ? (this.#plot?.data[0][index] ?? null) : null;
    this.#tell();
  }

  #tell() {
    const at = this.#cursor;
    const when = at === null ? "" : clockTime(at * 1000);
    this.onCursor?.(when);
    keyed(this.legend, this.#rows, {
      key: (row) => row.key,
      create: (row) => this.#legendItem(row),
      update: (element, row) => {
        const [, name, value] = element.children;
        setText(name, row.name);
        setText(value, format(at === null ? lastOf(row.values) : valueAt(row, at), row.unit));
      },
    });
  }

  #legendItem(row) {
    const item = h(
      "button",
      {
        type: "button",
        class: "key",
        title: row.name,
        "aria-pressed": "true",
        onclick: () => this.#toggle(row.key, item),
      },
      h("span", { class: "swatch", css: { "background-color": row.colour } }),
      h("span", { class: "name" }),
      h("span", { class: "value" }),
    );
    return item;
  }

  #toggle(key, item) {
    if (!this.#hidden.delete(key)) this.#hidden.add(key);
    item.setAttribute("aria-pressed", String(!this.#hidden.has(key)));
    this.#draw();
  }
}

const lastOf = (values) => values.findLast((value) => typeof value === "number") ?? null;

function valueAt(row, time) {
  // Series of different periods share the cursor: the newest value at or before it.
  let low = 0;
  let high = row.times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row.times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low ? row.values[low - 1] : null;
}
