// The cards that the graph consists of: nodes, repeated parameters, folded modules, and the numbers on them.

const CELL = { width: 50, height: 17, rows: 8, columns: 4, block: 84 };
const WORDS = { input: "input", parameter: "parameter", constant: "constant", output: "result", value: "value" };

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

/** The name of a parameter whose numbers are shown elsewhere. */
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

/** What a screen reader says about a node. */
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
