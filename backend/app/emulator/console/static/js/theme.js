// Canvas cannot read CSS variables by itself; the colours live in base.css only.

const dark = matchMedia("(prefers-color-scheme: dark)");
const SERIES = 10;
let colours = null;

export function theme() {
  if (colours) return colours;
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  colours = {
    series: Array.from({ length: SERIES }, (_, index) => read(`--series-${index}`)),
    text: read("--muted"),
    grid: read("--grid"),
    surface: read("--surface"),
    good: read("--good"),
    info: read("--info"),
    warning: read("--warning"),
    bad: read("--bad"),
    heat: read("--heat"),
    font: `11px ${read("--sans")}`,
  };
  return colours;
}

export function onThemeChange(run) {
  dark.addEventListener("change", () => {
    colours = null;
    run();
  });
}

/** `colour` (#rrggbb) with an opacity of 0..1. */
export const faded = (colour, opacity) =>
  colour +
  Math.round(opacity * 255)
    .toString(16)
    .padStart(2, "0");

// Names that mean success or failure everywhere get the colour everybody expects.
const MEANINGS = [
  [/^(ok|success|2xx|2\d\d)$/i, "good"],
  [/^(3xx|3\d\d)$/i, "info"],
  [/^(client[_ ]errors?|4xx|4\d\d)$/i, "warning"],
  [/^(server[_ ]errors?|errors?|error ratio|5xx|5\d\d)$/i, "bad"],
];

const GRAVITY = { good: 0, info: 1, warning: 2, bad: 3 };

/** How bad a name sounds: 0 for success, 3 for a server's error, 1 for everything else. */
export const gravity = (name) => GRAVITY[MEANINGS.find(([pattern]) => pattern.test(name))?.[1]] ?? 1;

/** Colours that stay with their series while others come and go. */
export class Palette {
  #places = new Map();

  of(key, name = key) {
    const meaning = MEANINGS.find(([pattern]) => pattern.test(name));
    if (meaning) return theme()[meaning[1]];
    if (!this.#places.has(key)) this.#places.set(key, this.#places.size);
    return theme().series[this.#places.get(key) % SERIES];
  }
}
