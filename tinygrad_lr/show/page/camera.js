// The camera over the graph: moving, zooming, fitting, and the pointers that control it.

let camera = { x: 0, y: 0, zoom: 1 };
const LEAST = 0.02, MOST = 4, READABLE = 1, MARGIN = 24, BELOW = 60; // the buttons stand below

const stageSize = () => find("stage").getBoundingClientRect();

function moveCamera(next, glide = true) {
  camera = next;
  find("stage").classList.toggle("gliding", glide && !calm());
  find("camera").style.transform = `translate(${camera.x}px, ${camera.y}px) scale(${camera.zoom})`;
}

function fittingZoom(width, height) {
  const { width: w, height: h } = stageSize();
  return Math.max(LEAST, Math.min(1.6, (w - 2 * MARGIN) / width, (h - MARGIN - BELOW) / height));
}

/** Show all of the graph. */
function fitAll() {
  const { width, height } = stageSize();
  const zoom = fittingZoom(view.width, view.height);
  moveCamera({ x: (width - view.width * zoom) / 2, y: (height - BELOW + MARGIN - view.height * zoom) / 2, zoom });
}

/** All of the graph where that is readable, else where the first step is (or the one that is shown). */
function showBeginning() {
  fitAll();
  if (camera.zoom >= READABLE) return;
  const { width, height } = stageSize();
  const beginning = shownPart(cardsOf(DATA.steps[now].node ? DATA.steps[now] : DATA.steps[1]), READABLE);
  const centred = (low, high, room) => (room - (low + high) * READABLE) / 2;
  const x = Math.min(MARGIN, centred(beginning.left, beginning.right, width));
  const y = view.height * READABLE <= height - BELOW ? centred(0, view.height, height - BELOW) : centred(beginning.top, beginning.bottom, height - BELOW);
  moveCamera({ x, y, zoom: READABLE }, false);
}

/** The cards of a step: its node, then what it comes from. */
function cardsOf({ phase, node, from }) {
  if (!node) return [];
  const things = [phase === "backward" ? asUsed(node, from[0]) : nodes.get(node), ...from.map((id) => (phase === "forward" ? asUsed(id, node) : nodes.get(id)))];
  return [...new Set(things.map((thing) => view.cards.get(shownAs(thing))))];
}

/** The rectangle around the first card and as many of the others as there is room for. */
function shownPart(cards, zoom) {
  const { width, height } = stageSize();
  let box = null;
  for (const { x, y, w, h } of cards) {
    const larger = box
      ? { left: Math.min(box.left, x), top: Math.min(box.top, y), right: Math.max(box.right, x + w), bottom: Math.max(box.bottom, y + h) }
      : { left: x, top: y, right: x + w, bottom: y + h };
    if (!box || ((larger.right - larger.left) * zoom <= width - 2 * MARGIN && (larger.bottom - larger.top) * zoom <= height - BELOW - MARGIN)) box = larger;
  }
  return box;
}

function zoomBy(factor, x = stageSize().width / 2, y = stageSize().height / 2, glide = false) {
  const zoom = Math.min(MOST, Math.max(LEAST, camera.zoom * factor));
  const ratio = zoom / camera.zoom;
  moveCamera({ x: x - (x - camera.x) * ratio, y: y - (y - camera.y) * ratio, zoom }, glide);
}

function screenPlace(id) {
  const card = view.cards.get(id) ?? { x: 0, y: 0 };
  return { x: camera.x + card.x * camera.zoom, y: camera.y + card.y * camera.zoom };
}

/** Bring cards into view, the first of them above all, with the smallest move that does it; the zoom stays. */
function lookAt(cards) {
  const { width, height } = stageSize();
  if (!cards.length || !width) return;
  const { zoom } = camera;
  const { left, top, right, bottom } = shownPart(cards, zoom);
  const moved = (at, low, high, from, to) => {
    if (at + high * zoom > to) at = to - high * zoom;
    return at + low * zoom < from ? from - low * zoom : at; // of what is too large the beginning
  };
  const [x, y] = [moved(camera.x, left, right, MARGIN, width - MARGIN), moved(camera.y, top, bottom, MARGIN, height - BELOW)];
  if (Math.hypot(x - camera.x, y - camera.y) >= 1) moveCamera({ x, y, zoom });
}

/** Dragging, the wheel, and two fingers. */
function listenToPointers() {
  const graph = find("graph");
  const pointers = new Map();
  let dragged = 0;
  graph.addEventListener("pointerdown", (event) => {
    if (!pointers.size) dragged = 0;
    pointers.set(event.pointerId, event);
  });
  graph.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
    dragged += Math.abs(dx) + Math.abs(dy);
    if (dragged < 5) return;
    if (!graph.hasPointerCapture(event.pointerId)) graph.setPointerCapture(event.pointerId);
    graph.classList.add("dragged");
    const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    if (other) pinch(event, last, other);
    else moveCamera({ ...camera, x: camera.x + dx, y: camera.y + dy }, false);
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    graph.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      graph.classList.remove("dragged");
    });
  }
  graph.addEventListener("click", (event) => dragged >= 5 && event.stopPropagation(), { capture: true });
  graph.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = stageSize();
    zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - left, event.clientY - top);
  }, { passive: false });
}

function pinch(event, last, other) {
  const distance = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
  const { left, top } = stageSize();
  zoomBy(distance(event) / (distance(last) || 1), (event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top);
}
