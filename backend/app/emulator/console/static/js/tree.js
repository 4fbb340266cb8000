// Spans come in any order, and nobody promises that their parents are there, or make sense.

/** Depth first: [[span, depth], ...]. A span whose parent is missing, or its own descendant, is a root. */
export function inTree(spans) {
  const known = new Set(spans.map((span) => span.spanId));
  const children = new Map();
  for (const span of spans) {
    const parent = known.has(span.parentSpanId) && span.parentSpanId !== span.spanId ? span.parentSpanId : "";
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(span);
  }
  const rows = [];
  const seen = new Set();
  const walk = (first) => {
    const waiting = [[first, 0]];
    while (waiting.length) {
      const [span, depth] = waiting.pop();
      if (seen.has(span.spanId)) continue;
      seen.add(span.spanId);
      rows.push([span, depth]);
      const below = children.get(span.spanId) ?? [];
      for (let at = below.length - 1; at >= 0; at -= 1) waiting.push([below[at], depth + 1]);
    }
  };
  for (const root of children.get("") ?? []) walk(root);
  for (const span of spans) walk(span);
  return rows;
}
