// The part of Markdown that dashboards use, as elements and text nodes; anything else stays the text it is.

import { h, link } from "./dom.js";

const INLINE =
  /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|\[([^\]]*)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>()]+)/g;

function inline(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(text.slice(from, match.index));
    const [whole, code, strong, strong2, emphasis, label, target, address] = match;
    if (code !== undefined) nodes.push(h("code", {}, code));
    else if (strong !== undefined || strong2 !== undefined) nodes.push(h("strong", {}, strong ?? strong2));
    else if (emphasis !== undefined) nodes.push(h("em", {}, emphasis));
    else nodes.push(link(target ?? address, label || (target ?? address)));
    from = match.index + whole.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

const BLOCKS = [
  [/^(#{1,4})\s+(.*)$/, (match) => h(`h${match[1].length + 2}`, {}, ...inline(match[2]))],
  [/^(?:-{3,}|\*{3,})$/, () => h("hr")],
  [/^>\s?(.*)$/, (match) => h("blockquote", {}, ...inline(match[1]))],
];

/** @returns {HTMLElement[]} */
export function markdown(source) {
  const blocks = [];
  let list = null;
  let paragraph = null;
  let code = null;
  for (const line of source.replaceAll("\r", "").split("\n")) {
    if (/^\s*```/.test(line)) {
      if (code) code = null;
      else blocks.push((code = h("pre")));
      list = paragraph = null;
      continue;
    }
    if (code) {
      code.append(`${line}\n`);
      continue;
    }
    const item = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/.exec(line);
    const block = BLOCKS.map(([pattern, make]) => [pattern.exec(line.trim()), make]).find(([match]) => match);
    if (block) {
      blocks.push(block[1](block[0]));
      list = paragraph = null;
    } else if (item) {
      const tag = item[1] ? "OL" : "UL";
      if (list?.tagName !== tag) blocks.push((list = h(tag.toLowerCase())));
      list.append(h("li", {}, ...inline(item[2])));
      paragraph = null;
    } else if (!line.trim()) {
      list = paragraph = null;
    } else {
      if (!paragraph) blocks.push((paragraph = h("p")));
      else paragraph.append("\n");
      paragraph.append(...inline(line.trim()));
      list = null;
    }
  }
  return blocks;
}
