// Units are UCUM as in google/api/metric.proto (MetricDescriptor.unit), e.g. "s", "By/s", "10^2.%", "{requests}/s".

const TIME = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86_400 };
const BYTES = { By: 1, by: 1, bytes: 1, kBy: 1e3, MBy: 1e6, GBy: 1e9, KiBy: 1024, MiBy: 1024 ** 2, GiBy: 1024 ** 3 };
const PERCENT = { "%": 1, percent: 1, "10^2.%": 100, ratio: 100 };
const DURATIONS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];
const BINARY = [
  [1024 ** 4, "TiB"],
  [1024 ** 3, "GiB"],
  [1024 ** 2, "MiB"],
  [1024, "KiB"],
  [1, "B"],
];
const DECIMAL = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
  [1, ""],
];

/** {scales: [[divisor, suffix]...] largest first, factor, after}: how values of a unit are written. */
export function unitOf(text = "") {
  const [, base, perSecond] = /^(.*?)(\/s)?$/.exec(text ?? "");
  const after = perSecond ?? "";
  if (base in TIME && !after) return { scales: DURATIONS, factor: TIME[base], after: "" };
  if (base in BYTES) return { scales: BINARY, factor: BYTES[base], after };
  if (base in PERCENT) return { scales: [[1, ""]], factor: PERCENT[base], after: ` %${after}` };
  const note = /^\{(.*)\}$/.exec(base)?.[1] ?? (base === "1" ? "" : base);
  return { scales: DECIMAL, factor: 1, after: note ? ` ${note}${after}` : after };
}

function scaleFor(unit, magnitude) {
  // Half a minute reads better as 30 s than as 0.5 min; a value below the smallest scale keeps the smallest.
  return unit.scales.find(([divisor]) => magnitude >= divisor) ?? unit.scales.at(-1);
}

function written(value, [divisor, suffix], unit, decimals) {
  const number = value / divisor;
  const digits = decimals ?? (Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : Math.abs(number) >= 1 ? 2 : 3);
  const small = decimals === undefined && number !== 0 && Math.abs(number) < 0.01;
  const shown = small
    ? number.toPrecision(2)
    : number
        .toFixed(digits)
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, "");
  const space = suffix && unit.scales !== DECIMAL ? " " : "";
  return `${shown}${space}${suffix}${unit.after}`;
}

/** About three digits: 0.1234 s -> "123 ms". */
export function format(value, unitText) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const unit = unitOf(unitText);
  const scaled = value * unit.factor;
  if (scaled === 0)
    return written(
      0,
      unit.scales.find(([divisor]) => divisor === 1),
      unit,
    );
  return written(scaled, scaleFor(unit, Math.abs(scaled)), unit);
}

/** Labels of an axis: one scale and one number of decimals for all of them. */
export function axisValues(values, unitText) {
  const unit = unitOf(unitText);
  const scaled = values.map((value) => (value === null ? null : value * unit.factor));
  const present = scaled.filter((value) => value !== null);
  if (!present.length) return values.map(() => null);
  const largest = Math.max(...present.map(Math.abs));
  const scale = largest === 0 ? unit.scales.find(([divisor]) => divisor === 1) : scaleFor(unit, largest);
  const steps = present
    .slice(1)
    .map((value, index) => Math.abs(value - present[index]))
    .filter((step) => step > 0);
  const step = Math.min(...steps, largest || 1) / scale[0];
  const decimals =
    [0, 1, 2, 3, 4, 5].find((digits) => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6) ?? 6;
  return scaled.map((value) => (value === null ? null : value === 0 ? "0" : written(value, scale, unit, decimals)));
}
