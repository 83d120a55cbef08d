// What colour a node or a box has: that of its part, of its kernel, or of the share of time that it takes.

const HUES = 8; // of kernels; they repeat, and every node says its kernel
const colouring = { by: "part" };

// Classes and properties of an element for an item.
function paint(element, item) {
  element.classList.add(partOf(item));
  if (colouring.by === "kernel" && !item.isBox) element.classList.add(item.kernel < 0 ? "pale" : `hue${item.kernel % HUES}`);
  if (colouring.by === "kernel" && item.isBox) element.classList.add("pale");
  if (colouring.by === "time") {
    element.classList.add("timed");
    element.style.setProperty("--heat", `${heat(item)}%`);
  }
}

// From 0 to 100: the share of a box, or of the whole kernel of a node, against the greatest that there is. The root of
// it, as a few kernels take most of the time, and all others would look the same.
function heat(item) {
  const seconds = item.isBox ? item.seconds : model.kernels[item.kernel]?.seconds ?? 0;
  const most = item.isBox ? model.total : Math.max(...model.kernels.map((kernel) => kernel.seconds ?? 0));
  return most ? Math.round(100 * Math.sqrt(seconds / most)) : 0;
}

// The kernels of a folded box as a strip, each as wide as it has nodes.
function strip(box) {
  const counts = new Map();
  for (const i of box.within) if (model.nodes[i].kernel >= 0) counts.set(model.nodes[i].kernel, (counts.get(model.nodes[i].kernel) ?? 0) + 1);
  const whole = [...counts.values()].reduce((sum, count) => sum + count, 0);
  let x = box.left + 8;
  return [...counts].map(([kernel, count]) => {
    const width = ((box.width - 16) * count) / whole;
    const piece = drawn("rect", { class: `strip hue${kernel % HUES}`, x, y: box.top + box.height - 7, width, height: 4 });
    x += width;
    return piece;
  });
}

function legend() {
  const entry = (name, text) => make("span", { class: `key ${name}` }, text);
  const words = {
    part: ["forward", "gradient", "update"].filter((part) => model.boxes.some((box) => box.part === part)).map((part) => entry(part, part)),
    kernel: [make("span", { class: "note" }, "one colour a kernel; k3 is kernel 3")],
    time: [make("span", { class: "key scale" }, "share of time")],
  };
  const loops = model.flows.some(({ dashed }) => dashed) ? [make("span", { class: "note" }, "dashed: what the body of a loop returns")] : [];
  byId("legend").replaceChildren(...words[colouring.by], ...loops);
}
