// What is known of the node or box that was chosen.

const chosen = { key: null, kernel: null };

function tell() {
  const panel = byId("details");
  const content = told();
  panel.hidden = content === null;
  if (content) {
    panel.replaceChildren(make("button", { class: "close", type: "button", "aria-label": "Close", click: () => choose(null) }, "×"), ...content);
    panel.scrollTop = 0;
  }
}

function told() {
  if (chosen.kernel !== null) return ofKernel(model.kernels[chosen.kernel]);
  if (chosen.key === null) return null;
  return isBox(chosen.key) ? ofBox(itemOf(chosen.key)) : ofNode(itemOf(chosen.key));
}

// A link to a node or a box, which chooses it and brings it into view.
function link(key, text = null) {
  const item = itemOf(key);
  const said = text ?? (item.isBox ? item.name : `%${key} ${item.op}${item.name ? ` ${item.name}` : ""}`);
  return make("button", { class: "link", type: "button", "data-to": key, click: () => go(key) }, said);
}

const links = (keys, most = 12) => make("span", { class: "links" }, some(keys, most, (key) => link(key)));

// The first of many, and a button that shows the others.
function some(all, most, shape) {
  const rest = make("button", { class: "link", type: "button", click: () => rest.replaceWith(...all.slice(most).map(shape)) }, `${all.length - most} more`);
  return [...all.slice(0, most).map(shape), all.length > most ? rest : null];
}

// Rows of a table; those that have nothing to say are left out.
function facts(rows) {
  const kept = rows.filter(([, value]) => value !== null && value !== "" && value !== undefined);
  return make("dl", {}, kept.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function ofNode(node) {
  const place = model.places[node.place];
  const drawn = (keys) => keys.filter((key) => !model.nodes[key].hidden);
  const operands = drawn(node.inputs), users = drawn(node.users);
  const beside = model.nodes.filter((other) => other.place === node.place && other !== node).map((other) => other.key);
  const layers = around(node.key).slice(1);
  return [
    make("h2", {}, `%${node.key} `, make("span", { class: "op" }, node.op)),
    facts([
      ["spec", make("code", {}, node.spec)],
      ["name", node.name],
      ["settings", node.text && make("code", {}, node.text)],
      ["operands", operands.length ? links(operands) : ""],
      ["used by", users.length ? links(users) : ""],
      ["", node.root ? "returned by the step" : ""],
      ["in", layers.length ? make("span", { class: "path" }, layers.map((b) => link(-b))) : ""],
    ]),
    source(place, drawn(beside)),
    model.kernels[node.kernel] && kernelFacts(model.kernels[node.kernel], node),
    node.statistics && statistics(node.statistics),
  ].filter(Boolean);
}

function source(place, beside) {
  return make("div", { class: "source" },
    make("pre", {}, make("code", {}, place.text || "(its text is not known)")),
    make("p", {}, place.where + (place.inside ? `, in ${place.inside}` : "")),
    beside.length ? make("p", {}, "of the same line: ", links(beside, 8)) : null,
  );
}

function ofBox(box) {
  const nodes = box.within.map((i) => model.nodes[i]);
  const variables = nodes.filter((node) => node.shape === "variable");
  const lines = linesOf(nodes);
  const kernels = [...kernelsOf(box)];
  const open = fold.open.has(box.number);
  return [
    make("h2", {}, box.name),
    box.note ? make("p", {}, box.note) : null,
    make("p", {}, make("button", { type: "button", click: () => toggle(box.number) }, open ? "Fold" : "Unfold")),
    facts([
      ["part", box.part],
      ["nodes", box.within.length.toLocaleString("en")],
      ["time", box.seconds ? make("span", {}, `${seconds(box.seconds)}, ${percent(box.seconds)}`, meter(share(box.seconds))) : ""],
      ["kernels", kernels.length ? make("span", { class: "links" }, some(kernels, 24, kernelLink)) : ""],
      ["in", box.parent > 0 ? link(-box.parent) : ""],
    ]),
    variables.length ? storage(variables) : null,
    lines.length ? make("div", { class: "source" }, make("h3", {}, plural(lines.length, "line")), some(lines, 12, quoted)) : null,
  ].filter(Boolean);
}

function storage(variables) {
  const whole = variables.reduce((sum, node) => sum + bytesOf(node.spec), 0);
  const row = (node) => make("div", {}, link(node.key, node.name), make("span", {}, node.spec), make("span", {}, `${amount(bytesOf(node.spec))}B`));
  return make("div", { class: "storage" }, make("h3", {}, `${plural(variables.length, "variable")}, ${amount(whole)}B`), some(variables, 12, row));
}

// The lines that wrote nodes, each once.
const linesOf = (nodes) => [...new Set(nodes.map((node) => model.places[node.place]))].filter((place) => place?.text);

const quoted = (place) => make("div", {}, make("pre", {}, make("code", {}, place.text)), make("p", {}, place.where));

const seconds = (value) => (value >= 1e-3 ? `${(1e3 * value).toPrecision(3)} ms` : `${(1e6 * value).toPrecision(3)} µs`);

// A number with three digits and a prefix, a space before it.
function amount(value) {
  for (const [scale, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= scale) return `${(value / scale).toPrecision(3)} ${prefix}`;
  }
  return `${value} `;
}

// Bytes of an array, of its spec: "float32[3, 4]".
function bytesOf(spec) {
  const [, kind, shape] = /^(\w+)\[([^\]]*)\]/.exec(spec) ?? [];
  if (!kind) return 0;
  const bits = kind === "bool" ? 8 : Number(/\d+$/.exec(kind)?.[0] ?? 64);
  return shape.split(",").filter((size) => size.trim()).reduce((product, size) => product * Number(size), bits / 8);
}

function meter(part, label = "") {
  const bar = make("span", { class: "meter", role: "img", "aria-label": label || `${Math.round(100 * part)} %` }, make("span", {}));
  bar.firstChild.style.width = `${Math.min(100, 100 * part)}%`;
  return bar;
}

// The least and the greatest value, the mean, and a histogram of sixteen bars.
function statistics(of) {
  const most = Math.max(1, ...(of.histogram ?? []));
  const bars = (of.histogram ?? []).map((count, i) => {
    const height = (40 * count) / most;
    return drawn("rect", { x: 12 * i, y: 44 - height, width: 11, height }, drawn("title", {}, String(count)));
  });
  const said = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value));
  return make("div", { class: "statistics" },
    make("h3", {}, "values"),
    bars.length ? drawn("svg", { viewBox: "0 0 192 44", role: "img", "aria-label": `Histogram of ${of.size} values from ${said(of.min)} to ${said(of.max)}` }, bars) : null,
    bars.length ? make("p", { class: "ends" }, make("span", {}, said(of.min)), make("span", {}, said(of.max))) : null,
    facts([
      ["mean ± std", `${said(of.mean)} ± ${said(of.std)}`],
      ["min … max", `${said(of.min)} … ${said(of.max)}`],
      ["zeros", of.zeros ? `${of.zeros} of ${of.size}` : ""],
      ["NaN", of.nan || ""],
      ["infinite", of.inf || ""],
    ]));
}
