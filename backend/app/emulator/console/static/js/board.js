// One dashboard on the page: its tiles, its groups, its filters.

import { Unreachable } from "./api.js";
import { h, setText } from "./dom.js";
import { grouped, layoutOf, span } from "./layout.js";
import { CannotDraw, fetchSeries } from "./query.js";
import { variablesOf } from "./variables.js";
import { kindOf, viewOf } from "./widgets.js";

const AT_ONCE = 4;
const BAR_STEPS = 4;
const BARE = new Set(["sectionHeader", "blank"]);

class Frame {
  #asked = "";

  constructor(widget, board) {
    this.widget = widget;
    this.board = board;
    this.kind = kindOf(widget);
    this.title = widget.title ?? "";
    this.near = true;
    this.view = viewOf(widget, board);
    this.note = h("p", { class: "cover", hidden: true });
    const scale = [widget.xyChart?.yAxis?.label, widget.xyChart?.y2Axis?.label].filter(Boolean).join(", ");
    this.cursor = h("span", { class: "cursor-time" }, scale);
    const head =
      this.title || this.kind === "xyChart"
        ? h("header", {}, h("h3", { title: this.title }, this.title), this.cursor)
        : null;
    this.element = h(
      "article",
      { class: "card", "data-kind": this.kind ?? "none", "aria-label": this.title || null },
      head,
      h("div", { class: "body" }, this.view?.element ?? null, this.note),
    );
    if (!this.view)
      this.#say(
        this.kind ? `A widget of the kind ${this.kind} cannot be drawn here yet.` : "This widget is empty.",
        "calm",
      );
    if (this.view) this.view.onCursor = (when) => setText(this.cursor, when || scale);
    if (this.view?.queries || this.view?.refresh) this.#say("Loading", "loading");
  }

  get live() {
    return Boolean(this.view?.queries ?? this.view?.refresh);
  }

  async refresh(window, context) {
    const asked = JSON.stringify([window, context.variables]);
    this.#asked = asked;
    try {
      const empty = this.view.refresh
        ? await this.view.refresh(window, context)
        : await this.#draw(window, context, asked);
      if (this.#asked === asked) this.#say(empty, "calm");
    } catch (error) {
      if (this.#asked !== asked) return;
      // What was drawn stays while the emulator is away; only a refusal covers it.
      if (error instanceof Unreachable) throw error;
      this.#say(error.message, error instanceof CannotDraw ? "calm" : "bad");
    }
  }

  async #draw(window, { variables }, asked) {
    const sets = await Promise.all(
      this.view.queries.map(async (set) => ({
        ...set,
        ...(await fetchSeries(set.query, {
          ...set,
          window: set.plotType === "STACKED_BAR" ? forBars(window) : window,
          variables,
          fallback: this.title || "value",
        })),
      })),
    );
    if (this.#asked !== asked) return "";
    const found = sets.some((set) => set.series.some((series) => series.values.some((value) => value !== null)));
    if (found || !this.drawn) this.view.show(sets, window, this.title);
    this.drawn = found || this.drawn;
    if (this.drawn && !found) this.view.show(sets, window, this.title);
    return found ? "" : "No data in this range";
  }

  #say(message, level) {
    setText(this.note, message);
    this.note.dataset.level = level;
    this.note.hidden = !message;
  }
}

export class Board {
  #frames = [];
  #observer = null;

  /** `context()`: {window, now}; `alerting()`: what the incident lists show; `onZoom(start, end)`. */
  constructor(root, { context, alerting, onZoom }) {
    this.root = root;
    this.context = context;
    this.alerting = alerting;
    this.onZoom = onZoom;
    this.sync = "board";
    this.variables = [];
  }

  show(dashboard) {
    this.clear();
    this.variables = variablesOf(dashboard);
    const layout = layoutOf(dashboard);
    const { loose, groups, singles } = grouped(layout.tiles);
    this.singles = singles;
    const parts = [];
    let waiting = [...loose].sort(byPlace);
    for (const [group, tiles] of [...groups].sort(([left], [right]) => byPlace(left, right))) {
      const above = waiting.filter((tile) => tile.y < group.y);
      waiting = waiting.filter((tile) => tile.y >= group.y);
      if (above.length) parts.push(this.#grid(above, layout));
      parts.push(this.#group(group, tiles, layout));
    }
    if (waiting.length) parts.push(this.#grid(waiting, layout));
    if (!parts.length) parts.push(h("p", { class: "empty" }, "This dashboard has no widgets."));
    this.root.replaceChildren(...(this.variables.length ? [this.#filters()] : []), ...parts);
    this.root.setAttribute("aria-label", `Dashboard ${dashboard.displayName ?? ""}`);
    this.#observer = new IntersectionObserver((seen) => this.#seen(seen), { root: null, rootMargin: "200px" });
    for (const frame of this.#frames) this.#observer.observe(frame.element);
  }

  clear() {
    this.#observer?.disconnect();
    for (const frame of this.#frames) frame.view?.destroy?.();
    this.#frames = [];
  }

  /** Asks again for what is in sight, and once for what is not. */
  async refresh() {
    const { window, now } = this.context();
    const context = { variables: this.variables, now };
    const waiting = this.#frames.filter((frame) => frame.live && (frame.near || !frame.asked));
    let unreachable = null;
    const worker = async () => {
      for (let frame = waiting.shift(); frame; frame = waiting.shift()) {
        frame.asked = true;
        await frame.refresh(window, context).catch((error) => {
          unreachable = error;
        });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (unreachable) throw unreachable;
  }

  #seen(seen) {
    const { window, now } = this.context();
    for (const { target, isIntersecting } of seen) {
      const frame = this.#frames.find((candidate) => candidate.element === target);
      if (!frame) continue;
      const came = isIntersecting && !frame.near;
      frame.near = isIntersecting;
      if (came && frame.live) frame.refresh(window, { variables: this.variables, now }).catch(() => {});
    }
  }

  #frame(widget) {
    const frame = new Frame(widget, this);
    this.#frames.push(frame);
    return frame;
  }

  #grid(tiles, { columns, unit }) {
    const [top] = span(tiles);
    const cells = [...tiles].sort(byPlace).map((tile) => {
      const single = this.singles.get(tile);
      const content = single ? this.#single(tile, single) : this.#frame(tile.widget).element;
      const kind = kindOf(tile.widget);
      return h(
        "div",
        {
          class: "tile",
          "data-bare": BARE.has(kind) ? kind : null,
          css: {
            "--column": `${tile.x + 1} / span ${tile.w}`,
            "--row": `${tile.y - top + 1} / span ${tile.h}`,
            "--height": `${tile.h * unit}px`,
          },
        },
        content,
      );
    });
    return h("div", { class: "grid", css: { "--columns": columns, "--unit": `${unit}px` } }, ...cells);
  }

  #group(group, tiles, layout) {
    const { collapsed } = group.widget.collapsibleGroup;
    return h(
      "details",
      { class: "group", open: !collapsed },
      h("summary", {}, group.widget.title || "Group"),
      tiles.length ? this.#grid(tiles, layout) : null,
    );
  }

  /** Tiles on top of each other, one shown at a time. */
  #single(frame, tiles) {
    const cards = tiles.map((tile) => this.#frame(tile.widget).element);
    const show = (chosen) =>
      cards.forEach((card, index) => {
        card.hidden = index !== chosen;
      });
    const choice = h(
      "select",
      { "aria-label": frame.widget.title || "View", onchange: () => show(choice.selectedIndex) },
      ...tiles.map((tile, index) => h("option", {}, tile.widget.title || `View ${index + 1}`)),
    );
    show(0);
    return h("div", { class: "single" }, h("header", {}, h("h3", {}, frame.widget.title ?? ""), choice), ...cards);
  }

  #filters() {
    return h(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      ...this.variables.map((variable) =>
        h(
          "label",
          {},
          h("span", {}, variable.name),
          h("input", {
            type: "text",
            value: variable.value,
            placeholder: "any",
            spellcheck: "false",
            onchange: (event) => {
              variable.value = event.target.value.trim();
              this.refresh().catch(() => {});
            },
          }),
        ),
      ),
    );
  }
}

// Bars want to be told apart: a quarter as many of them as a line has points, at whole steps as ever.
function forBars({ start, end, step }) {
  const wide = step * BAR_STEPS;
  return { start: Math.floor(start / wide) * wide, end: Math.floor(end / wide) * wide, step: wide };
}

const byPlace = (left, right) => left.y - right.y || left.x - right.x;
