// What the page does: fold, unfold, choose, light up.

const announce = (text) => { byId("found").textContent = text; };

// Fold or unfold a box, in its place.
function toggle(number) {
  const box = model.boxes[number], open = !fold.open.has(number);
  if (open) fold.open.add(number);
  else fold.open.delete(number);
  Object.assign(chosen, { key: box.key, kernel: null });
  cursor.key = box.key;
  refreshed(box);
  if (open) bring(box);
}

function refreshed(anchor = null) {
  const focused = svg.contains(document.activeElement);
  redraw(anchor);
  keepCursor(focused);
  tell();
  follow();
}

// Unfold every box around nodes; whether anything had to be.
function unfoldTo(keys) {
  const closed = new Set(keys.flatMap((key) => around(key).filter((b) => !fold.open.has(b))));
  if (!closed.size) return;
  for (const b of closed) fold.open.add(b);
  refreshed();
}

function foldTo(open) {
  fold.open = new Set([0, ...open]);
  refreshed();
  fit();
}

const everything = () => model.boxes.map((box) => box.number);

// Boxes that have several kernels in them are open, all others closed.
const kernelsOf = (box) => new Set(box.within.map((i) => model.nodes[i].kernel).filter((k) => k >= 0));
const severalKernels = () => everything().filter((b) => kernelsOf(model.boxes[b]).size > 1);

function choose(key) {
  Object.assign(chosen, { key, kernel: null });
  tell();
  mark();
  follow();
  if (model.kernels.length) listKernels();
}

// Choose a node or a box wherever it is, and bring it into view.
function go(key, focus = true) {
  unfoldTo([key]);
  choose(key);
  const seen = shownFor(key);
  if (narrow.matches) tab("picture");
  if (!shown.elements.has(seen)) return;
  bring(boundsOf(itemOf(seen)));
  cursor.key = seen;
  if (focus) focusOn(seen);
}

// Classes of what is chosen, matched, or of the kernel that is chosen.
function mark() {
  const members = new Set(chosen.kernel === null ? [] : model.kernels[chosen.kernel].nodes);
  const matches = search.matches;
  for (const [key, element] of shown.elements) {
    const within = isBox(key) ? itemOf(key).within : [key];
    const open = isBox(key) && fold.open.has(-key);
    const matched = matches !== null && within.some((i) => matches.has(i));
    element.classList.toggle("chosen", key === chosen.key || (!open && within.some((i) => members.has(i))));
    element.classList.toggle("match", matched && !open);
    element.classList.toggle("faint", !open && ((matches !== null && !matched) || (members.size > 0 && !within.some((i) => members.has(i)))));
    if (key === chosen.key) element.setAttribute("aria-selected", "true");
    else element.removeAttribute("aria-selected");
  }
  light();
}

// Light up the edges of what the pointer, the keyboard or the choice is on.
let hovered = null;

function hover(key) {
  if (key === hovered) return;
  hovered = key;
  light();
}

function light() {
  const keys = [...new Set([hovered, chosen.key])].filter((key) => key !== null);
  const lit = new Set(keys.flatMap(edgesOf));
  for (const edge of shown.edges) {
    edge.path.classList.toggle("lit", lit.has(edge));
    edge.said?.classList.remove("lit");
  }
  caption([...lit].filter((edge) => keys.includes(edge.from) || keys.includes(edge.to)));
  const ends = new Set([...lit].flatMap((edge) => [edge.from, edge.to]));
  for (const [key, element] of shown.elements) element.classList.toggle("near", ends.has(key));
}

// Say what flows along edges, as far as the words do not cover each other.
function caption(edges) {
  const taken = shown.edges.filter(({ said }) => said?.classList.contains("always"));
  for (const edge of edges) {
    if (!taken.includes(edge) && covered(edge, taken)) continue;
    spoken(edge).classList.add("lit");
    taken.push(edge);
  }
}

// The edges of an item; of an open box those that cross its border.
function edgesOf(key) {
  if (!isBox(key) || !fold.open.has(-key)) return shown.incident.get(shownFor(key)) ?? [];
  const inside = (end) => around(end).includes(-key);
  return shown.edges.filter((edge) => inside(edge.from) !== inside(edge.to));
}

function clicked(target) {
  const element = target.closest("[data-key]");
  if (!element) return choose(null);
  const key = Number(element.dataset.key);
  cursor.key = key;
  if (isBox(key) && !element.classList.contains("back")) toggle(-key);
  else choose(key);
  return focusOn(key);
}

function colour(by) {
  colouring.by = by;
  byId("colours").value = by;
  refreshed();
}

function closeOne() {
  if (chosen.key !== null || chosen.kernel !== null) return choose(null);
  const outer = cursor.key === null ? 0 : parentOf(cursor.key);
  if (outer > 0) toggle(outer);
  return undefined;
}

function switchTheme() {
  const { dataset } = document.documentElement;
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  dataset.theme = (dataset.theme ?? preferred) === "dark" ? "light" : "dark";
}

function begin() {
  document.body.classList.remove("plain");
  byId("facts").append(...model.facts.map((fact) => make("li", {}, fact)));
  const ways = ["part", "kernel", "time"].filter((way) => way === "part" || (way === "kernel" ? model.kernels.length : model.measured));
  for (const option of [...byId("colours").options]) option.hidden = option.disabled = !ways.includes(option.value);
  const actions = {
    "/": () => byId("search").focus(),
    "?": showHelp,
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => fit(),
    f: () => foldTo([]), u: () => foldTo(everything()), k: () => model.kernels.length && foldTo(severalKernels()),
    c: () => colour(ways[(ways.indexOf(colouring.by) + 1) % ways.length]),
    Escape: closeOne,
  };
  const buttons = { fold: "f", unfold: "u", kernelwise: "k", nearer: "+", farther: "-", fit: "0", ask: "?" };
  for (const [id, key] of Object.entries(buttons)) byId(id).addEventListener("click", actions[key]);
  byId("kernelwise").hidden = !model.kernels.length;
  byId("theme").addEventListener("click", switchTheme);
  byId("colours").addEventListener("change", (event) => colour(event.target.value));
  listenToPointers(clicked);
  svg.addEventListener("pointerover", (event) => {
    const key = event.target.closest("g[data-key]")?.dataset.key;
    hover(key === undefined ? null : Number(key));
  });
  listenToKeys(actions);
  listenToSearch();
  listenToList();
  listenToTabs();
  listKernels();
  byId("nodes").hidden = true; // the picture comes first, as a long list takes the browser longer
  narrow.addEventListener("change", () => tab(narrow.matches ? "picture" : "nodes"));
  document.body.dataset.tab = narrow.matches ? "picture" : "nodes";
  noteStage();
  draw();
  opening();
  keepCursor(false);
  view.drawn = true;
  new ResizeObserver(() => {
    const { width } = view.stage;
    noteStage();
    if (view.stage.width !== width) opening();
  }).observe(svg);
  requestAnimationFrame(() => setTimeout(() => {
    performance.measure("opened", { start: 0, end: performance.now() });
    tab(narrow.matches ? "picture" : "nodes");
  }));
}

begin();
