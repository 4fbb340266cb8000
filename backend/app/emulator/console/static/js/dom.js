// Everything that arrives from the network becomes a text node or an attribute of a fixed name; nothing is parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "css")
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** `h("p", {class: "x", onclick: f, css: {width: "3px"}}, "text", node)`; strings become text nodes. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Writes only what changed, so that a poll neither flickers nor takes away a selection. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const kept = new WeakMap();

/** Makes the children of `container` follow `items`, reusing the element of every key that is still there. */
export function keyed(container, items, { key, create, update = () => {} }) {
  const before = kept.get(container) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const id = key(item);
    if (after.has(id)) continue;
    const element = before.get(id) ?? create(item);
    before.delete(id);
    update(element, item);
    after.set(id, element);
  }
  for (const element of before.values()) element.remove();
  let next = container.firstChild;
  for (const element of after.values()) {
    if (element === next) next = next.nextSibling;
    else container.insertBefore(element, next);
  }
  kept.set(container, after);
}

/** A link when the address is http or https, else its text: `javascript:` and the like never become links. */
export function link(address, label = address) {
  let url;
  try {
    url = new URL(String(address));
  } catch {
    return h("span", {}, label);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return h("span", {}, label);
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, label);
}

/** A small heading with a count beside it. */
export function heading(title) {
  const count = h("span", { class: "count" });
  return { element: h("h2", {}, title, count), tell: (text) => setText(count, text) };
}
