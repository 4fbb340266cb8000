// All four layouts become tiles on a grid: {widget, x, y, w, h} with x, w in columns and y, h in rows of `unit` pixels.

const WHOLE = 48;
// Measured so that the tiles of Google's sample dashboards come out about as wide as high as in its console.
const PIXELS = 864;
const HEIGHT = 16;

function mosaic({ columns, tiles = [] }) {
  const width = Number(columns) || 12;
  return {
    columns: width,
    unit: Math.min(96, PIXELS / width),
    tiles: tiles.map((tile) => ({
      widget: tile.widget ?? {},
      x: tile.xPos ?? 0,
      y: tile.yPos ?? 0,
      w: tile.width ?? 1,
      h: tile.height ?? 1,
    })),
  };
}

function grid({ columns, widgets = [] }) {
  const across = Number(columns) || 2;
  const w = Math.floor(WHOLE / across);
  const tiles = widgets.map((widget, index) => ({
    widget,
    x: (index % across) * w,
    y: Math.floor(index / across) * HEIGHT,
    w,
    h: HEIGHT,
  }));
  return { columns: w * across, unit: 18, tiles };
}

function spread(parts) {
  const total = parts.reduce((sum, part) => sum + (Number(part.weight) || 1), 0);
  let before = 0;
  return parts.map((part) => {
    const from = Math.round((WHOLE * before) / total);
    before += Number(part.weight) || 1;
    return { from, size: Math.round((WHOLE * before) / total) - from };
  });
}

function rows({ rows: parts = [] }) {
  let y = 0;
  const tiles = parts.flatMap(({ weight, widgets = [] }) => {
    const h = HEIGHT * Math.max(1, Math.min(3, Number(weight) || 1));
    const top = y;
    y += h;
    return spread(widgets).map(({ from, size }, index) => ({ widget: widgets[index], x: from, y: top, w: size, h }));
  });
  return { columns: WHOLE, unit: 18, tiles };
}

function columns({ columns: parts = [] }) {
  const places = spread(parts);
  const tiles = parts.flatMap(({ widgets = [] }, index) =>
    widgets.map((widget, row) => ({
      widget,
      x: places[index].from,
      y: row * HEIGHT,
      w: places[index].size,
      h: HEIGHT,
    })),
  );
  return { columns: WHOLE, unit: 18, tiles };
}

/** {columns, unit, tiles} of a dashboard. */
export function layoutOf(dashboard) {
  if (dashboard.mosaicLayout) return mosaic(dashboard.mosaicLayout);
  if (dashboard.gridLayout) return grid(dashboard.gridLayout);
  if (dashboard.rowLayout) return rows(dashboard.rowLayout);
  if (dashboard.columnLayout) return columns(dashboard.columnLayout);
  return { columns: WHOLE, unit: 18, tiles: [] };
}

const inside = (tile, frame) =>
  tile !== frame &&
  tile.x >= frame.x &&
  tile.y >= frame.y &&
  tile.x + tile.w <= frame.x + frame.w &&
  tile.y + tile.h <= frame.y + frame.h;

/**
 * Which group holds which tiles: groups cover the tiles that lie inside their rectangle.
 * @returns {{loose: object[], groups: Map<object, object[]>, singles: Map<object, object[]>}}
 */
export function grouped(tiles) {
  const groups = new Map(tiles.filter((tile) => tile.widget.collapsibleGroup).map((tile) => [tile, []]));
  const singles = new Map(tiles.filter((tile) => tile.widget.singleViewGroup).map((tile) => [tile, []]));
  const loose = [];
  for (const tile of tiles) {
    if (groups.has(tile)) continue;
    const single = singles.has(tile) ? undefined : [...singles.keys()].find((frame) => inside(tile, frame));
    const group = [...groups.keys()].find((frame) => inside(tile, frame));
    if (single) singles.get(single).push(tile);
    else if (group) groups.get(group).push(tile);
    else loose.push(tile);
  }
  return { loose, groups, singles };
}

/** The first and the last row that tiles use. */
export const span = (tiles) => [
  Math.min(...tiles.map((tile) => tile.y)),
  Math.max(...tiles.map((tile) => tile.y + tile.h)),
];
