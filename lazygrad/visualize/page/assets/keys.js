// Everything by keys: arrows go along edges and to what stands beside.

const HELP = [
  ["↓ ↑", "along edges, to what uses a value and to what it is made of; into a box, and to its head"],
  ["← →", "to what stands beside"],
  ["Enter, Space", "fold or unfold a box; details of a node"],
  ["Escape", "close details, then fold the box around"],
  ["/", "search: words, or op: name: layer: line: part: shape: kernel:4 dtype:float64; Enter goes to the next, Shift Enter back"],
  ["+ − 0", "zoom in, out, show all (also by wheel, or two fingers)"],
  ["f k u", "fold all, unfold to the kernels, unfold all"],
  ["c", "colours: by part, by kernel, by time"],
  ["?", "this help"],
];

const cursor = { key: null };

// Give a node or box the keyboard.
function focusOn(key) {
  const element = shown.elements.get(key);
  if (!element) return;
  for (const [other, one] of shown.elements) if (one.tabIndex === 0 && other !== key) one.setAttribute("tabindex", -1);
  element.setAttribute("tabindex", 0);
  cursor.key = key;
  element.focus({ preventScroll: true });
}

// After everything was drawn anew, what had the keyboard has it again; if it is folded away, the box that it is in.
function keepCursor(focused) {
  const key = cursor.key === null ? shown.seen[0]?.key : shownFor(cursor.key);
  const element = shown.elements.get(key);
  if (!element) return;
  element.setAttribute("tabindex", 0);
  cursor.key = key;
  if (focused) element.focus({ preventScroll: true });
}

const middle = (item) => item.left + item.width / 2;

// Where an arrow key leads from an item.
function toward(key, from) {
  const item = itemOf(from);
  const open = item.isBox && fold.open.has(item.number);
  const away = (other) => Math.abs(middle(itemOf(other)) - middle(item));
  const nearest = (keys) => keys.sort((a, b) => away(a) - away(b))[0];
  if (key === "ArrowDown" && open) return item.children[0];
  const edges = shown.incident.get(from) ?? [];
  if (key === "ArrowDown") return nearest(edges.filter((edge) => edge.from === from).map((edge) => edge.to));
  if (key === "ArrowUp") {
    const above = nearest(edges.filter((edge) => edge.to === from).map((edge) => edge.from));
    return above ?? (parentOf(from) > 0 ? -parentOf(from) : undefined);
  }
  return beside(item, key === "ArrowRight" ? 1 : -1);
}

// The next in the same row; from its end the first of the next row, so that all of a box can be reached.
function beside(item, step) {
  const children = model.boxes[parentOf(item.key)].children;
  return children[children.indexOf(item.key) + step];
}

function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing) return;
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  svg.addEventListener("keydown", (event) => {
    const key = event.target.closest?.("[data-key]")?.dataset.key;
    if (key === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const from = Number(key);
    if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      const to = toward(event.key, from);
      if (to === undefined) return;
      focusOn(to);
      bring(boundsOf(itemOf(to)));
    }
    pressed(event, () => (isBox(from) ? toggle(-from) : choose(from)));
  });
  svg.addEventListener("focusin", (event) => {
    const key = event.target.closest?.("[data-key]")?.dataset.key;
    if (key !== undefined) hover(Number(key));
  });
  svg.addEventListener("focusout", () => hover(null));
}

// What to bring into view of an item: of an open box its head.
function boundsOf(item) {
  if (!item.isBox || !fold.open.has(item.number)) return item;
  return { left: item.left, top: item.top, width: Math.min(item.width, 300), height: GAP.head };
}

function showHelp() {
  const close = make("button", { class: "close", type: "button", "aria-label": "Close", click: () => byId("help").close() }, "×");
  byId("help").replaceChildren(close, make("h2", {}, "Keys"), make("dl", {}, HELP.flatMap(([keys, what]) => [make("dt", {}, keys), make("dd", {}, what)])));
  byId("help").showModal();
}
