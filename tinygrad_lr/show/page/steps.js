// Stepping: which values and gradients are known at a step, and the text above the graph.

const PHASES = { start: "Start", forward: "Forward", turn: "Turn", backward: "Backward", end: "Done" };
const TURN = DATA.steps.findIndex((step) => step.phase === "turn");
const LAST = DATA.steps.length - 1;
const LONG = 34; // characters beyond which a formula is set smaller
const SIZES = [[8, 8], [5, 5], [4, 4], [3, 3], [3, 2], [2, 2]]; // rows and columns of a figure: as many as there is room for
const MANY_FIGURES = 60; // beyond which they are small at once, without trying larger sizes
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
  if (now || location.hash) writeLink();
}

/** One step on or back; a folded module is passed in one step. */
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
  showTip(false);
  const inside = step.node && folded.has(shownAs(nodes.get(step.node))) ? `Inside ${titleOf(clusters.get(shownAs(nodes.get(step.node))))}: ` : "";
  document.body.dataset.phase = step.phase;
  find("phase").textContent = PHASES[step.phase];
  find("tag").textContent = step.tag;
  find("tag").hidden = !step.tag;
  find("tip").replaceChildren(...tipOf(step.tag));
  find("count").textContent = `step ${now} of ${LAST}`;
  find("sentence").replaceChildren(inside, ...sentenceOf(step.sentence));
  for (const [id, text] of [["formula", step.formula], ["worked", step.worked], ["total", step.total], ["total-worked", step.totalWorked]]) find(id).replaceChildren(...typeset(text));
  find("formula").classList.toggle("long", step.formula.length > LONG);
  tellFigures(step.shown);
  find("steps").value = now;
  find("steps").setAttribute("aria-valuetext", `${PHASES[step.phase]}, step ${now} of ${LAST}`);
  for (const id of ["first", "back"]) find(id).disabled = now === 0;
  for (const id of ["forward", "last"]) find(id).disabled = now === LAST;
  if (now === LAST) play(false);
}

/** The figures of this step, as large as fits into the height that the story has, else into what it may take from the graph, else above the controls. */
function tellFigures(groups) {
  const [story, figures] = [document.querySelector(".story"), find("figures")];
  const draw = ([rows, columns]) => figures.replaceChildren(...groups.map((group) => element("div", { class: "group" }, ...group.map((figure) => figureOf(figure, rows, columns)))));
  figures.replaceChildren();
  const rooms = [story.offsetHeight, 0.45 * innerHeight, document.querySelector("main").clientHeight - document.querySelector("#pass .controls").offsetHeight];
  const heights = [];
  for (const size of groups.flat().length > MANY_FIGURES ? [] : SIZES) {
    draw(size);
    heights.push(figures.scrollWidth <= figures.clientWidth ? story.offsetHeight : Infinity);
    if (heights.at(-1) <= rooms[0]) break;
  }
  const best = rooms.map((room) => heights.findIndex((height) => height <= room)).find((k) => k >= 0) ?? SIZES.length - 1;
  if (best !== heights.length - 1) draw(SIZES[best]);
  sayMore();
}

/** A value or a gradient that takes part in this step, with its numbers. */
function figureOf({ kind, node: id, name, numbers, sign }, rows, columns) {
  const node = nodes.get(id);
  const whole = numbers ?? (kind === "value" ? node.value : node.grad);
  if (!whole) return "";
  const excerpt = whole.excerpt ?? (numbers ? whole : { ...whole, shape: node.shape, rows: [...whole.table.keys()], columns: [...whole.table[0].keys()] });
  const [down, across] = [picked(excerpt.rows, rows + 1), picked(excerpt.columns, columns)]; // a row of dots would be as high as the row it replaces
  const size = excerpt.shape.length === 1 ? `${excerpt.shape} numbers` : excerpt.shape.join(" × ");
  const caption = kind === "value" && id ? named(shortened(name, 24)) : typeset(name);
  return element("figure", { class: kind },
    sign && element("span", { class: "sign" }, sign),
    element("figcaption", {}, ...caption, ...([...down, ...across].includes(null) ? [" ", element("small", {}, size)] : [])),
    excerptTable(excerpt.table, down, across));
}

/** The first rows and columns and the last, with dots for what is left out. */
function excerptTable(table, down, across) {
  const largest = largestIn(table);
  const gap = (text) => element("td", { class: "gap" }, text);
  const row = (i) => across.map((j) => (i === null || j === null ? gap(i === null ? (j === null ? "⋱" : "⋮") : "…") : element("td", tone(table[i][j], largest), table[i][j])));
  return element("table", {}, element("tbody", {}, ...down.map((i) => element("tr", {}, ...row(i)))));
}

/** Which of the places to show: all, or the first ones, null for what is left out, and the last one. */
function picked(places, most) {
  const all = [...places.keys()];
  const complete = places.at(-1) === places.length - 1;
  if (places.length <= most) return complete ? all : [...all.slice(0, -1), null, all.at(-1)];
  return [...all.slice(0, most - 1), null, all.at(-1)];
}

/** Show the button for the rest of the story where part of it lies below the edge. */
function sayMore() {
  find("more").hidden = document.querySelector(".story").getBoundingClientRect().bottom <= document.querySelector("#pass .controls").getBoundingClientRect().top + 1;
}

// -- the numbers of the equations, explained ------------------------------------------------------------------------

const TIPS = {
  BP1: ["BP1 is the error at the output: the slope of the loss at the output of the last layer, times the slope of its activation.", "δ = dL/da * s'(z)", "m is the number of samples, n that of outputs."],
  BP2: ["BP2 carries the error back by one layer: through the weights of the next layer, times the slope of the activation.", "δ = (δ w of the next layer) * s'(z)"],
  BP3: ["BP3 is the gradient of the biases: the error of their own layer, summed over the samples.", "dL/db = sum of the rows of δ"],
  BP4: ["BP4 is the gradient of the weights: the error of their own layer times what came in, summed over the samples.", "dL/dw = δ^T a of the layer before"],
};

const tipOf = (tag) => (TIPS[tag] ?? []).map((text, k) => element("p", { class: k === 1 ? "formula" : "" }, ...(k === 1 ? typeset(text) : [text])));

/** Show the tip below the formula that it explains, or hide it. */
function showTip(on) {
  const [tip, tag, formula] = [find("tip"), find("tag"), find("formula")];
  tip.hidden = !on || !tag.textContent;
  const top = formula.offsetTop + formula.offsetHeight + 4;
  tip.style.top = `${top}px`;
  tip.style.setProperty("--up", `${top - tag.offsetTop - tag.offsetHeight}px`);
}

/** The tip shows while the pointer is over the tag or the tip itself, or the tag has the focus; a tap focuses it. */
function listenToTag() {
  const [tag, tip] = [find("tag"), find("tip")];
  let leaving = null;
  for (const one of [tag, tip]) {
    one.addEventListener("pointerenter", () => {
      clearTimeout(leaving);
      showTip(true);
    });
    one.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType !== "touch") leaving = setTimeout(() => showTip(document.activeElement === tag), 200);
    });
  }
  tag.addEventListener("focus", () => showTip(true));
  tag.addEventListener("blur", () => showTip(false));
  tag.addEventListener("click", () => {
    tag.focus(); // which not every browser does by itself
    showTip(true);
  });
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

/** Keep the step in view. */
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
