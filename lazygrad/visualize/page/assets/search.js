// Search: every word must be found, in op, name, layer, spec or line; `kernel:4`, `dtype:float64` and the like ask one
// thing alone.

const search = { matches: null, at: -1 };

const FIELDS = {
  op: (node) => node.op,
  name: (node) => node.name,
  layer: (node) => layerOf(node),
  spec: (node) => node.spec,
  shape: (node) => node.spec.replace(/^\w+/, "").replaceAll(" ", ""),
  line: (node) => [model.places[node.place]?.text, model.places[node.place]?.where].join(" "),
  part: (node) => partOf(node),
};
const EXACT = {
  kernel: (node) => String(node.kernel),
  dtype: (node) => (/^\w+/.exec(node.spec) ?? [""])[0],
  kind: (node) => node.shape,
};

function matching(text) {
  const tests = text.trim().toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, field, wanted] = /^(\w+):(.*)$/.exec(word) ?? [];
    if (EXACT[field]) return (node) => EXACT[field](node).toLowerCase() === wanted;
    if (FIELDS[field]) return (node) => FIELDS[field](node).toLowerCase().includes(wanted);
    if (/^%\d+$/.test(word)) return (node) => `%${node.key}` === word;
    return (node) => ["op", "name", "layer", "spec", "line"].some((name) => FIELDS[name](node).toLowerCase().includes(word));
  });
  if (!tests.length) return null;
  return new Set(model.nodes.filter((node) => !node.hidden && tests.every((test) => test(node))).map((node) => node.key));
}

function find(text) {
  search.matches = matching(text);
  search.at = -1;
  filter(search.matches);
  mark();
  byId("found").textContent = search.matches === null ? "" : plural(search.matches.size, "node");
}

// Go to the next match, or to the one before.
function next(step) {
  const matches = [...(search.matches ?? [])];
  if (!matches.length) return;
  search.at = (search.at + step + matches.length) % matches.length;
  if (search.at < 0) search.at = 0;
  byId("found").textContent = `${search.at + 1} of ${plural(matches.length, "node")}`;
  go(matches[search.at], false);
}

function listenToSearch() {
  const field = byId("search");
  field.addEventListener("input", () => find(field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      field.value = "";
      find("");
      focusOn(chosen.key ?? shown.seen[0]?.key);
    }
  });
}
