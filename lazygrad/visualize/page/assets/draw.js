// The picture: backs of open boxes, edges over them, then heads and nodes.

const shown = { seen: [], edges: [], elements: new Map(), incident: new Map() };

function draw() {
  const { seen, size } = layOut();
  const edges = gather();
  Object.assign(shown, { seen, edges, elements: new Map(), incident: new Map() });
  view.size = size;
  for (const edge of edges) for (const end of [edge.from, edge.to]) {
    shown.incident.set(end, [...(shown.incident.get(end) ?? []), edge]);
  }
  const layers = [drawn("g", {}), drawn("g", { class: "edges", "aria-hidden": "true" }), drawn("g", { role: "presentation" })];
  for (const item of seen) {
    const open = item.isBox && fold.open.has(item.number);
    if (open) layers[0].append(back(item));
    const element = item.isBox ? (open ? head(item) : closed(item)) : vertex(item);
    shown.elements.set(item.key, element);
    layers[2].append(element);
  }
  for (const edge of edges) layers[1].append(line(edge));
  label(edges);
  world.replaceChildren(...layers);
  legend();
}

// The back of an open box; it is tinted, and a click on it chooses the box.
function back(box) {
  const element = drawn("rect", { class: "back", x: box.left, y: box.top, width: box.width, height: box.height, rx: 10, "data-key": box.key });
  element.classList.add(box.part, box.kind);
  return element;
}

function group(item, name, label, more = {}) {
  const element = drawn("g", {
    class: `${name} ${item.isBox ? item.kind : item.shape}`, role: "treeitem", tabindex: -1, "data-key": item.key,
    "aria-label": label, "aria-level": item.isBox ? item.level : model.boxes[item.box].level + 1, ...more,
  });
  paint(element, item);
  return element;
}

function words(x, y, name, text, anchor = "start") {
  return drawn("text", { x: round(x), y: round(y), class: name, "text-anchor": anchor }, text);
}

const chevron = (x, y, open) => drawn("path", { class: "chevron", d: open ? `M${x - 4} ${y - 2}l4 4 4-4` : `M${x - 2} ${y - 4}l4 4-4 4` });

// The head of an open box, by which it folds.
function head(box) {
  const { left, top, width } = box;
  const element = group(box, "box open", `${box.name}, ${countOf(box)}`, { "aria-expanded": "true" });
  element.append(
    drawn("rect", { class: "body handle", x: left, y: top, width, height: GAP.head, rx: 10 }),
    chevron(round(left + 15), round(top + 15), true),
    words(left + 26, top + 20, "name", box.name),
    words(left + width - 12, top + 19, "count", countOf(box), "end"),
  );
  return element;
}

function closed(box) {
  const { left, top, width, height } = box;
  const element = group(box, "box", `${box.name}, ${box.part}, ${countOf(box)}${box.note ? `, ${box.note}` : ""}`, { "aria-expanded": "false" });
  const counted = countOf(box);
  element.append(
    drawn("title", {}, [box.name, box.note, counted].filter(Boolean).join("\n")),
    drawn("rect", { class: "body handle", x: left, y: top, width, height, rx: 8 }),
    chevron(round(left + 13), round(top + 15), false),
    words(left + 24, top + 20, "name", cut(box.name, FONT.box, width - measure(counted, FONT.spec) - 46)),
    words(left + width - 10, top + 19, "count", counted, "end"),
  );
  if (box.note) element.append(words(left + 12, top + 35, "spec", cut(box.note, FONT.spec, width - 24)));
  if (colouring.by === "kernel") element.append(...strip(box));
  else if (model.measured && box.seconds) {
    element.append(drawn("rect", { class: "bar", x: left + 4, y: top + height - 4, width: round((width - 8) * share(box.seconds)), height: 3, rx: 1.5 }));
  }
  return element;
}

function vertex(node) {
  const { left, top, width, height } = node, middle = left + width / 2, first = top + 17 + lip(node);
  const label = `%${node.key} ${node.op}${node.name ? ` ${node.name}` : ""}, ${node.spec}${node.root ? ", returned" : ""}`;
  const element = group(node, "node", label);
  element.append(
    drawn("title", {}, [label, node.text, model.places[node.place]?.text].filter(Boolean).join("\n")),
    outline(node),
    words(middle, first, node.name ? "name" : "op", cut(titleOf(node), node.name ? FONT.name : FONT.op, width - 14), "middle"),
    words(middle, first + 13, "spec", cut(node.spec, FONT.spec, width - 12), "middle"),
  );
  if (node.root) element.append(drawn("rect", { class: "returned", x: left - 3, y: top - 3, width: width + 6, height: height + 6, rx: 9 }));
  if (colouring.by === "kernel" && node.kernel >= 0) element.append(words(left + width + 3, top + 9, "label", `k${node.kernel}`));
  return element;
}

// Variables are cylinders, arguments point down, what is assigned has a foot; all else are boxes.
function outline({ shape, left, top, width, height }) {
  const right = left + width, bottom = top + height;
  const paths = {
    variable: `M${left} ${top + 5}a${width / 2} 5 0 0 1 ${width} 0v${height - 10}a${width / 2} 5 0 0 1 ${-width} 0zm0 0a${width / 2} 5 0 0 0 ${width} 0`,
    argument: `M${left} ${top}H${right}V${bottom - 9}L${left + width / 2} ${bottom}L${left} ${bottom - 9}z`,
    assign: `M${left} ${top}H${right}V${bottom}H${left}zM${left} ${bottom - 4}H${right}`,
  };
  if (paths[shape]) return drawn("path", { class: "body", d: paths[shape] });
  return drawn("rect", { class: "body", x: left, y: top, width, height, rx: 7 });
}

// An edge, and what flows along it in words.
function line(edge) {
  const ends = { "data-from": edge.from, "data-to": edge.to };
  const path = drawn("path", { class: `edge${edge.dashed ? " dashed" : ""}`, d: curve(edge.points), ...ends });
  if (partOf(itemOf(edge.from)) !== partOf(itemOf(edge.to))) path.classList.add("across");
  const [a, b] = edge.points.slice(edge.gap), x = (a.x + b.x) / 2, y = (a.y + b.y) / 2;
  edge.words = { left: x, top: y, half: measure(flowing(edge), FONT.spec) / 2 + 3 };
  return (edge.path = path);
}

// The words of an edge; they are made when they are first to be seen, as most never are.
function spoken(edge) {
  if (!edge.said) {
    edge.said = words(edge.words.left, edge.words.top + 3, "flow", flowing(edge), "middle");
    edge.path.after(edge.said);
  }
  return edge.said;
}

// Words are seen always where an edge goes from a folded box to what is next to it, and they cover no others.
function label(edges) {
  const taken = [];
  for (const edge of edges.filter(({ from, next }) => next && isBox(from))) {
    if (!covered(edge, taken)) taken.push(edge);
  }
  for (const edge of taken) spoken(edge).classList.add("always");
}

const covered = ({ words: one }, others) => others.some(({ words: other }) => (
  Math.abs(one.left - other.left) < one.half + other.half && Math.abs(one.top - other.top) < 12));

// Draw again, with what is at a place of the stage staying there.
function redraw(anchor = null) {
  const before = anchor && { left: anchor.left, top: anchor.top };
  draw();
  if (before) {
    view.x += (before.left - anchor.left) * view.scale;
    view.y += (before.top - anchor.top) * view.scale;
  }
  moved();
  mark();
}
