// The panel of a node: what made it, its numbers, its gradient, and the line of code.

let chosen = null;

function openPanel(node) {
  chosen = node;
  const { value, grad } = stateOf(node);
  const panel = find("panel");
  panel.hidden = false;
  panel.setAttribute("aria-label", `Node ${node.label}`);
  panel.replaceChildren(
    element("h2", { tabindex: -1 }, element("span", {}, ...named(node.label)), element("button", { id: "close", "aria-label": "Close", click: closePanel }, "✕")),
    element("p", { class: "small" }, [node.name !== node.label ? node.name : "", node.op || WORDS[node.kind], node.settings, shapeInWords(node)].filter(Boolean).join(" · ")),
    ...around(node.cluster).slice(0, 1).map((cluster) => element("p", { class: "small" }, `in ${titleOf(cluster)}`)),
    ...(node.formula ? [element("p", { class: "formula" }, ...typeset(node.formula))] : []),
    ...numberSection("Value", "value", node.value, value ? "" : "not computed yet at this step"),
    ...(node.grad ? numberSection(["Gradient ", ...typeset(node.gradientName)], "gradient", node.grad, grad ? "" : "not known yet at this step") : []),
    ...(node.equation && grad ? equationSection(node) : []),
    ...lineSection(node.line),
    ...linkSection("Made from", node.sources),
    ...linkSection("Used by", node.uses),
  );
  paintStep();
  panel.scrollTop = 0;
  panel.querySelector("h2").focus({ preventScroll: true });
  const card = view.cards.get(shownAs(node));
  if (card) lookAt([card]);
}

function closePanel() {
  if (!chosen) return;
  const card = view.cards.get(shownAs(chosen));
  chosen = null;
  find("panel").hidden = true;
  paintStep();
  focusOn(card?.group);
}

function shapeInWords(node) {
  if (!node.shape) return "";
  return `${node.shape.length ? node.shape.join(" × ") : "a single number"}, ${node.dtype}`;
}

/** A heading with numbers below: a table, or a heat map with a histogram. */
function numberSection(title, kind, numbers, missing) {
  const head = element("h3", { class: kind }, ...[title].flat());
  if (missing) return [head, element("p", { class: "small" }, missing)];
  if (!numbers) return [head, element("p", { class: "small" }, "no numbers to show")];
  return [head, element("div", { class: kind }, ...(numbers.table ? [tableOf(numbers.table)] : picturesOf(numbers, kind)))];
}

function numberTable(table) {
  const largest = largestIn(table);
  const rows = table.map((row) => element("tr", {}, ...row.map((text) => element("td", tone(text, largest), text))));
  return element("table", {}, element("tbody", {}, ...rows));
}

function tableOf(table) {
  const label = `${table.length} by ${table[0].length} numbers`;
  return element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, numberTable(table));
}

function picturesOf(numbers, kind) {
  const words = numbers.short.map(([name, text]) => `${name} ${text}`).join(", ");
  const canvas = heatMap(numbers, kind, true);
  for (const [name, text] of [["class", "map"], ["role", "img"], ["aria-label", `heat map; ${words}`]]) canvas.setAttribute(name, text);
  canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
  const { counts, low, high } = numbers.histogram;
  const highest = Math.max(1, ...counts);
  const bars = counts.map((count, k) => drawn("rect", { x: k, y: 1 - count / highest, width: 0.9, height: count / highest }));
  return [
    element("p", { class: "small" }, words),
    canvas,
    element("p", { class: "small" }, `the strongest colour is ${numbers.map.largest} away from 0`),
    drawn("svg", { class: "histogram", viewBox: `0 0 ${counts.length || 1} 1`, preserveAspectRatio: "none", role: "img", "aria-label": `histogram from ${low} to ${high}, counts ${counts.join(" ")}` }, ...bars),
    element("p", { class: "ends" }, element("span", {}, low), element("span", {}, high)),
  ];
}

function equationSection({ equation, check }) {
  const formula = element("p", { class: "formula" }, ...typeset(equation));
  if (check === null) return [formula];
  const verdict = Number(check) ? `differs from autodiff by at most ${check}` : "agrees with autodiff to the last digit";
  return [formula, element("p", { class: "small" }, `Computed independently, by this equation in NumPy, it ${verdict}.`)];
}

function lineSection(line) {
  if (!line) return [];
  return [element("h3", {}, "Your code"), element("p", { class: "small" }, `${line.file}, line ${line.number}`), element("code", {}, line.text)];
}

function linkSection(title, others) {
  const distinct = [...new Set(others)];
  if (!distinct.length) return [];
  const go = (node) => () => {
    reveal(node);
    openPanel(node);
  };
  const buttons = distinct.slice(0, 12).map((node) => element("button", { click: go(node) }, ...named(shortened(node.label, 24))));
  return [element("h3", {}, title), element("div", { class: "links" }, ...buttons, ...(distinct.length > 12 ? [`and ${distinct.length - 12} more`] : []))];
}
