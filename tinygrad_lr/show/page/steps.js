// Stepping: which values and gradients are known at a step, and the story told above the graph.

const PHASES = { start: "Start", forward: "Forward", turn: "Turn", backward: "Backward", end: "Done" };
const TURN = DATA.steps.findIndex((step) => step.phase === "turn");
const LAST = DATA.steps.length - 1;
const FIGURE = { rows: 6, columns: 6 };
const PACE = 1600; // milliseconds between steps while playing

const valueAt = new Map(), gradientAt = new Map(), passedAt = new Map(); // node, node, and "from to": the step at which it is known
for (const node of nodes.values()) if (!node.op) valueAt.set(node.id, 0);
DATA.steps.forEach(({ phase, node, from, done }, k) => {
  if (phase === "forward") valueAt.set(node, k);
  if (phase === "turn") gradientAt.set(node, k);
  if (phase !== "backward") return;
  if (done) gradientAt.set(node, k);
  for (const source of from) passedAt.set(`${node} ${source}`, k);
});

let now = 0;
let playing = null;

/** Whether a node's value and gradient are known by now. */
function stateOf(node) {
  return { value: (valueAt.get(node.id) ?? 0) <= now, grad: (gradientAt.get(node.id) ?? Infinity) <= now };
}

function goTo(step) {
  now = Math.min(LAST, Math.max(0, step));
  tellStep();
  paintStep();
  if (chosen) refreshPanel();
  followStep();
}

/** One step on; a folded module is passed in one. */
function walk(by) {
  const place = (k) => (DATA.steps[k].node ? shownAs(nodes.get(DATA.steps[k].node)) : "");
  let next = Math.min(LAST, Math.max(0, now + by));
  while (folded.has(place(next)) && next + by >= 0 && next + by <= LAST && place(next + by) === place(next) && DATA.steps[next + by].phase === DATA.steps[next].phase) next += by;
  goTo(next);
}

function refreshPanel() {
  const focused = document.activeElement;
  const held = find("panel").contains(focused);
  openPanel(chosen);
  if (!held) focused.focus({ preventScroll: true });
}

function tellStep() {
  const step = DATA.steps[now];
  const inside = step.node && folded.has(shownAs(nodes.get(step.node))) ? `Inside ${titleOf(clusters.get(shownAs(nodes.get(step.node))))}: ` : "";
  document.body.dataset.phase = step.phase;
  find("phase").textContent = PHASES[step.phase];
  find("tag").textContent = step.tag;
  find("count").textContent = `step ${now} of ${LAST}`;
  find("sentence").replaceChildren(inside, ...sentenceOf(step.sentence));
  find("formula").replaceChildren(...typeset(step.formula));
  find("worked").replaceChildren(...typeset(step.worked));
  find("figures").replaceChildren(...step.shown.map(figureOf));
  find("figures").scrollLeft = step.node ? find("figures").scrollWidth : 0; // what comes out stands last
  find("steps").value = now;
  find("steps").setAttribute("aria-valuetext", `${PHASES[step.phase]}, step ${now} of ${LAST}`);
  for (const id of ["first", "back"]) find(id).disabled = now === 0;
  for (const id of ["forward", "last"]) find(id).disabled = now === LAST;
  if (now === LAST) play(false);
}

/** A value or a gradient that takes part in this step, with its numbers. */
function figureOf([kind, id], k, all) {
  const node = nodes.get(id);
  const numbers = kind === "value" ? node.value : node.grad;
  if (!numbers) return "";
  const picture = numbers.table && numbers.table.length <= FIGURE.rows && numbers.table[0].length <= FIGURE.columns ? numberTable(numbers.table) : smallMap(numbers, kind);
  const caption = kind === "value" ? named(shortened(node.label, 16)) : typeset(gradientName(node));
  return element("figure", { class: `${kind}${k === all.length - 1 ? " answer" : ""}` }, element("figcaption", {}, ...caption), picture);
}

function smallMap(numbers, kind) {
  const canvas = heatMap(numbers, kind);
  canvas.style.width = `${canvas.width * 10}px`;
  canvas.style.height = `${Math.min(100, canvas.height * 10)}px`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "heat map");
  return canvas;
}

/** Colour cards and wires for this step. */
function paintStep() {
  const step = DATA.steps[now];
  const [active, ...sources] = cardsOf(step);
  find("graph").setAttribute("class", step.phase === "turn" ? "backward" : step.phase);
  for (const card of view.cards.values()) {
    const states = card.nodes.map(stateOf);
    const classes = card.group.classList;
    classes.toggle("computed", states.every(({ value }) => value));
    classes.toggle("graded", states.some(({ grad }) => grad));
    classes.toggle("now", card === active);
    classes.toggle("source", sources.includes(card));
    classes.toggle("chosen", Boolean(chosen) && card.id === shownAs(chosen));
    if (card.module) paintProgress(card, states);
  }
  for (const wire of view.wires) paintWire(wire, step);
}

function paintProgress({ group, w, nodes: held }, states) {
  const share = (done, all) => (all ? (done / all) * (w - 24) : 0);
  const computed = held.map((node, k) => (node.op ? states[k].value : null)).filter((known) => known !== null);
  const graded = held.map((node, k) => (gradientAt.has(node.id) ? states[k].grad : null)).filter((known) => known !== null);
  group.querySelector(".done-values").setAttribute("width", share(computed.filter(Boolean).length, computed.length));
  group.querySelector(".done-gradients").setAttribute("width", share(graded.filter(Boolean).length, graded.length));
}

function paintWire({ path, pairs }, step) {
  const forward = step.phase === "forward" && pairs.some(([from, to]) => to === step.node && step.from.includes(from));
  const backward = step.phase === "backward" && pairs.some(([from, to]) => from === step.node && step.from.includes(to));
  path.classList.toggle("forward", forward);
  path.classList.toggle("backward", backward);
  path.classList.toggle("carried", pairs.every(([, to]) => valueAt.get(to) <= now));
  path.classList.toggle("returned", pairs.some(([from, to]) => passedAt.get(`${from} ${to}`) <= now));
}

/** Keep what happens in view. */
function followStep() {
  lookAt(cardsOf(DATA.steps[now]));
}

function play(on) {
  clearInterval(playing);
  playing = on && now < LAST ? setInterval(() => walk(1), PACE) : null;
  find("play").setAttribute("aria-pressed", String(Boolean(playing)));
  find("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  find("play").querySelector("path").setAttribute("d", playing ? "M3 2h4v12H3zM9 2h4v12H9z" : "M1 2v12l7-6zM8 2v12l7-6z");
}
