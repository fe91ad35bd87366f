// The graph as a drawing: cards, frames around modules, wires; folding, and the camera over it.

const MANY = 150; // visible cards beyond which they show no numbers
const OPEN_AT_FIRST = 80; // cards; modules are folded until no more are left
const CELL = { width: 50, height: 17, rows: 8, columns: 4, block: 84 };
const WORDS = { input: "input", parameter: "parameter", constant: "constant", output: "result", value: "value" };

const nodes = new Map(DATA.nodes.map((node, order) => [node.id, { ...node, order, sources: [], uses: [] }]));
const clusters = new Map(DATA.clusters.map((cluster) => [cluster.id, { ...cluster, held: [] }]));
for (const [from, to] of DATA.edges) {
  nodes.get(from).uses.push(nodes.get(to));
  nodes.get(to).sources.push(nodes.get(from));
}
// A parameter that is used again is there again by its name, beside what uses it: so a step of a loop has all of its parts in one place.
const repeats = new Map();
for (const [from, to] of DATA.edges) {
  const [parameter, node] = [nodes.get(from), nodes.get(to)];
  if (parameter.kind === "parameter" && parameter.uses[0] !== node) repeats.set(`${from} ${to}`, { id: `${from} ${to}`, parameter, cluster: node.cluster });
}

/** What stands for a node where another uses it. */
const asUsed = (from, to) => repeats.get(`${from} ${to}`) ?? nodes.get(from);
for (const node of nodes.values()) for (const cluster of around(node.cluster)) cluster.held.push(node);

const folded = new Set();
let view = null; // what is drawn now: cards by id, wires, and the keyboard's way through them

/** The clusters around something, innermost first. */
function around(id) {
  const found = [];
  for (let cluster = clusters.get(id); cluster; cluster = clusters.get(cluster.parent)) found.push(cluster);
  return found;
}

const levelOf = (cluster) => around(cluster.parent).length;
const titleOf = (cluster) => [cluster.path, cluster.title].filter(Boolean).join("  ");

/** The id of the card that shows a node or a repeated name: its own, or that of the outermost folded module around it. */
function shownAs(node) {
  return around(node.cluster).filter((cluster) => folded.has(cluster.id)).at(-1)?.id ?? node.id;
}

/** Fold whole levels, the innermost first, until few enough cards are left; a model as a whole is no use folded. */
function foldAtFirst() {
  const deepest = Math.max(0, ...[...clusters.values()].map(levelOf));
  for (let level = deepest; level >= 1; level--) {
    if (new Set([...nodes.values()].map(shownAs)).size <= OPEN_AT_FIRST) return;
    for (const cluster of clusters.values()) if (levelOf(cluster) === level) folded.add(cluster.id);
  }
}

// -- drawing ---------------------------------------------------------------------------------------------------

/** Draw everything anew: at the start, and after folding. */
function drawGraph() {
  const shown = new Map();
  for (const node of nodes.values()) {
    for (const source of node.sources) shown.set(shownAs(asUsed(source.id, node.id)), null);
    shown.set(shownAs(node), null);
  }
  const detailed = shown.size <= MANY;
  view = { cards: new Map(), wires: [], stops: [], width: 0, height: 0 };
  const root = { id: null, items: [] };
  const blocks = new Map([[null, root]]);
  const blockOf = (id) => {
    if (!blocks.has(id)) {
      const cluster = clusters.get(id);
      blocks.set(id, { id, items: [], titleWidth: 30 + 6.6 * Math.min(40, titleOf(cluster).length) });
      blockOf(cluster.parent).items.push(blocks.get(id));
    }
    return blocks.get(id);
  };
  for (const id of shown.keys()) {
    const thing = nodes.get(id) ?? repeats.get(id) ?? clusters.get(id);
    const card = nodes.has(id) ? nodeCard(thing, detailed) : repeats.has(id) ? repeatCard(thing) : moduleCard(thing);
    view.cards.set(id, card);
    blockOf(clusters.has(id) ? thing.parent : thing.cluster).items.push(card);
  }
  const edges = visibleEdges();
  const places = layOut(root, edges);
  Object.assign(view, { width: places.width, height: places.height });
  find("frames").replaceChildren(...places.frames.map(drawFrame));
  find("wires").replaceChildren(...edges.map((edge) => drawWire(edge, places.cards, places.routes.get(edge))));
  for (const [id, place] of places.cards) {
    Object.assign(view.cards.get(id), place);
    view.cards.get(id).group.setAttribute("transform", `translate(${place.x} ${place.y})`);
  }
  find("cards").replaceChildren(...[...view.cards.values()].map((card) => card.group));
  view.stops = [...view.cards.values()].map((card) => card.group);
  for (const title of find("frames").querySelectorAll(".title")) {
    const first = view.stops.indexOf(view.cards.get(shownAs(clusters.get(title.dataset.id).held[0]))?.group);
    view.stops.splice(Math.max(0, first), 0, title);
  }
  if (view.stops.length) stopAt(view.stops[0]);
}

/** Edges between cards, each once; those of parameters and constants bend out of the way. */
function visibleEdges() {
  const edges = new Map();
  for (const [from, to] of DATA.edges) {
    const [tail, head] = [nodes.get(from), nodes.get(to)];
    const edge = { from: shownAs(asUsed(from, to)), to: shownAs(head), minor: tail.kind === "parameter" || tail.kind === "constant", pairs: [] };
    const key = `${edge.from} ${edge.to}`;
    if (edge.from === edge.to) continue;
    if (!edges.has(key)) edges.set(key, edge);
    edges.get(key).pairs.push([from, to]);
  }
  return [...edges.values()];
}

/** A node's card: its symbol, what made it, and room for its numbers and its gradient. */
function nodeCard(node, detailed) {
  const values = detailed && node.value ? cellBlock(node.value, "value") : null;
  const gradients = detailed && node.grad ? cellBlock(node.grad, "gradient") : null;
  const label = shortened(node.label, 22);
  const about = shortened([node.op.replace("np.", "") || WORDS[node.kind], node.shape?.length ? node.shape.join("×") : ""].filter(Boolean).join(" · "), 26);
  const blocks = [[values, "values"], [gradients, "gradients"]].filter(([block]) => block);
  const beside = blocks.length === 2 && values.height >= values.width; // columns stand side by side, rows one below the other
  const room = beside ? values.width + 8 + gradients.width : Math.max(0, ...blocks.map(([block]) => block.width));
  const w = Math.max(74, 24 + label.length * (isSymbol(label) ? 11 : 7.6), 24 + about.length * 6.2, 20 + room);
  let [x, h] = [(w - room) / 2, 46];
  const group = cardGroup(node.id, `card ${node.kind}${isSymbol(label) ? "" : " plain"}`, spoken(node));
  const parts = [drawn("text", { class: "symbol", x: 12, y: 21 }, ...(isSymbol(label) ? typesetInDrawing(label) : [label])), drawn("text", { class: "about", x: 12, y: 37 }, about)];
  for (const [block, name] of blocks) {
    block.group.setAttribute("class", `cells ${name}`);
    block.group.setAttribute("transform", `translate(${beside ? x : (w - block.width) / 2} ${h})`);
    parts.push(block.group);
    if (beside) x += block.width + 8;
    else h += block.height + 7;
  }
  h += beside ? values.height + 10 : blocks.length ? 3 : 0;
  group.append(drawn("rect", { class: "body", width: w, height: h, rx: 10 }), ...parts, drawn("rect", { class: "ring", x: -5, y: -5, width: w + 10, height: h + 10, rx: 14 }));
  group.addEventListener("click", () => openPanel(node));
  return { id: node.id, w, h, group, nodes: [node] };
}

/** The name of a parameter that stands elsewhere with its numbers. */
function repeatCard({ id, parameter }) {
  const label = shortened(parameter.label, 22);
  const [w, h] = [24 + label.length * (isSymbol(label) ? 11 : 7.6), 32];
  const group = cardGroup(id, `card parameter repeat${isSymbol(label) ? "" : " plain"}`, `${parameter.label} again, ${parameter.name}`);
  group.append(
    drawn("rect", { class: "body", width: w, height: h, rx: 10 }),
    drawn("text", { class: "symbol", x: 12, y: 21 }, ...(isSymbol(label) ? typesetInDrawing(label) : [label])),
    drawn("rect", { class: "ring", x: -5, y: -5, width: w + 10, height: h + 10, rx: 14 }),
  );
  group.addEventListener("click", () => openPanel(parameter));
  return { id, w, h, group, nodes: [parameter] };
}

/** A folded module's card, with a line for how far values and gradients have come inside. */
function moduleCard(cluster) {
  const operations = cluster.held.filter((node) => node.op).length;
  const parameters = cluster.held.filter((node) => node.kind === "parameter").reduce((sum, node) => sum + node.shape.reduce((a, b) => a * b, 1), 0);
  const title = shortened(titleOf(cluster), 30);
  const about = `${operations} operation${operations === 1 ? "" : "s"}` + (parameters ? `, ${parameters.toLocaleString("en")} parameters` : "");
  const w = 24 + Math.max(title.length * 7.6, about.length * 5.9);
  const group = cardGroup(cluster.id, "card module plain", `module ${titleOf(cluster)}, folded, ${about}`);
  group.setAttribute("aria-expanded", "false");
  const bar = (y, kind) => [drawn("rect", { class: "progress", x: 12, y, width: w - 24, height: 3, rx: 1.5 }), drawn("rect", { class: `progress done-${kind}`, x: 12, y, width: 0, height: 3, rx: 1.5 })];
  group.append(
    drawn("rect", { class: "body", width: w, height: 64, rx: 10 }),
    drawn("text", { class: "symbol", x: 12, y: 21 }, title),
    drawn("text", { class: "about", x: 12, y: 37 }, about),
    ...bar(46, "values"), ...bar(53, "gradients"),
    drawn("rect", { class: "ring", x: -5, y: -5, width: w + 10, height: 74, rx: 14 }),
  );
  group.addEventListener("click", () => setFolded(cluster.id, false));
  return { id: cluster.id, w, h: 64, group, nodes: cluster.held, module: cluster };
}

function cardGroup(id, classes, label) {
  return drawn("g", { class: classes, role: "button", tabindex: -1, "aria-label": label, "data-id": id });
}

/** What a screen reader says of a node. */
function spoken(node) {
  const shape = node.shape?.length ? `shape ${node.shape.join(" by ")}` : "a single number";
  return [node.label, node.name !== node.label ? node.name : "", node.op || WORDS[node.kind], node.shape ? shape : ""].filter(Boolean).join(", ");
}

/** An array on a card: its numbers where they are few, else a small heat map. */
function cellBlock(numbers, kind) {
  const { table } = numbers;
  if (!table || table.length > CELL.rows || table[0].length > CELL.columns) return picturedBlock(numbers, kind);
  const largest = largestIn(table);
  const group = drawn("g");
  table.forEach((row, i) =>
    row.forEach((text, j) => {
      const [x, y] = [j * CELL.width, i * CELL.height];
      group.append(drawn("rect", { x, y, width: CELL.width - 2, height: CELL.height - 2, rx: 3, ...tone(text, largest) }));
      group.append(drawn("text", { x: x + CELL.width - 6, y: y + 11.5 }, brief(text)));
    }),
  );
  return { group, width: table[0].length * CELL.width - 2, height: table.length * CELL.height - 2 };
}

function picturedBlock(numbers, kind) {
  const canvas = heatMap(numbers, kind);
  const length = (cells) => Math.min(CELL.block, Math.max(CELL.height, 9 * cells));
  const box = { width: Math.max(40, length(canvas.width)), height: length(canvas.height) };
  const marked = box.width / canvas.width >= 7 && box.height / canvas.height >= 7; // there is room for signs
  const image = drawn("image", { ...box, href: (marked ? heatMap(numbers, kind, true) : canvas).toDataURL(), preserveAspectRatio: "none", style: "image-rendering: pixelated" });
  return { group: drawn("g", {}, drawn("rect", box), image), ...box };
}

/** A number for a cell, in at most six characters where that is possible. */
function brief(text) {
  const number = Number(text);
  if (text.length <= 6 || !Number.isFinite(number)) return text;
  const shorter = [3, 2, 1].map((digits) => (Math.abs(number) < 1e-3 ? number.toExponential(digits - 1) : String(Number(number.toPrecision(digits)))));
  return shorter.find((candidate) => candidate.length <= 6) ?? shorter[2];
}

function drawFrame({ id, x, y, w, h }) {
  const cluster = clusters.get(id);
  const text = shortened(titleOf(cluster), Math.max(6, Math.floor((w - 30) / 6.4)));
  const title = drawn("g", { class: "title", role: "button", tabindex: -1, "aria-expanded": "true", "aria-label": `module ${titleOf(cluster)}`, "data-id": id },
    drawn("rect", { x: 4, y: 4, width: w - 8, height: 24, rx: 8 }), drawn("text", { x: 14, y: 20 }, `▾ ${text}`));
  title.addEventListener("click", () => setFolded(id, true));
  return drawn("g", { class: "frame", transform: `translate(${x} ${y})` }, drawn("rect", { width: w, height: h, rx: 14 }), title);
}

function drawWire(edge, places, route) {
  const [a, b] = [places.get(edge.from), places.get(edge.to)];
  const points = [[a.x + a.w, a.y + a.h / 2], ...route.sort((p, q) => p[0] - q[0]), [b.x - 2, b.y + b.h / 2]];
  const path = drawn("path", { class: "wire", d: smooth(points) });
  view.wires.push({ ...edge, path });
  return path;
}

// -- folding ----------------------------------------------------------------------------------------------------

/** Fold or unfold a module; it stays where it is on the screen. */
function setFolded(id, fold) {
  const held = clusters.get(id).held[0];
  const before = screenPlace(shownAs(held));
  if (fold) folded.add(id);
  else folded.delete(id);
  drawGraph();
  paintStep();
  const after = screenPlace(shownAs(held));
  moveCamera({ ...camera, x: camera.x + before.x - after.x, y: camera.y + before.y - after.y }, false);
  nameFoldButton();
  focusOn(fold ? view.cards.get(id)?.group : find("frames").querySelector(`[data-id="${id}"]`));
}

/** All modules at once; a model as a whole is no use folded, its parts are. */
function foldAll() {
  const fold = !folded.size;
  folded.clear();
  const deepest = Math.max(...[...clusters.values()].map(levelOf));
  if (fold) for (const cluster of clusters.values()) if (levelOf(cluster) >= Math.min(1, deepest)) folded.add(cluster.id);
  drawGraph();
  paintStep();
  nameFoldButton();
  showBeginning();
}

function nameFoldButton() {
  find("fold").hidden = !clusters.size;
  find("fold").textContent = folded.size ? "Unfold modules" : "Fold modules";
}

/** Unfold whatever hides a node. */
function reveal(node) {
  const hiding = around(node.cluster).filter((cluster) => folded.has(cluster.id));
  if (!hiding.length) return;
  for (const cluster of hiding) folded.delete(cluster.id);
  drawGraph();
  paintStep();
  nameFoldButton();
}

// -- the keyboard's way through the graph: one stop for Tab, then up and down -------------------------------------

function stopAt(stop) {
  for (const other of find("graph").querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", -1);
  stop.setAttribute("tabindex", 0);
}

function focusOn(stop) {
  if (!stop) return;
  stopAt(stop);
  stop.focus({ preventScroll: true });
}

function moveFocus(by) {
  const at = view.stops.indexOf(document.activeElement);
  const stop = view.stops[Math.min(view.stops.length - 1, Math.max(0, at + by))];
  focusOn(stop);
  const card = view.cards.get(stop.dataset.id);
  if (card) lookAt([card]);
}

// -- the camera ---------------------------------------------------------------------------------------------------

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

/** The box around the first card and as many of the others as there is room for. */
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
    return at + low * zoom < from ? from - low * zoom : at; // the beginning of what is too large
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
