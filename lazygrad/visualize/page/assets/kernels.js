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

function kernelLink(number) {
  const attributes = { class: "link", type: "button", "data-kernel": number };
  return make("button", { ...attributes, click: () => chooseKernel(number) }, swatch({ number }), ` k${number}`);
}

function listKernels() {
  const kept = columns.map((column, i) => ({ ...column, i }));
  const shown = kept.filter(({ value }) => model.kernels.some((kernel) => value(kernel) !== null));
  const table = make("table", {}, make("thead", {}, make("tr", {}, shown.map(headOf))), make("tbody", {}, inOrder().map((kernel) => rowOfKernel(kernel, shown))));
  const none = "No kernels are known: this is the graph of a step, not a compiled step.";
  byId("kernels").replaceChildren(model.kernels.length ? table : make("p", {}, none));
}

function inOrder() {
  const { value } = columns[sorting.by], way = sorting.up ? 1 : -1;
  return [...model.kernels].sort((a, b) => way * ((value(a) ?? -1) - (value(b) ?? -1)) || a.number - b.number);
}

function headOf({ name, title = `Sort by ${name}`, i }) {
  const sorted = i === sorting.by, [way, arrow] = sorting.up ? ["ascending", " ▲"] : ["descending", " ▼"];
  const button = make("button", { type: "button", title, "data-column": name, click: () => sortBy(i) }, name, sorted ? arrow : "");
  return make("th", { "aria-sort": sorted ? way : "none", scope: "col" }, button);
}

function rowOfKernel(kernel, shown) {
  const act = () => chooseKernel(kernel.number);
  const attributes = { "data-kernel": kernel.number, tabindex: 0, class: kernel.number === chosen.kernel ? "chosen" : null };
  const cells = shown.map(({ value, said, i }) => make("td", { class: i ? "number" : null }, value(kernel) === null ? "–" : said(kernel)));
  return make("tr", { ...attributes, click: act, keydown: (event) => pressed(event, act) }, cells);
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
  const [left, top] = [Math.min(...items.map((item) => item.left)), Math.min(...items.map((item) => item.top))];
  const right = Math.max(...items.map((item) => item.left + item.width));
  return { left, top, width: right - left, height: Math.max(...items.map((item) => item.top + item.height)) - top };
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
  return [
    make("h2", {}, swatch(kernel), ` kernel ${kernel.number}`),
    kernelFacts(kernel),
    facts([["nodes", links(kernel.nodes, 24)]]),
    make("div", { class: "source" }, some(linesOf(kernel.nodes.map((i) => model.nodes[i])), 12, quoted)),
  ];
}
