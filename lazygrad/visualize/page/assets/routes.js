// Edges between what is seen: gathered where an end is folded, and led around what stands between.

// What stands for a node: the outermost folded box around it, or itself.
function shownFor(key) {
  const closed = around(key).find((b) => !fold.open.has(b));
  return closed === undefined ? key : -closed;
}

// Every edge that is seen, with the values that flow along it.
function gather() {
  const edges = new Map();
  for (const flow of model.flows) {
    const from = shownFor(flow.from), to = shownFor(flow.to);
    if (from === to) continue;
    const name = `${from} ${to}`;
    if (!edges.has(name)) edges.set(name, { from, to, values: new Set(), dashed: true });
    edges.get(name).values.add(flow.from);
    if (!flow.dashed) edges.get(name).dashed = false;
  }
  const found = [...edges.values()];
  for (const edge of found) edge.points = route(edge);
  spread(found);
  return found;
}

// The points that an edge goes through; it is vertical in each.
function route(edge) {
  const { box, source, target } = meeting(edge.from, edge.to);
  const points = leaving(edge.from);
  edge.gap = points.length - 1; // the place of the first point below its row
  edge.next = lattices[box].rank.get(target) === lattices[box].rank.get(source) + 1 && edge.from === source && edge.to === target;
  for (let key = edge.from; key !== source; key = -parentOf(key)) {
    const outer = model.boxes[parentOf(key)], { rank, rows } = lattices[outer.number];
    passing(points, outer, key, DOWN, rank.get(key) + 1, rows.length - 1);
    const { x } = points[points.length - 1];
    points.push({ x, y: outer.top + outer.height }, { x, y: rowOf(outer.key).bottom });
  }
  const { rank } = lattices[box];
  passing(points, model.boxes[box], source, DOWN, rank.get(source) + 1, rank.get(target) - 1);
  const inner = [...around(edge.to).map((b) => -b), edge.to];
  for (const key of inner.slice(inner.indexOf(target))) {
    const outer = model.boxes[parentOf(key)];
    if (outer.number !== box) {
      const x = outer.left + lattices[outer.number].seek(0, key, UP).x;
      points.push({ x, y: rowOf(outer.key).top - 1 }, { x, y: outer.top });
      passing(points, outer, key, UP, 0, lattices[outer.number].rank.get(key) - 1);
    }
  }
  points.push(...arriving(edge.to));
  return points;
}

// From an item straight down to the end of its row, as what stands beside it may be taller.
function leaving(key) {
  const item = itemOf(key), x = item.left + item.width / 2;
  return [{ x, y: item.top + item.height }, { x, y: rowOf(key).bottom }];
}

// And from the beginning of its row straight down to an item.
function arriving(key) {
  const item = itemOf(key), x = item.left + item.width / 2;
  return [{ x, y: rowOf(key).top - 1 }, { x, y: item.top - 1 }];
}

// Where the row of an item begins and ends.
function rowOf(key) {
  const outer = model.boxes[parentOf(key)], { rank, seek } = lattices[outer.number];
  const { top, bottom } = seek(rank.get(key), key, DOWN);
  return { top: outer.top + top, bottom: outer.top + bottom };
}

// Go through rows of a box where the arrows of a child pass.
function passing(points, outer, child, kind, first, last) {
  for (let r = first; r <= last; r += 1) {
    const stop = lattices[outer.number].seek(r, child, kind);
    if (!stop) continue; // there are too many for each to have its place
    const x = outer.left + stop.x;
    points.push({ x, y: outer.top + stop.top }, { x, y: outer.top + stop.bottom });
  }
}

// Where several edges come to one end, they come side by side, each as straight as there is room.
function spread(edges) {
  const ends = new Map();
  for (const edge of edges) ends.set(edge.to, [...(ends.get(edge.to) ?? []), edge]);
  for (const [key, coming] of ends) {
    const { left, width } = itemOf(key);
    const from = (edge) => edge.points[edge.points.length - 3].x;
    coming.sort((a, b) => from(a) - from(b));
    const gap = Math.min(13, (width - 28) / coming.length);
    const found = pooled(coming.map((edge) => ({ wish: from(edge), weight: 1 })), () => gap);
    coming.forEach((edge, i) => {
      const least = left + 12 + gap * i, most = left + width - 12 - gap * (coming.length - 1 - i);
      for (const point of edge.points.slice(-2)) point.x = Math.min(most, Math.max(least, found[i]));
    });
  }
}

// A smooth curve through points, vertical in each.
function curve(points) {
  const [first, ...rest] = needed(points);
  let path = `M${round(first.x)} ${round(first.y)}`, a = first;
  for (const b of rest) {
    const middle = round((a.y + b.y) / 2);
    if (Math.abs(a.x - b.x) < 0.5) path += `L${round(b.x)} ${round(b.y)}`;
    else path += `C${round(a.x)} ${middle} ${round(b.x)} ${middle} ${round(b.x)} ${round(b.y)}`;
    a = b;
  }
  return path;
}

// The points less those that say nothing: on top of the one before, which would leave the head of the arrow without a
// direction, or within a straight line, of which there are many in a long trunk.
function needed(points) {
  const apart = points.filter((point, i) => !i || Math.hypot(point.x - points[i - 1].x, point.y - points[i - 1].y) > 0.5);
  const inside = (i) => i && i < apart.length - 1 && Math.abs(apart[i].x - apart[i - 1].x) < 0.5 && Math.abs(apart[i + 1].x - apart[i].x) < 0.5;
  return apart.filter((_, i) => !inside(i));
}

const round = (value) => Math.round(10 * value) / 10;

// What flows along an edge, in words: the one value's spec, or how many there are.
function flowing(edge) {
  return edge.values.size === 1 ? model.nodes[[...edge.values][0]].spec : plural(edge.values.size, "value");
}
