// What part of the picture is seen: panned by dragging, zoomed by wheel, by two fingers, by keys and by buttons.

const view = { x: 0, y: 0, scale: 1, size: { width: 1, height: 1 }, stage: { width: innerWidth, height: innerHeight } };
const stage = byId("stage"), svg = byId("picture-view"), world = byId("world");
const SCALES = [0.04, 3];

function moved() {
  world.setAttribute("transform", `translate(${round(view.x)} ${round(view.y)}) scale(${view.scale.toFixed(4)})`);
  svg.classList.toggle("far", view.scale < 0.4);
  svg.style.setProperty("--far", `${round(10 / view.scale)}px`); // names of open boxes stay readable
}

// The room that the picture has: on narrow screens the details, or else the legend, cover some of the stage.
const LEGEND = 44;

function room() {
  const below = byId("details").hidden ? LEGEND : byId("details").getBoundingClientRect().height;
  const covered = narrow.matches ? below : 0;
  return { width: view.stage.width, height: view.stage.height - covered };
}

// The size of the stage is asked for when it changes alone: to ask after drawing would have the browser lay out what was
// drawn twice, once before it is known what is too small to be read. A stage that another tab hides has none.
function noteStage() {
  const { width, height } = svg.getBoundingClientRect();
  if (width) view.stage = { width, height };
}

// Zoom by a factor, keeping a point of the stage in its place; the middle, where none is said.
function zoom(factor, at = null) {
  const { width, height } = room(), point = at ?? { x: width / 2, y: height / 2 };
  const scale = Math.min(SCALES[1], Math.max(SCALES[0], view.scale * factor));
  view.x = point.x - ((point.x - view.x) * scale) / view.scale;
  view.y = point.y - ((point.y - view.y) * scale) / view.scale;
  view.scale = scale;
  moved();
}

// Show a rectangle of the picture, no larger than it is.
function show({ left, top, width, height }, margin = 24, least = SCALES[0]) {
  const space = room();
  const scale = Math.max(least, Math.min(1.15, (space.width - 2 * margin) / width, (space.height - 2 * margin) / height));
  const x = space.width / 2 - (left + width / 2) * scale;
  // What does not fit is seen from its top.
  const y = height * scale > space.height - margin ? margin - top * scale : space.height / 2 - (top + height / 2) * scale;
  glide({ x, y, scale });
}

const fit = (least = SCALES[0]) => show({ left: 0, top: 0, ...view.size }, 24, least);

// At first words can be read, also where the picture is then larger than a narrow screen.
const opening = () => fit(narrow.matches ? 0.5 : SCALES[0]);

// Bring a rectangle into view with the least movement.
function bring({ left, top, width, height }) {
  const space = room(), margin = 40;
  const wide = (space.width - 2 * margin) / width, high = (space.height - 2 * margin) / height;
  if (view.scale < 0.55 || view.scale > Math.min(wide, high)) {
    // Too small to read, or too large to be seen as a whole.
    const scale = Math.max(0.4, Math.min(1, wide, high));
    return glide({
      scale,
      x: space.width / 2 - (left + Math.min(width, space.width / scale) / 2) * scale,
      y: high >= scale ? space.height / 2 - (top + height / 2) * scale : margin - top * scale,
    });
  }
  const nudge = (start, length, whole) => Math.min(Math.max(start, margin), whole - margin - length);
  return glide({
    scale: view.scale,
    x: nudge(view.x + left * view.scale, width * view.scale, space.width) - left * view.scale,
    y: nudge(view.y + top * view.scale, height * view.scale, space.height) - top * view.scale,
  });
}

let gliding = 0;

function glide(to) {
  cancelAnimationFrame(gliding);
  if (calm.matches || !view.drawn) {
    Object.assign(view, to);
    return moved();
  }
  const from = { ...view }, began = performance.now();
  const turn = (now) => {
    const t = Math.min(1, Math.max(0, (now - began) / 180)), eased = t * (2 - t);
    for (const name of ["x", "y", "scale"]) view[name] = from[name] + (to[name] - from[name]) * eased;
    moved();
    if (t < 1) gliding = requestAnimationFrame(turn);
  };
  gliding = requestAnimationFrame(turn);
  return undefined;
}

function listenToPointers(clicked) {
  const held = new Map();
  let travelled = 0, target = null;
  const local = (event) => {
    const { left, top } = svg.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!held.size) [travelled, target] = [0, event.target];
    held.set(event.pointerId, local(event));
    cancelAnimationFrame(gliding);
  });
  svg.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId), now = local(event);
    if (!before) return;
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled > 4) svg.setPointerCapture(event.pointerId);
    if (other) {
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      const spanned = (point) => Math.max(20, Math.hypot(point.x - other.x, point.y - other.y));
      zoom(spanned(now) / spanned(before), middle);
    }
    if (travelled > 4) {
      view.x += (now.x - before.x) / held.size;
      view.y += (now.y - before.y) / held.size;
      moved();
    }
    held.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, (event) => {
    const last = held.delete(event.pointerId) && !held.size;
    if (last && end === "pointerup" && travelled <= 4) clicked(target, event);
  });
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 20 : 1;
    if (event.shiftKey && !event.ctrlKey) {
      view.x -= (event.deltaX || event.deltaY) * lines;
      moved();
    } else zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), local(event));
  }, { passive: false });
}
