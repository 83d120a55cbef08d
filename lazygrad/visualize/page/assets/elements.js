// Elements are made of text and never of HTML, so that nothing that a user named can be more than text.

const byId = (id) => document.getElementById(id);

// An element of HTML: attributes, of which functions listen to events; then children, elements or texts.
function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

// An element of SVG.
function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== ""));
  return element;
}

// Widths of texts, each measured once; a canvas measures without laying anything out.
const measure = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  const known = new Map();
  const family = getComputedStyle(document.body).fontFamily;
  return (text, font) => {
    const key = font + text;
    if (!known.has(key)) {
      pen.font = `${font} ${family}`;
      known.set(key, pen.measureText(text).width);
    }
    return known.get(key);
  };
})();

// The text, cut to a width.
function cut(text, font, width) {
  if (measure(text, font) <= width) return text;
  let short = text.slice(0, Math.ceil((text.length * width) / measure(text, font)) + 2);
  while (short && measure(short + "…", font) > width) short = short.slice(0, -1);
  return short + "…";
}

const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 820px)");
