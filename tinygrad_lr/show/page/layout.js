// The layout: layers from left to right, module by module.
//
// A block (the whole graph, or an open module) places its items in layers by longest path, and a block inside
// it is one item, so that modules never overlap. A line that passes a layer takes up a place in it. Heights are
// found by sweeping back and forth: each item moves to where its neighbours are, as far as the others let it.

const GAP = { across: 30, between: 12, line: 10, inside: 10, title: 26 };
const PASSED = 14; // a line that passes more layers is drawn straight
const LEFT = "left", RIGHT = "right"; // the borders of a block, where lines enter and leave

/** Places the blocks' items; returns the whole size, the place of each card and frame, and the points each line passes. */
function layOut(root, edges) {
  const chains = new Map();
  (function walk(block, chain) {
    block.links = [];
    for (const item of block.items) {
      if (item.items) walk(item, [...chain, item]);
      else chains.set(item.id, [...chain, item]);
    }
  })(root, [root]);
  for (const edge of edges) link(edge, chains.get(edge.from), chains.get(edge.to));
  arrange(root, false);
  const result = { width: root.w, height: root.h, cards: new Map(), frames: [], routes: new Map(edges.map((edge) => [edge, []])) };
  collect(root, 0, 0, result);
  return result;
}

/** Enter a line into all blocks it touches: those it leaves, the one it crosses, those it enters. */
function link(edge, from, to) {
  let common = 0;
  while (from[common] === to[common]) common++;
  const weight = edge.minor ? 0.1 : 6; // the longest path of the data is straight, others bend, parameters hang below it
  from[common - 1].links.push({ edge, weight, from: from[common], to: to[common] });
  for (let k = common; k < from.length - 1; k++) from[k].links.push({ edge, weight, from: from[k + 1], to: RIGHT });
  for (let k = common; k < to.length - 1; k++) to[k].links.push({ edge, weight, from: LEFT, to: to[k + 1] });
}

function arrange(block, framed = true) {
  for (const item of block.items) if (item.items) arrange(item);
  rank(block.items, block.links);
  const { layers, segments } = layered(block);
  stack(layers, segments);
  spread(block, layers, framed);
  block.entries = new Map();
  block.exits = new Map();
  for (const { edge, from, to, chain } of block.links) {
    if (from === LEFT) block.entries.set(edge, chain[0].y + port(chain[0], edge, true));
    if (to === RIGHT) block.exits.set(edge, chain.at(-1).y + port(chain.at(-1), edge, false));
  }
}

/** The height within an item at which a line enters or leaves it. */
function port(item, edge, entering) {
  return (entering ? item.entries : item.exits)?.get(edge) ?? item.h / 2;
}

/** Longest path from the left; then each item as far right as what needs it allows, so that the steps of a loop stand in a row. */
function rank(items, links) {
  const next = new Map(items.map((item) => [item, []]));
  const waiting = new Map(items.map((item) => [item, 0]));
  const fed = new Set(links.map(({ to }) => to));
  for (const { from, to } of links) {
    if (from === LEFT || to === RIGHT) continue;
    next.get(from).push(to);
    waiting.set(to, waiting.get(to) + 1);
  }
  for (const item of items) item.rank = 0;
  const left = new Set(items), order = [];
  const ready = items.filter((item) => !waiting.get(item));
  while (left.size) {
    const item = ready.length ? ready.shift() : left.values().next().value; // the latter breaks a cycle of modules
    if (!left.delete(item)) continue;
    order.push(item);
    for (const other of next.get(item)) {
      if (!left.has(other)) continue;
      other.rank = Math.max(other.rank, item.rank + 1);
      waiting.set(other, waiting.get(other) - 1);
      if (!waiting.get(other)) ready.push(other);
    }
  }
  for (const link of links) {
    const waits = link.from !== LEFT && link.to !== RIGHT && link.to.rank > link.from.rank + 1; // it is not what takes longest
    if (waits) link.weight = Math.min(link.weight, 0.3);
  }
  for (const item of order.reverse()) {
    const after = next.get(item).map((other) => other.rank);
    item.given = !fed.has(item) && !item.items;
    if (after.length) item.rank = Math.max(item.rank, Math.min(...after) - 1);
  }
}

/** The layers, with places for the lines that pass them, and the pieces of lines between neighbouring layers. */
function layered({ items, links }) {
  const layers = Array.from({ length: 1 + Math.max(0, ...items.map((item) => item.rank)) }, () => []);
  const segments = [];
  for (const link of links) {
    const start = link.from === LEFT ? -1 : link.from.rank;
    const end = link.to === RIGHT ? layers.length : link.to.rank;
    const middle = [];
    for (let k = start + 1; k < end && end - start <= PASSED; k++) {
      const place = { passing: true, edge: link.edge, w: 0, h: 4, weight: link.weight };
      layers[k].push(place);
      middle.push(place);
    }
    link.chain = [link.from, ...middle, link.to].filter((item) => item !== LEFT && item !== RIGHT);
    link.chain.slice(1).forEach((to, k) => segments.push({ from: link.chain[k], to, edge: link.edge, weight: link.weight }));
  }
  for (const item of items) layers[item.rank].push(item);
  return { layers, segments };
}

/** The heights: sweeps to the right and to the left, of which the first ones also sort. */
function stack(layers, segments) {
  const before = new Map(), after = new Map();
  for (const segment of segments) {
    (before.get(segment.to) ?? before.set(segment.to, []).get(segment.to)).push(segment);
    (after.get(segment.from) ?? after.set(segment.from, []).get(segment.from)).push(segment);
  }
  const most = (segments = []) => Math.max(0.001, ...segments.map(({ weight }) => weight));
  for (const layer of layers) {
    for (const item of layer) {
      item.wish = 0;
      item.weight ??= item.given ? 0.001 : Math.max(most(before.get(item)), most(after.get(item)));
    }
    settle(layer);
  }
  for (let sweep = 0; sweep < 12; sweep++) {
    const rightwards = sweep % 2 === 0;
    for (const layer of rightwards ? layers : [...layers].reverse()) {
      for (const item of layer) item.wish = wish(item, (rightwards ? before : after).get(item), rightwards);
      if (sweep < 6) layer.sort((a, b) => Boolean(a.given) - Boolean(b.given) || Math.round(a.wish + a.h / 2 - b.wish - b.h / 2));
      settle(layer);
    }
  }
}

/** Where an item would like to be: where its lines would be straight. */
function wish(item, segments, entering) {
  if (!segments) return item.y;
  let sum = 0, weights = 0;
  for (const { from, to, edge, weight } of segments) {
    const other = entering ? from : to;
    sum += weight * (other.y + port(other, edge, !entering) - port(item, edge, entering));
    weights += weight;
  }
  return sum / weights;
}

/** The places nearest to the wishes that keep order and distance: neighbours that collide share a mean. */
function settle(layer) {
  const groups = [];
  let offset = 0;
  for (const item of layer) {
    item.offset = offset;
    offset += item.h + (item.passing ? GAP.line : GAP.between);
    let group = { items: [item], weight: item.weight, place: item.wish - item.offset };
    while (groups.length && groups.at(-1).place > group.place) {
      const other = groups.pop();
      const weight = other.weight + group.weight;
      group = { items: [...other.items, ...group.items], weight, place: (other.place * other.weight + group.place * group.weight) / weight };
    }
    groups.push(group);
  }
  for (const group of groups) for (const item of group.items) item.y = group.place + item.offset;
}

/** From layers to coordinates inside the block, and the block's size. */
function spread(block, layers, framed) {
  const margin = framed ? GAP.inside : 0;
  const all = layers.flat();
  const top = Math.min(...all.map((item) => item.y));
  let x = margin;
  for (const layer of layers) {
    const width = Math.max(...layer.map((item) => item.w));
    for (const item of layer) {
      item.x = item.passing ? x : x + (width - item.w) / (item.given ? 1 : 2); // what depends on nothing stands close to what needs it
      item.span = width;
      item.y += margin + (framed ? GAP.title : 0) - top;
    }
    x += width + GAP.across;
  }
  block.placed = all;
  block.w = Math.max(x - GAP.across + margin, framed ? (block.titleWidth ?? 0) + 2 * margin : 0);
  block.h = Math.max(...all.map((item) => item.y + item.h)) + margin;
}

/** Absolute places of everything in a block. */
function collect(block, x, y, result) {
  for (const item of block.placed) {
    const [left, top] = [x + item.x, y + item.y];
    if (item.passing) result.routes.get(item.edge).push([left, top + item.h / 2], [left + item.span, top + item.h / 2]);
    else if (!item.items) result.cards.set(item.id, { x: left, y: top, w: item.w, h: item.h });
    else {
      result.frames.push({ id: item.id, x: left, y: top, w: item.w, h: item.h });
      collect(item, left, top, result);
    }
  }
}

/** A smooth path through points: level at each of them. */
function smooth(points) {
  let path = `M${points[0]}`;
  for (let k = 1; k < points.length; k++) {
    const [[x0, y0], [x1, y1]] = [points[k - 1], points[k]];
    const reach = x1 > x0 ? (x1 - x0) / 2 : 60;
    path += y0 === y1 && x1 > x0 ? `L${x1},${y1}` : `C${x0 + reach},${y0} ${x1 - reach},${y1} ${x1},${y1}`;
  }
  return path;
}
