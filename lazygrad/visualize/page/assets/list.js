// The list of nodes, which stands in the page from the start, in step with the picture.

const lines = [...byId("list").children];
lines.forEach((line, i) => {
  line.dataset.key = i;
  line.tabIndex = -1;
  if (model.nodes[i].hidden) line.classList.add("pale");
});
if (lines.length) lines[0].tabIndex = 0;

function listenToList() {
  byId("list").addEventListener("click", (event) => {
    const line = event.target.closest("#list > div");
    if (line && !String(getSelection())) go(Number(line.dataset.key));
  });
  byId("list").addEventListener("keydown", (event) => {
    const line = event.target.closest("#list > div"), step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    pressed(event, () => go(Number(line.dataset.key)));
    if (!step) return;
    event.preventDefault();
    let next = Number(line.dataset.key) + step;
    while (lines[next]?.hidden) next += step;
    if (lines[next]) reach(lines[next]);
  });
}

function reach(line) {
  for (const other of byId("list").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
  line.tabIndex = 0;
  line.focus();
}

function nodesChosen() {
  if (chosen.kernel !== null) return model.kernels[chosen.kernel].nodes;
  if (chosen.key === null) return [];
  return isBox(chosen.key) ? itemOf(chosen.key).within : [chosen.key];
}

// Mark what is chosen, and scroll to it.
function follow() {
  const keys = new Set(nodesChosen());
  const first = lines.find((line, i) => keys.has(i));
  lines.forEach((line, i) => {
    line.classList.toggle("chosen", keys.has(i));
    if (keys.size === 1 && keys.has(i)) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  });
  if (!first || byId("nodes").hidden) return;
  const list = byId("nodes");
  list.scrollTop += first.getBoundingClientRect().top - list.getBoundingClientRect().top - list.clientHeight / 3;
}

// Only lines that match are shown.
function filter(matches) {
  lines.forEach((line, i) => { line.hidden = matches !== null && !matches.has(i); });
}

// Which of the tabs beside the picture is open; the picture itself is one on narrow screens.
function tab(name) {
  for (const one of ["picture", "nodes", "kernels", "laws"]) {
    const open = one === name;
    byId(`tab-${one}`).setAttribute("aria-selected", String(open));
    byId(`tab-${one}`).tabIndex = open ? 0 : -1;
    if (one !== "picture") byId(one).hidden = !open;
  }
  document.body.dataset.tab = name;
  if (name === "nodes") follow();
}

function listenToTabs() {
  const names = () => ["picture", "nodes", "kernels", "laws"].filter((name) => byId(`tab-${name}`).offsetParent);
  for (const name of ["picture", "nodes", "kernels", "laws"]) {
    byId(`tab-${name}`).addEventListener("click", () => tab(name));
    byId(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = names(), next = all[(all.indexOf(name) + step + all.length) % all.length];
      tab(next);
      byId(`tab-${next}`).focus();
    });
  }
  byId("tab-laws").hidden = !model.laws.length;
  byId("laws").append(make("ul", {}, model.laws.map((law) => make("li", {}, law))));
}
