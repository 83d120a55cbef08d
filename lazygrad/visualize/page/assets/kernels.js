// Kernels: what each took, what it moved and computed, and how far that is from what the machine can do.

const columns = [
  { name: "kernel", value: (kernel) => kernel.number, said: (kernel) => make("span", { title: called(kernel) }, swatch(kernel), ` k${kernel.number} ${called(kernel)}`) },
  { name: "time", value: (kernel) => kernel.seconds, said: (kernel) => seconds(kernel.seconds) },
  { name: "share", value: (kernel) => kernel.seconds, said: (kernel) => percent(kernel.seconds) },
  { name: "bytes", value: (kernel) => kernel.bytes, said: (kernel) => amount(kernel.bytes) },
  { name: "flops", value: (kernel) => kernel.flops, said: (kernel) => amount(kernel.flops) },
  { name: "÷ limit", title: "Time, divided by the least that this machine needs", value: (kernel) => ratio(kernel), said: (kernel) => times(ratio(kernel)) },
];
const sorting = { by: model.measured ? 1 : 0, up: !model.measured };
const ratio = (kernel) => (kernel.seconds && kernel.limit ? kernel.seconds / kernel.limit : null);
const called = (kernel) => kernel.what + (kernel.over ? ` over ${kernel.over}` : "");
const times = (value) => (value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString("en"));
const swatch = (kernel) => make("span", { class: `swatch hue${kernel.number % HUES}` });

const kernelLink = (number) => make("button", { class: "link", type: "button", "data-kernel": number, click: () => chooseKernel(number) }, swatch({ number }), ` k${number}`);

function listKernels() {
  const kept = columns.map((column, i) => ({ ...column, i })).filter(({ value }) => model.kernels.some((kernel) => value(kernel) !== null));
  const value = columns[sorting.by].value;
  const sorted = [...model.kernels].sort((a, b) => (sorting.up ? 1 : -1) * ((value(a) ?? -1) - (value(b) ?? -1)) || a.number - b.number);
  const heads = kept.map(({ name, title, i }) => make("th", { "aria-sort": i === sorting.by ? (sorting.up ? "ascending" : "descending") : "none", scope: "col" },
    make("button", { type: "button", title: title ?? `Sort by ${name}`, "data-column": name, click: () => sortBy(i) }, name, i === sorting.by ? (sorting.up ? " ▲" : " ▼") : "")));
  const rows = sorted.map((kernel) => make("tr", { "data-kernel": kernel.number, tabindex: 0, class: kernel.number === chosen.kernel ? "chosen" : null, click: () => chooseKernel(kernel.number), keydown: (event) => pressed(event, () => chooseKernel(kernel.number)) },
    kept.map(({ value, said, i }) => make("td", { class: i ? "number" : null }, value(kernel) === null ? "–" : said(kernel)))));
  byId("kernels").replaceChildren(model.kernels.length ? make("table", {}, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)) : make("p", {}, "No kernels are known: this is the graph of a step, not a compiled step."));
}

function sortBy(column) {
  Object.assign(sorting, { by: column, up: sorting.by === column ? !sorting.up : column === 0 });
  listKernels();
  byId("kernels").querySelector(`[data-column="${columns[column].name}"]`).focus();
}

function pressed(event, act) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  act();
}

// Show a kernel: unfold to its nodes, and light them up.
function chooseKernel(number) {
  Object.assign(chosen, { key: null, kernel: number });
  const members = model.kernels[number].nodes.filter((i) => !model.nodes[i].hidden);
  unfoldTo(members);
  tell();
  mark();
  listKernels();
  if (narrow.matches) tab("picture");
  if (members.length) show(hull(members), 60, 0.3);
  announce(`Kernel ${number}, ${plural(members.length, "node")}`);
}

// The rectangle around nodes.
function hull(keys) {
  const items = keys.map((key) => itemOf(shownFor(key)));
  const left = Math.min(...items.map((item) => item.left)), top = Math.min(...items.map((item) => item.top));
  return { left, top, width: Math.max(...items.map((item) => item.left + item.width)) - left, height: Math.max(...items.map((item) => item.top + item.height)) - top };
}

function kernelFacts(kernel, node = null) {
  return make("div", {},
    make("h3", {}, node ? kernelLink(kernel.number) : null, ` ${called(kernel)}`),
    facts([
      ["time", kernel.seconds === null ? "" : seconds(kernel.seconds)],
      ["share", kernel.seconds === null ? "" : make("span", {}, percent(kernel.seconds), meter(share(kernel.seconds)))],
      ["bytes", kernel.bytes === null ? "" : amount(kernel.bytes)],
      ["flops", kernel.flops === null ? "" : amount(kernel.flops)],
      ["÷ limit", ratio(kernel) ? make("span", {}, times(ratio(kernel)), meter(1 / ratio(kernel), `${Math.round(100 / ratio(kernel))} % of what this machine can do`)) : ""],
    ]));
}

function ofKernel(kernel) {
  const places = [...new Set(kernel.nodes.map((i) => model.nodes[i].place))].filter((p) => model.places[p]?.text).map((p) => model.places[p]);
  return [
    make("h2", {}, swatch(kernel), ` kernel ${kernel.number}`),
    kernelFacts(kernel),
    facts([["nodes", links(kernel.nodes, 24)]]),
    make("div", { class: "source" }, some(places, 12, quoted)),
  ];
}
