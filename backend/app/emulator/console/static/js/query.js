// From a dashboard's timeSeriesQuery to series, whichever language it is written in.

import { queryRange, timeSeries } from "./api.js";
import { namesOf } from "./legend.js";
import { seconds } from "./time.js";
import { fillFilter, fillQuery } from "./variables.js";

// Google aligns metrics to at least a minute (google/monitoring/v3/common.proto, Aggregation.alignment_period).
const SHORTEST_ALIGNMENT = 60;

export class CannotDraw extends Error {}

/**
 * @returns {Promise<{series: {labels, name, times: number[], values: (number|null)[], buckets?}[], unit: string}>}
 *   times in seconds since the epoch; null where a series has no value.
 */
export async function fetchSeries(query, { window, variables, minAlignment = "", template = "", fallback = "value" }) {
  const found = await ask(query ?? {}, window, variables, seconds(minAlignment));
  namesOf(found.series, template, fallback).forEach((name, index) => {
    found.series[index].name = name;
  });
  return { series: found.series, unit: query.unitOverride || found.unit };
}

async function ask(query, window, variables, minAlignment) {
  if (query.prometheusQuery) return askPromQL(query.prometheusQuery, window, variables, minAlignment);
  if (query.timeSeriesFilter) return askFilter(query.timeSeriesFilter, window, variables, minAlignment);
  if (query.timeSeriesFilterRatio) return askRatio(query.timeSeriesFilterRatio, window, variables, minAlignment);
  if (query.timeSeriesQueryLanguage)
    throw new CannotDraw("A query in MQL (timeSeriesQueryLanguage), which Google has deprecated, is not drawn.");
  if (query.opsAnalyticsQuery) throw new CannotDraw("A Log Analytics query (opsAnalyticsQuery) is not drawn.");
  throw new CannotDraw("This query is of a kind the page does not know.");
}

async function askPromQL(promql, window, variables, minAlignment) {
  const { start, end, step } = window;
  // A window of `${__interval}` has to hold at least two points, whatever the step of the drawing.
  const interval = Math.max(step, minAlignment, SHORTEST_ALIGNMENT);
  const matrix = await queryRange(fillQuery(promql, variables, interval), window);
  const length = Math.round((end - start) / step) + 1;
  const times = Array.from({ length }, (_, index) => start + index * step);
  const series = matrix.map(({ metric, values }) => {
    const row = new Array(length).fill(null);
    for (const [time, value] of values) {
      const place = Math.round((time - start) / step);
      const number = Number(value);
      if (place >= 0 && place < length && Number.isFinite(number)) row[place] = number;
    }
    return { labels: metric, times, values: row };
  });
  return { series, unit: "" };
}

function aggregate(parameters, prefix, aggregation, period) {
  if (!aggregation) return;
  parameters.set(`${prefix}.alignmentPeriod`, `${Math.max(period, seconds(aggregation.alignmentPeriod))}s`);
  if (aggregation.perSeriesAligner) parameters.set(`${prefix}.perSeriesAligner`, aggregation.perSeriesAligner);
  if (aggregation.crossSeriesReducer) parameters.set(`${prefix}.crossSeriesReducer`, aggregation.crossSeriesReducer);
  for (const field of aggregation.groupByFields ?? []) parameters.append(`${prefix}.groupByFields`, field);
}

async function askFilter(
  { filter, aggregation, secondaryAggregation, pickTimeSeriesFilter },
  window,
  variables,
  minAlignment,
) {
  const period = Math.max(SHORTEST_ALIGNMENT, window.step, minAlignment);
  const parameters = new URLSearchParams({
    filter: fillFilter(filter ?? "", variables),
    "interval.startTime": new Date(window.start * 1000).toISOString(),
    "interval.endTime": new Date(window.end * 1000).toISOString(),
  });
  aggregate(parameters, "aggregation", aggregation, period);
  aggregate(parameters, "secondaryAggregation", secondaryAggregation, period);
  const { series: found, unit } = await timeSeries(parameters);
  const series = found.map((one) =>
    readSeries(one, aggregation ? Math.max(period, seconds(aggregation.alignmentPeriod)) : 0),
  );
  return { series: pick(series, pickTimeSeriesFilter), unit: found[0]?.unit ?? unit };
}

function readSeries({ metric = {}, resource = {}, metadata = {}, points = [] }, period) {
  const times = [];
  const values = [];
  const buckets = [];
  // ListTimeSeries answers newest first (google/monitoring/v3/metric.proto, TimeSeries.points).
  for (const { interval, value } of points.toReversed()) {
    const time = Date.parse(interval.endTime) / 1000;
    if (period && times.length && time - times.at(-1) > 1.5 * period) {
      times.push(times.at(-1) + period);
      values.push(null);
      buckets.push(null);
    }
    times.push(time);
    values.push(numberOf(value));
    buckets.push(value.distributionValue ?? null);
  }
  const labels = { ...metadata.userLabels, ...metadata.systemLabels, ...resource.labels, ...metric.labels };
  const distributed = buckets.some((bucket) => bucket !== null);
  return { labels, type: metric.type, times, values, buckets: distributed ? buckets : undefined };
}

function numberOf({ doubleValue, int64Value, boolValue, distributionValue }) {
  if (doubleValue !== undefined) return Number.isFinite(Number(doubleValue)) ? Number(doubleValue) : null;
  if (int64Value !== undefined) return Number(int64Value);
  if (boolValue !== undefined) return boolValue ? 1 : 0;
  return distributionValue?.mean ?? (distributionValue ? 0 : null);
}

const identity = ({ labels }) => JSON.stringify(Object.entries(labels).sort());

async function askRatio(
  { numerator, denominator, secondaryAggregation, pickTimeSeriesFilter },
  window,
  variables,
  minAlignment,
) {
  if (secondaryAggregation)
    throw new CannotDraw("A timeSeriesFilterRatio with a secondaryAggregation is not drawn yet.");
  const [above, below] = await Promise.all(
    [numerator, denominator].map((half) => askFilter(half, window, variables, minAlignment)),
  );
  const divisors = new Map(below.series.map((series) => [identity(series), series]));
  const series = [];
  for (const one of above.series) {
    const other = divisors.get(identity(one)) ?? (below.series.length === 1 ? below.series[0] : undefined);
    if (!other) continue;
    const at = new Map(other.times.map((time, index) => [time, other.values[index]]));
    series.push({
      ...one,
      values: one.values.map((value, index) => (at.get(one.times[index]) ? value / at.get(one.times[index]) : null)),
    });
  }
  return { series: pick(series, pickTimeSeriesFilter), unit: "1" };
}

const RANKS = {
  METHOD_MEAN: (values) => values.reduce((sum, value) => sum + value, 0) / (values.length || 1),
  METHOD_MAX: (values) => Math.max(...values),
  METHOD_MIN: (values) => Math.min(...values),
  METHOD_SUM: (values) => values.reduce((sum, value) => sum + value, 0),
  METHOD_LATEST: (values) => values.at(-1),
};

function pick(series, filter) {
  if (!filter) return series;
  const rank = RANKS[filter.rankingMethod] ?? RANKS.METHOD_MEAN;
  const down = filter.direction === "BOTTOM" ? -1 : 1;
  const ranked = series.map((one) => [rank(one.values.filter((value) => value !== null)), one]);
  ranked.sort(([left], [right]) => down * (right - left));
  return ranked.slice(0, filter.numTimeSeries || series.length).map(([, one]) => one);
}

/** The newest value of a series, or null. */
export const latest = ({ values }) => values.findLast((value) => value !== null) ?? null;
