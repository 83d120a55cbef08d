// The picture as it was written: nodes, boxes, kernels. A node is called by its number, the box b by -b, the root is 0
// as a box; `boxOf(key)` and `nodeOf(key)` tell them apart.

const model = (() => {
  const data = JSON.parse(byId("picture").textContent);
  const say = (i) => data.strings[i];
  const columns = data.nodes;
  const nodes = columns.op.map((_, i) => ({
    key: i,
    op: say(columns.op[i]),
    spec: say(columns.spec[i]),
    name: say(columns.name[i]),
    shape: say(columns.shape[i]),
    text: say(columns.text[i]),
    inputs: columns.inputs[i],
    users: [],
    box: columns.box[i],
    place: columns.place[i],
    kernel: columns.kernel[i],
    hidden: false,
    quiet: false,
    root: false,
    seconds: 0,
    statistics: null,
  }));
  for (const i of columns.hidden) nodes[i].hidden = true;
  for (const i of columns.quiet) nodes[i].quiet = true;
  for (const i of columns.root) nodes[i].root = true;
  for (const [i, statistics] of Object.entries(columns.statistics)) {
    const [min, max, mean, std, nan, inf, zeros, size, histogram] = statistics;
    nodes[i].statistics = { min, max, mean, std, nan, inf, zeros, size, histogram };
  }
  for (const node of nodes) for (const j of new Set(node.inputs)) nodes[j].users.push(node.key);

  // Arrows between nodes: operands, and the results of the body of a loop, dashed, to its node.
  const silent = (i) => nodes[i].hidden || nodes[i].quiet;
  const flows = [
    ...nodes.flatMap((node) => [...new Set(node.inputs)].map((from) => ({ from, to: node.key, dashed: false }))),
    ...data.loops.flatMap(([node, results]) => [...new Set(results)].map((from) => ({ from, to: node, dashed: true }))),
  ].filter(({ from, to }) => !silent(from) && !nodes[to].hidden);

  const boxes = data.boxes.map(([name, parent, part, kind, note], b) => ({
    key: -b, number: b, name: say(name), parent, part: say(part), kind: say(kind), note: say(note),
    rows: data.rows[b], children: data.rows[b].flat().filter((stop) => !Array.isArray(stop)),
    within: [], level: 0, seconds: 0, isBox: true,
  }));
  for (const box of boxes) box.level = box.parent < 0 ? 0 : boxes[box.parent].level + 1;

  const kernels = data.kernels.map(([what, over, seconds, bytes, flops, limit, members, work], number) => (
    { number, what: say(what), over: say(over), seconds, bytes, flops, limit, nodes: members, work }));
  const total = kernels.reduce((sum, kernel) => sum + (kernel.seconds ?? 0), 0);
  const measured = kernels.some((kernel) => kernel.seconds !== null);

  // The time of a kernel is shared by its nodes as its work is.
  for (const { nodes: members, seconds, work } of kernels) members.forEach((i, k) => { nodes[i].seconds += (seconds ?? 0) * work[k]; });
  for (const node of nodes) {
    if (node.hidden) continue;
    for (let b = node.box; b >= 0; b = boxes[b].parent) {
      boxes[b].within.push(node.key);
      boxes[b].seconds += node.seconds;
    }
  }
  const places = data.places.map(([where, inside, text]) => ({ where: say(where), inside: say(inside), text: say(text) }));
  return { title: data.title, facts: data.facts, laws: data.laws, nodes, flows, boxes, kernels, places, total, measured, opened: data.open };
})();

const isBox = (key) => key < 0 || Object.is(key, -0);
const itemOf = (key) => (isBox(key) ? model.boxes[-key] : model.nodes[key]);
const parentOf = (key) => (isBox(key) ? model.boxes[-key].parent : model.nodes[key].box);
const partOf = (item) => (item.isBox ? item.part : model.boxes[item.box].number ? model.boxes[item.box].part : "forward");
const share = (seconds) => (model.total ? seconds / model.total : 0);

// The boxes around a node or a box, from the root down, the thing itself left out.
function around(key) {
  const found = [];
  for (let b = parentOf(key); b >= 0; b = model.boxes[b].parent) found.unshift(b);
  return found;
}

const layerOf = (node) => around(node.key).slice(1).map((b) => model.boxes[b].name).join("/");
