// Coordinates, from the rows that were written and the sizes that depend on what is unfolded: boxes in boxes, from
// the inside out.
//
// In a row the order is fixed, and neighbours keep apart. Where each would like to stand is the median of what it is
// joined to; the places nearest to these wishes, all together, are an isotonic regression, which is solved exactly
// by pooling neighbours that get in each other's way.

const GAP = { row: 28, child: 22, trunk: 11, pad: 16, head: 30 };
const FONT = { op: "12px", name: "600 12px", spec: "10px", box: "600 13px" };

// Trunks go down from a child, or up from it to the border of its box; or all of a box that leave it are one, and all
// that enter it.
const [DOWN, UP, OUT, IN] = [1, 2, 3, 4];

// Folded boxes, open ones, and the size and the place of everything that is seen.
const fold = { open: new Set(model.opened) };

// What stands in the rows of a box, each with what it is joined to in the rows next to it.
const lattices = model.boxes.map(lattice);

function lattice(box) {
  const rank = new Map();
  box.rows.forEach((row, r) => row.forEach((stop) => Array.isArray(stop) || rank.set(stop, r)));
  const at = new Map(); // from "row child kind" to the stop
  const rows = box.rows.map((row, r) => row.map((entry) => {
    const [child, kind = 0] = Array.isArray(entry) ? entry : [entry];
    const stop = { child, kind, row: r, up: [], down: [], after: null, x: 0 };
    at.set(`${r} ${child} ${kind}`, stop);
    return stop;
  }));
  // What stands for a child in a row: itself in its own, its trunk in others, or the one that all share.
  const seek = (r, child, kind) => at.get(`${r} ${child} ${r === rank.get(child) ? 0 : kind}`) ?? at.get(`${r} 0 ${kind + 2}`);
  const join = (upper, lower) => {
    if (!upper || !lower || upper.down.includes(lower)) return;
    upper.down.push(lower);
    lower.up.push(upper);
  };
  for (const { child, kind, row } of rows.flat()) if (kind) join(at.get(`${row - 1} ${child} ${kind}`), at.get(`${row} ${child} ${kind}`));
  return { rows, rank, seek, join };
}

// Join the lattices along every arrow: trunks with what they come from and go to, in every box that it crosses.
for (const { from, to } of model.flows) {
  const { box, source, target } = meeting(from, to);
  for (let key = from; key !== source; key = -parentOf(key)) {
    const { rank, seek, join } = lattices[parentOf(key)];
    join(seek(rank.get(key), key, DOWN), seek(rank.get(key) + 1, key, DOWN));
  }
  for (let key = to; key !== target; key = -parentOf(key)) {
    const { rank, seek, join } = lattices[parentOf(key)];
    join(seek(rank.get(key) - 1, key, UP), seek(rank.get(key), key, UP));
  }
  const { rank, seek, join } = lattices[box];
  if (rank.get(source) + 1 < rank.get(target)) join(seek(rank.get(source), source, DOWN), seek(rank.get(source) + 1, source, DOWN));
  join(seek(rank.get(target) - 1, source, DOWN), seek(rank.get(target), target, UP));
}

for (const one of lattices) one.chains = straights(one.rows);

// What is to be straight: trunks, and children of which each hands on to the next, the longest chains first. It depends
// on what is joined alone, and so a chain is one in all sweeps, and does not wander off by a little in each row.
function straights(rows) {
  const length = new Map(), taken = new Set(), chains = [];
  const children = (stop) => stop.down.filter((other) => !other.kind && !taken.has(other));
  const longest = (stops) => stops.reduce((best, stop) => (length.get(stop) > (length.get(best) ?? 0) ? stop : best), undefined);
  const all = [...rows].reverse().flat();
  for (const stop of all) if (!stop.kind) length.set(stop, 1 + Math.max(0, ...children(stop).map((other) => length.get(other))));
  const follow = (stop, ahead) => {
    const chain = [];
    for (let one = stop; one; one = ahead(one)) {
      if (chain.length) chain[chain.length - 1].after = one;
      chain.push(one);
      taken.add(one);
    }
    if (chain.length > 1) chains.push(chain);
  };
  const heads = all.filter((stop) => !stop.kind).sort((a, b) => length.get(b) - length.get(a));
  for (const stop of heads) if (!taken.has(stop)) follow(stop, (one) => longest(children(one)));
  const trunk = (one) => one.down.find((other) => other.kind === one.kind && other.child === one.child);
  for (const stop of rows.flat()) if (stop.kind && !taken.has(stop)) follow(stop, trunk);
  return chains;
}

// The innermost box around two keys, and which of its children have them.
function meeting(from, to) {
  const out = [...around(from).map((b) => -b), from];
  const into = [...around(to).map((b) => -b), to];
  let common = 0;
  while (out[common + 1] !== undefined && isBox(out[common]) && out[common] === into[common]) common += 1;
  return { box: -out[common - 1], source: out[common], target: into[common] };
}

// The size of a node, or of a folded box.
function sizeOf(item) {
  if (item.size) return item.size;
  if (item.isBox) {
    const width = Math.max(measure(item.name, FONT.box) + measure(countOf(item), FONT.spec) + 58, measure(item.note, FONT.spec) + 28);
    item.size = { width: Math.min(260, Math.max(120, width)), height: item.note ? 44 : 30 };
  } else {
    const width = Math.max(measure(titleOf(item), FONT.name), measure(item.spec, FONT.spec)) + 22;
    item.size = { width: Math.min(190, Math.max(64, width)), height: 38 + lip(item) };
  }
  return item.size;
}

// The words of a cylinder stand below its upper rim.
const lip = ({ shape }) => (shape === "variable" ? 7 : 0);

const countOf = (box) => plural(box.within.length, "node") + (box.seconds ? ` · ${percent(box.seconds)}` : "");
const percent = (seconds) => `${(100 * share(seconds)).toFixed(share(seconds) < 0.0995 ? 1 : 0)} %`;

// What stands on a node: its name, or its op with short settings.
function titleOf({ op, name, shape, text }) {
  if (name) return shape === "op" ? `${op} → ${name}` : name.split("/").pop();
  return text && text.length < 14 ? `${op} ${text}` : op;
}

// Give an open box its size, and its children their places in it.
function arrange(box) {
  const { rows } = lattices[box.number];
  for (const row of rows) for (const stop of row) {
    const item = itemOf(stop.child);
    if (stop.kind) stop.size = { width: 0, height: 0 };
    else if (item.isBox && fold.open.has(item.number)) stop.size = arrange(item);
    else stop.size = sizeOf(item);
  }
  settle(lattices[box.number]);
  let left = Infinity, right = -Infinity;
  for (const row of rows) for (const stop of row) {
    left = Math.min(left, stop.x - stop.size.width / 2);
    right = Math.max(right, stop.x + stop.size.width / 2);
  }
  const head = measure(box.name, FONT.box) + measure(countOf(box), FONT.spec) + 70;
  const width = Math.max(right - left + 2 * GAP.pad, box.number ? head : 0);
  const shift = (width - (right - left)) / 2 - left;
  let y = box.number ? GAP.head + 14 : GAP.pad;
  for (const row of rows) {
    const height = row.reduce((most, stop) => Math.max(most, stop.size.height), 0);
    for (const stop of row) Object.assign(stop, { x: stop.x + shift, top: y, bottom: y + height, height });
    y += height + gapBelow(row);
  }
  const last = rows.length ? gapBelow(rows[rows.length - 1]) : 0;
  return { width, height: y - last + GAP.pad };
}

// Curves that go far to the side need room to be smooth.
function gapBelow(row) {
  let widest = 0;
  for (const stop of row) for (const below of stop.down) widest = Math.max(widest, Math.abs(stop.x - below.x));
  return GAP.row + Math.min(16, widest / 20);
}

function settle({ rows, chains }) {
  for (const row of rows) {
    let x = 0;
    for (const [i, stop] of row.entries()) {
      if (i) x += apart(row[i - 1], stop);
      Object.assign(stop, { x, hold: null });
    }
    for (const stop of row) stop.x -= x / 2;
  }
  for (let sweep = 0; sweep < 8; sweep += 1) swept(rows, sweep % 2, [sweep % 2 ? "down" : "up"]);
  for (const chain of chains) {
    const wish = chain[0].kind ? null : median(chain.map((stop) => stop.x));
    for (const stop of chain) stop.hold = wish;
  }
  for (let sweep = 0; sweep < 6; sweep += 1) swept(rows, sweep % 2, ["up", "down"]);
  for (let turn = 0; turn < 4; turn += 1) for (const chain of chains) straighten(chain, rows);
  for (const chain of chains) if (chain[0].kind >= OUT) tighten(chain, rows);
}

// What all share stands at the side of its box, as near as there is room.
function tighten(chain, rows) {
  const [side, pick] = chain[0].kind === OUT ? [-1, Math.max] : [1, Math.min];
  const limits = chain.flatMap((stop) => {
    const row = rows[stop.row], next = row[row.indexOf(stop) + side];
    return next ? [next.x - side * apart(next, stop)] : [];
  });
  if (limits.length) for (const stop of chain) stop.x = pick(...limits);
}

function swept(rows, upwards, sides) {
  for (const row of upwards ? [...rows].reverse() : rows) place(row, sides);
}

// Put a chain upright, or as long pieces of it as there is room for.
function straighten(chain, rows) {
  let piece = [], low = -Infinity, high = Infinity;
  const finish = () => {
    const wish = median(piece.map((stop) => stop.x));
    for (const stop of piece) stop.x = Math.min(high, Math.max(low, wish));
  };
  for (const stop of chain) {
    const row = rows[stop.row], i = row.indexOf(stop);
    const least = i ? row[i - 1].x + apart(row[i - 1], stop) : -Infinity;
    const most = i + 1 < row.length ? row[i + 1].x - apart(stop, row[i + 1]) : Infinity;
    if (Math.max(low, least) > Math.min(high, most) + 1e-6) {
      finish();
      [piece, low, high] = [[], -Infinity, Infinity];
    }
    piece.push(stop);
    [low, high] = [Math.max(low, least), Math.min(high, most)];
  }
  finish();
}

const apart = (a, b) => (a.size.width + b.size.width) / 2 + (a.kind && b.kind ? GAP.trunk : a.kind || b.kind ? 16 : GAP.child);

// Places of a row, in order and apart, nearest to the wishes.
function place(row, sides) {
  const wishes = row.map((stop) => {
    if (stop.hold !== null) return { wish: stop.hold, weight: 40 };
    const near = sides.flatMap((side) => stop[side]);
    if (!near.length) return { wish: stop.x, weight: 0.05 };
    // Trunks are held harder than children, so that long arrows are straight.
    const weight = stop.kind ? 4 : 1 + near.filter((other) => !other.kind).length;
    return { wish: weighted(near.map((other) => ({ x: other.x, weight: pull(stop, other) }))), weight };
  });
  const found = pooled(wishes, (i) => apart(row[i - 1], row[i]));
  row.forEach((stop, i) => { stop.x = found[i]; });
}

// Places in order, each as far behind the one before as `gap` says, with the least sum of weighted squared distances
// from the wishes.
function pooled(wishes, gap) {
  const pools = [], offsets = [];
  wishes.forEach(({ wish, weight }, i) => {
    offsets.push(i ? offsets[i - 1] + gap(i) : 0);
    let pool = { sum: weight * (wish - offsets[i]), weight, count: 1 };
    while (pools.length && pools[pools.length - 1].sum / pools[pools.length - 1].weight > pool.sum / pool.weight) {
      const before = pools.pop();
      pool = { sum: before.sum + pool.sum, weight: before.weight + pool.weight, count: before.count + pool.count };
    }
    pools.push(pool);
  });
  return pools.flatMap(({ sum, weight, count }) => Array(count).fill(sum / weight)).map((x, i) => x + offsets[i]);
}

// How much two that are joined want to stand one above the other: most in a chain, then children next to each other.
const pull = (a, b) => (a.after === b || b.after === a ? 8 : a.kind || b.kind ? 1 : 3);

// The median of places that have weights; where two share the middle, what is between them.
function weighted(values) {
  values.sort((a, b) => a.x - b.x);
  const half = values.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) {
    sum += values[i].weight;
    if (Math.abs(sum - half) < 1e-9) return (values[i].x + values[i + 1].x) / 2;
    if (sum > half) return values[i].x;
  }
  return values[values.length - 1].x;
}

function median(values) {
  const sorted = values.sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Arrange everything; then what is seen has `left`, `top`, `width`, `height` on the whole picture.
function layOut() {
  const seen = [];
  const walk = (box, left, top, size) => {
    Object.assign(box, { left, top, width: size.width, height: size.height });
    for (const row of lattices[box.number].rows) for (const stop of row) {
      if (stop.kind) continue;
      const item = itemOf(stop.child), { width, height } = stop.size;
      const x = left + stop.x - width / 2, y = top + stop.top + (stop.height - height) / 2;
      seen.push(item);
      if (item.isBox && fold.open.has(item.number)) walk(item, x, y, stop.size);
      else Object.assign(item, { left: x, top: y, width, height });
    }
  };
  const size = arrange(model.boxes[0]);
  walk(model.boxes[0], 0, 0, size);
  return { seen, size };
}
