// HEATMAP of a distribution: buckets upwards, time to the right, the count as depth of colour.

import { h } from "./dom.js";
import { axisTimes, clockTime } from "./time.js";
import { faded, theme } from "./theme.js";
import { format } from "./units.js";
import { CannotDraw } from "./query.js";

const INFINITY = Number.POSITIVE_INFINITY;
const boundOf = (text) => (text === "+Inf" ? INFINITY : Number(text));

/** Explicit upper bounds of a distribution in JSON (google/api/distribution.proto, BucketOptions). */
function boundsOf({ bucketOptions = {} }) {
  const { explicitBuckets, linearBuckets, exponentialBuckets } = bucketOptions;
  if (explicitBuckets) return explicitBuckets.bounds ?? [];
  const {
    numFiniteBuckets = 0,
    offset = 0,
    width = 1,
    scale = 1,
    growthFactor = 2,
  } = linearBuckets ?? exponentialBuckets ?? {};
  return Array.from({ length: numFiniteBuckets + 1 }, (_, index) =>
    linearBuckets ? offset + width * index : scale * growthFactor ** index,
  );
}

/** {times, bounds (upper, ascending), counts[bound][time]} from `le` series of PromQL or from distribution points. */
export function cellsOf(series) {
  if (series.some((one) => one.buckets)) return cellsOfDistributions(series);
  const byBound = new Map();
  for (const { labels, times, values } of series) {
    if (labels.le === undefined)
      throw new CannotDraw("A HEATMAP needs a distribution, or PromQL series with the label le.");
    const row = byBound.get(boundOf(labels.le)) ?? { times, counts: new Array(times.length).fill(0) };
    values.forEach((value, index) => {
      row.counts[index] += value ?? 0;
    });
    byBound.set(boundOf(labels.le), row);
  }
  const bounds = [...byBound.keys()].sort((left, right) => left - right);
  const totals = bounds.map((bound) => byBound.get(bound).counts);
  const counts = totals.map((row, place) =>
    row.map((value, index) => Math.max(0, value - (place ? totals[place - 1][index] : 0))),
  );
  return { times: series[0]?.times ?? [], bounds, counts };
}

function cellsOfDistributions(series) {
  const first = series.flatMap((one) => one.buckets ?? []).find(Boolean);
  const bounds = [...boundsOf(first), INFINITY];
  const times = [...new Set(series.flatMap((one) => one.times))].sort((left, right) => left - right);
  const place = new Map(times.map((time, index) => [time, index]));
  const counts = bounds.map(() => new Array(times.length).fill(0));
  for (const { times: own, buckets } of series) {
    buckets?.forEach((bucket, index) => {
      bucket?.bucketCounts?.forEach((count, row) => {
        if (counts[row]) counts[row][place.get(own[index])] += Number(count);
      });
    });
  }
  return { times, bounds, counts };
}

export class Heatmap {
  constructor({ sync }) {
    this.sync = sync;
    this.canvas = h("div", { class: "canvas", role: "img" });
    this.element = h("div", { class: "xy" }, this.canvas);
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(this.canvas);
  }

  show([{ series, unit }], window, title) {
    this.window = window;
    this.unit = unit;
    this.cells = cellsOf(series);
    this.peak = Math.max(0, ...this.cells.counts.flat());
    this.canvas.setAttribute("aria-label", `${title}: heatmap of ${this.cells.bounds.length} buckets`);
    const data = [this.cells.times.length ? this.cells.times : [window.start, window.end]];
    data.push(data[0].map(() => null));
    const shape = JSON.stringify([this.cells.bounds, unit]);
    if (shape !== this.shape) {
      this.plot?.destroy();
      this.plot = new uPlot(this.#options(), data, this.canvas);
      this.shape = shape;
    } else this.plot.setData(data);
  }

  destroy() {
    this.observer.disconnect();
    this.plot?.destroy();
  }

  #size() {
    return { width: Math.max(60, this.canvas.clientWidth), height: Math.max(60, this.canvas.clientHeight) };
  }

  #fit() {
    const { width, height } = this.#size();
    if (this.plot && (this.plot.width !== width || this.plot.height !== height)) this.plot.setSize({ width, height });
  }

  #options() {
    const colours = theme();
    const { bounds } = this.cells;
    const common = { stroke: colours.text, font: colours.font, ticks: { show: false } };
    const every = Math.max(1, Math.ceil(bounds.length / 7));
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [10, 12, 0, 0],
      cursor: { sync: { key: this.sync, scales: ["x", null] }, drag: { x: false, y: false }, y: false },
      scales: {
        x: { time: true, range: () => [this.window.start, this.window.end] },
        y: { range: () => [0, bounds.length] },
      },
      axes: [
        {
          ...common,
          size: 26,
          gap: 6,
          space: 54,
          grid: { show: false },
          values: (plot, splits, axis, space, increment) => axisTimes(splits, increment),
        },
        {
          ...common,
          size: 64,
          gap: 6,
          grid: { show: false },
          splits: () => bounds.map((_, index) => index + 1).filter((mark) => mark % every === 0),
          values: (plot, marks) =>
            marks.map((mark) => (bounds[mark - 1] === INFINITY ? "∞" : format(bounds[mark - 1], this.unit))),
        },
      ],
      series: [{}, { stroke: "transparent", points: { show: false } }],
      hooks: { draw: [(plot) => this.#paint(plot)], setCursor: [(plot) => this.#point(plot.cursor.idx)] },
    };
  }

  #paint(plot) {
    const { times, counts } = this.cells;
    const { ctx } = plot;
    const width = times.length > 1 ? times[1] - times[0] : this.window.step;
    ctx.save();
    counts.forEach((row, bucket) => {
      const top = plot.valToPos(bucket + 1, "y", true);
      const height = plot.valToPos(bucket, "y", true) - top;
      row.forEach((count, index) => {
        if (!count) return;
        const right = plot.valToPos(times[index], "x", true);
        const left = Math.max(plot.bbox.left, plot.valToPos(times[index] - width, "x", true));
        if (right <= left) return;
        ctx.fillStyle = faded(theme().heat, 0.12 + 0.88 * Math.sqrt(count / this.peak));
        ctx.fillRect(left, top, Math.ceil(right - left), Math.ceil(height) - 1);
      });
    });
    ctx.restore();
  }

  #point(index) {
    const time = typeof index === "number" ? this.cells.times[index] : undefined;
    this.onCursor?.(time === undefined ? "" : clockTime(time * 1000));
  }
}
