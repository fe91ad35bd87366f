// The graph as a drawing: frames around modules, cards, wires; folding, and the keyboard.

const MANY = 150; // visible cards beyond which they show no numbers
const OPEN_AT_FIRST = 80; // cards; modules are folded until no more are left

const nodes = new Map(DATA.nodes.map((node, order) => [node.id, { ...node, order, sources: [], uses: [] }]));
const clusters = new Map(DATA.clusters.map((cluster) => [cluster.id, { ...cluster, held: [] }]));
for (const [from, to] of DATA.edges) {
  nodes.get(from).uses.push(nodes.get(to));
  nodes.get(to).sources.push(nodes.get(from));
}
// A parameter that is used again appears again, by its name alone, beside what uses it: so all parts of a step of a loop stand together.
const repeats = new Map();
for (const [from, to] of DATA.edges) {
  const [parameter, node] = [nodes.get(from), nodes.get(to)];
  if (parameter.kind === "parameter" && parameter.uses[0] !== node) repeats.set(`${from} ${to}`, { id: `${from} ${to}`, parameter, cluster: node.cluster });
}

/** What stands for a node where another uses it. */
const asUsed = (from, to) => repeats.get(`${from} ${to}`) ?? nodes.get(from);
for (const node of nodes.values()) for (const cluster of around(node.cluster)) cluster.held.push(node);

const folded = new Set();
let view = null; // what is drawn now: cards by id, wires, and the order in which the keyboard visits them

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

/** Fold whole levels, the innermost first, until few enough cards are left; folding the whole model would hide everything. */
function foldAtFirst() {
  const deepest = Math.max(0, ...[...clusters.values()].map(levelOf));
  for (let level = deepest; level >= 1; level--) {
    if (new Set([...nodes.values()].map(shownAs)).size <= OPEN_AT_FIRST) return;
    for (const cluster of clusters.values()) if (levelOf(cluster) === level) folded.add(cluster.id);
  }
}

// -- drawing ---------------------------------------------------------------------------------------------------

/** Draw everything again: at the start, and after folding. */
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

/** The edges between cards, each once; those of parameters and constants are minor: they bend around the others. */
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

/** All modules at once, but for the model as a whole where it has parts. */
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

// -- the keyboard: one stop for Tab, then up and down ---------------------------------------------------------------

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
