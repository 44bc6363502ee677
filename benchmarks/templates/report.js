"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
window.addEventListener("error", (event) => { root.dataset.error = event.message; });

// --- elements ---

const SVG = "http://www.w3.org/2000/svg";
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const at = (id) => document.getElementById(id);
const put = (id, ...children) => at(id).replaceChildren(...children.flat(Infinity).filter((child) => child !== null));

function choice(text, options, value, change) {
  const select = h("select", { "aria-label": text, onchange: () => change(select.value) },
    options.map(([key, label]) => h("option", { value: key, selected: String(key) === String(value) }, label)));
  return h("label", {}, h("span", {}, text), select);
}

// --- names, numbers and colours ---

const names = [...new Set(data.entries.map((entry) => entry.name))];
// Golden-angle hues stay apart however many there are, neighbours among them differ in lightness, too; it follows the theme.
const colour = (name) => {
  const place = names.indexOf(name);
  const hue = Math.round(place * 137.5 + 260) % 360;
  return `light-dark(oklch(${0.42 + 0.12 * (place % 3)} 0.16 ${hue}), oklch(${0.66 + 0.1 * (place % 3)} 0.14 ${hue}))`;
};
const shortId = (id) => id.replace(/^Text/, "").replace(/-v\d+$/, "");
const manyLevels = data.levels.length > 1;
const taskName = (task) => shortId(task.id) + (manyLevels ? ` ${task.level}` : "");
const whole = (value) => String(Math.round(value) + 0);
const interval = ([mean, low, high]) => `${whole(mean)} [${whole(low)}, ${whole(high)}]`;
const narrow = ([mean, low, high]) => [whole(mean), h("span", { class: "wide" }, ` [${whole(low)}, ${whole(high)}]`)];
const share = (value) => `${Math.round(100 * value)}%`;
const large = (value) => value === null ? "" : value >= 1e6 ? `${(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${Math.round(value / 1e3)}k` : whole(value);
function heat(score) {
  if (score >= 0) return `color-mix(in oklab, var(--heat) ${Math.min(score, 100) * 0.8}%, var(--card))`;
  return `color-mix(in oklab, var(--cold) ${Math.min(-score, 100) * 0.8}%, var(--card))`;
}
const dot = (name) => h("span", { class: "dot", style: `background:${colour(name)}` });

// --- state ---

const state = { level: "all", family: "all", way: data.ways[0], hidden: new Set(), x: 0, y: 3,
  who: null, task: null, episode: 0, beside: "" };
const slice = () => data.slices[`${state.level}|${state.family}|${state.way}`] || { rows: [], profiles: {} };
const shown = (entry) => !state.hidden.has(data.entries[entry].name);
const rows = () => slice().rows.filter((row) => shown(row.entry));
const tasks = () => data.tasks.map((task, place) => ({ ...task, place })).filter((task) =>
  (state.level === "all" || task.level === state.level) && (state.family === "all" || task.family === state.family));

// --- the tip ---

const tip = at("tip");
function tell(target, content) {
  const show = () => {
    tip.replaceChildren(...[content()].flat(Infinity));
    tip.hidden = false;
    const box = target.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.max(6, Math.min(box.left, innerWidth - own.width - 6));
    const top = box.bottom + own.height + 8 > innerHeight ? box.top - own.height - 6 : box.bottom + 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(6, top)}px`;
  };
  target.addEventListener("mouseenter", show);
  target.addEventListener("focus", show);
  target.addEventListener("click", show);
  target.addEventListener("mouseleave", () => { tip.hidden = true; });
  target.addEventListener("blur", () => { tip.hidden = true; });
  return target;
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// --- filters ---

function drawFilters() {
  const all = (values) => [["all", "all"], ...values.map((value) => [value, value])];
  const set = (name) => (value) => { state[name] = value; draw(); };
  const boxes = names.map((name) => {
    const box = h("input", { type: "checkbox", checked: !state.hidden.has(name),
      onchange: () => { state.hidden[box.checked ? "delete" : "add"](name); draw(); } });
    return h("label", {}, box, dot(name), name);
  });
  const toggleAll = (hide) => h("button", { onclick: () => {
    state.hidden = new Set(hide ? names : []); drawFilters(); at("filters").querySelector("details").open = true; draw();
  } }, hide ? "none" : "all");
  put("filters", h("div", {},
    manyLevels ? choice("level", all(data.levels), state.level, set("level")) : null,
    data.families.length > 1 ? choice("family", [["all", "all families"], ...data.families.map((each) => [each, each])], state.family, set("family")) : null,
    data.ways.length > 1 ? choice("policies play", data.ways.map((each) => [each, each]), state.way, set("way")) : null,
    h("details", { class: "who" }, h("summary", {}, "contestants ▾"), h("div", {}, h("div", { class: "controls" }, toggleAll(false), toggleAll(true)), boxes)),
    h("button", { class: "theme", "aria-label": "light or dark", onclick: () => {
      const dark = getComputedStyle(root).colorScheme === "dark" ||
        (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
      root.style.colorScheme = dark ? "light" : "dark";
    } }, "◐")));
}

// --- leaderboard ---

function whisker(found, low, high, name) {
  const x = (value) => 100 * (Math.max(low, Math.min(high, value)) - low) / (high - low);
  const line = (a, b, y, width, tone) => s("line", { x1: `${a}%`, x2: `${b}%`, y1: y, y2: y, stroke: tone, "stroke-width": width, "stroke-linecap": "round" });
  return s("svg", { role: "img", "aria-label": interval(found) },
    [0, 100].map((mark) => s("line", { x1: `${x(mark)}%`, x2: `${x(mark)}%`, y1: 0, y2: "100%", stroke: "var(--line)" })),
    s("rect", { x: `${Math.min(x(0), x(found[0]))}%`, width: `${Math.abs(x(found[0]) - x(0))}%`, y: "30%", height: "40%", rx: 2, fill: colour(name), opacity: 0.35 }),
    line(x(found[1]), x(found[2]), "50%", 3, colour(name)),
    s("circle", { cx: `${x(found[0])}%`, cy: "50%", r: 4.5, fill: colour(name) }));
}
function drawPlaces() {
  const found = rows();
  const low = Math.max(-100, Math.min(-5, ...found.map((row) => row.iqm[1])));
  const high = Math.min(200, Math.max(105, ...found.map((row) => row.iqm[2])));
  const priced = found.some((row) => row.cost !== null);
  const body = found.map((row, place) => {
    const entry = data.entries[row.entry];
    const part = row.tasks < row.of;
    return h("tr", { class: part ? "part" : null, title: part ? `played ${row.tasks} of ${row.of} environments` : null },
      h("td", { class: "wide" }, whole(place + 1)),
      h("td", { class: "left who", title: entry.name }, dot(entry.name), part ? " * " : " ", entry.name),
      h("td", { class: "bar" }, whisker(row.iqm, low, high, entry.name)),
      h("td", { class: "num" }, narrow(row.iqm)),
      h("td", { class: "num wide" }, interval(row.mean)),
      h("td", { class: "num wide" }, interval(row.gap)),
      h("td", { class: "num" }, row.success === null ? "–" : share(row.success)),
      h("td", { class: "num wide" }, `${row.tasks} × ${whole(row.runs / row.tasks)}`),
      h("td", { class: "num wide" }, large(row.trained)),
      h("td", { class: "num wide" }, row.seconds === null ? "" : `${large(row.seconds)} s`),
      h("td", { class: "num wide" }, large(row.said)),
      priced ? h("td", { class: "num wide" }, row.cost === null ? "" : `$${row.cost.toFixed(2)}`) : null);
  });
  const heads = [["", "wide"], ["contestant", "left"], ["IQM", "left"], ["", ""], ["mean", "wide"], ["optimality gap", "wide"], ["success", ""],
    ["tasks × runs", "wide"], ["trained on", "wide"], ["training", "wide"], ["tokens said", "wide"], ...(priced ? [["cost", "wide"]] : [])];
  put("places", h("table", {}, h("thead", {}, h("tr", {}, heads.map(([text, kind]) => h("th", { scope: "col", class: kind }, text)))), h("tbody", {}, body)),
    found.some((row) => row.tasks < row.of) ? h("p", { class: "soft" }, "* did not play all of these environments: its figures are of those that it did.") : "");
}

// --- matrix ---

function drawHeat() {
  const columns = tasks();
  const body = rows().map((row) => {
    const entry = data.entries[row.entry];
    return h("tr", {}, h("th", { scope: "row", title: entry.name }, entry.name), columns.map((task) => {
      const cell = data.matrix[row.entry][task.place];
      if (cell === null) return h("td", {}, h("span", { class: "field" }, "·"));
      const [score, success, ret, runs] = cell;
      const field = h("button", { class: "field", style: `background:${heat(score[0])}`, "aria-label": `${entry.name} on ${taskName(task)}: ${interval(score)}`,
        onclick: () => { Object.assign(state, { who: row.entry, task: task.place, episode: 0 }); drawTranscripts(); at("transcripts").scrollIntoView({ behavior: "smooth" }); } }, whole(score[0]));
      return h("td", {}, tell(field, () => [h("strong", {}, `${entry.name}, ${taskName(task)}`), `\nscore ${interval(score)}\nreturn ${ret.toFixed(2)}` +
        (success === null ? "" : `\nsuccess ${share(success)}`) + `\n${runs} ${runs === 1 ? "run" : "runs"}`]));
    }));
  });
  const heads = columns.map((task) => tell(h("th", { scope: "col" }, h("div", {}, taskName(task))), () => [h("strong", {}, `${task.id}, ${task.level}`), `\n${task.about}`]));
  put("heat", h("table", {}, h("thead", {}, h("tr", {}, h("th", {}), heads)), h("tbody", {}, body)));
}

// --- charts ---

function chart(width, height, xs, ys, ticks, draw) {
  const [left, right, top, bottom] = [34, 8, 6, 18];
  const x = (value) => left + (width - left - right) * (value - xs[0]) / (xs[1] - xs[0] || 1);
  const y = (value) => height - bottom - (height - top - bottom) * (value - ys[0]) / (ys[1] - ys[0] || 1);
  const grid = ticks.y.map((tick) => [s("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), stroke: "var(--line)" }),
    s("text", { x: left - 4, y: y(tick) + 3, "text-anchor": "end" }, ticks.name ? ticks.name(tick) : String(tick))]);
  const below = ticks.x.map((tick, place) => s("text", { x: x(tick), y: height - 4, "text-anchor": place === 0 ? "start" : place === ticks.x.length - 1 ? "end" : "middle" }, large(tick)));
  return s("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img" }, grid, below, draw(x, y));
}
const path = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const band = (upper, lower, name, among) => s("path", { d: `${path(upper)}${path([...lower].reverse()).replace("M", "L")}Z`, fill: colour(name), opacity: 0.13 * Math.min(1, 4 / among) });

function between(points, x, column, kind) {
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    if (x <= b[kind]) return a[column] + (b[column] - a[column]) * (b[kind] === a[kind] ? 1 : (x - a[kind]) / (b[kind] - a[kind]));
  }
  return points[points.length - 1][column];
}
function curveChart(task) {
  const runs = data.curves[task.place].filter((run) => !state.hidden.has(run.name) && run.points.every((point) => point[state.y] !== null));
  if (!runs.length) return null;
  const end = Math.max(...runs.flatMap((run) => run.points.map((point) => point[state.x])));
  const heights = runs.flatMap((run) => run.points.map((point) => point[state.y]));
  const of = state.y === 3 ? [Math.max(-100, Math.min(0, ...heights)), Math.min(200, Math.max(100, ...heights))] : [0, 1];
  const clamp = (value) => Math.max(of[0], Math.min(of[1], value));
  const marks = state.y === 3 ? [0, 50, 100] : [0, 0.5, 1];
  const lines = (x, y) => [
    (state.y === 3 ? [0, 100] : []).map((mark) => s("line", { x1: x(0), x2: x(end), y1: y(mark), y2: y(mark), stroke: "var(--soft)", "stroke-dasharray": "4 3" })),
    [...new Set(runs.map((run) => run.name))].map((name) => {
      const own = runs.filter((run) => run.name === name).map((run) => run.points);
      const from = Math.max(...own.map((points) => points[0][state.x])), to = Math.min(...own.map((points) => points[points.length - 1][state.x]));
      const places = Array.from({ length: 31 }, (_, i) => from + (to - from) * i / 30);
      const at = places.map((place) => own.map((points) => clamp(between(points, place, state.y, state.x))));
      const mean = places.map((place, i) => [x(place), y(at[i].reduce((a, b) => a + b) / own.length)]);
      const edge = (pick) => places.map((place, i) => [x(place), y(pick(...at[i]))]);
      if (from === to) return s("circle", { cx: x(from), cy: mean[0][1], r: 3, fill: colour(name) }, s("title", {}, name));
      const line = s("path", { d: path(mean), fill: "none", stroke: colour(name), "stroke-width": 1.8, "stroke-linejoin": "round" }, s("title", {}, name));
      return own.length > 1 ? [band(edge(Math.max), edge(Math.min), name, 4), line] : line;
    })];
  return h("div", { class: "card" }, h("h3", {}, taskName(task)), chart(300, 170, [0, end], of, { x: [0, end / 2, end], y: marks }, lines));
}
function drawCurves() {
  put("curve-controls", choice("against", [[0, "tokens"], [1, "episodes"], [2, "seconds"]], state.x, (value) => { state.x = Number(value); drawCurves(); }),
    choice("show", [[3, "score"], [4, "success rate"]], state.y, (value) => { state.y = Number(value); drawCurves(); }));
  const charts = tasks().map(curveChart).filter((each) => each !== null);
  const learners = [...new Set(tasks().flatMap((task) => data.curves[task.place].map((run) => run.name)))].filter((name) => !state.hidden.has(name));
  put("legend", learners.map((name) => h("span", {}, dot(name), name)));
  put("curve-grid", charts.length ? charts : h("p", { class: "soft" }, "No contestant here has trained."));
}

function drawProfiles() {
  const found = rows().map((row) => [data.entries[row.entry].name, slice().profiles[row.entry]]);
  const xs = data.thresholds, ends = [xs[0], xs[xs.length - 1]];
  const wide = innerWidth > 700;
  const lines = (x, y) => [[0, 100].map((mark) => s("line", { x1: x(mark), x2: x(mark), y1: y(0), y2: y(1), stroke: "var(--soft)", "stroke-dasharray": "4 3" })),
    found.map(([name, [value, low, high]]) => {
      const points = (curve) => curve.map((each, i) => [x(xs[i]), y(each)]);
      return [band(points(high), points(low), name, found.length),
        s("path", { d: path(points(value)), fill: "none", stroke: colour(name), "stroke-width": 1.8 }, s("title", {}, name))];
    })];
  put("profile", h("div", { class: "legend" }, found.map(([name]) => h("span", {}, dot(name), name))),
    chart(wide ? 900 : 380, wide ? 300 : 240, ends, [0, 1], { x: [-20, 0, 50, 100, 120], y: [0, 0.25, 0.5, 0.75, 1], name: share }, lines));
}

function drawFamilies() {
  const which = state.family === "all" ? data.families : [state.family];
  put("family-grid", which.map((family) => {
    const key = data.families.length > 1 ? family : "all";
    const found = data.slices[`${state.level}|${key}|${state.way}`];
    const own = found ? found.rows.filter((row) => shown(row.entry)) : [];
    if (!own.length) return null;
    const low = Math.max(-60, Math.min(-5, ...own.map((row) => row.iqm[1]))), high = Math.min(160, Math.max(105, ...own.map((row) => row.iqm[2])));
    return h("div", { class: "card" }, h("h3", {}, family), h("div", { class: "bars" }, own.map((row) => {
      const name = data.entries[row.entry].name;
      return [h("span", { class: "name", title: name }, name), whisker(row.iqm, low, high, name), h("span", { class: "num" }, whole(row.iqm[0]))];
    })));
  }).filter((each) => each !== null));
}

// --- pairs ---

function drawPairs() {
  const found = new Map();
  for (const [one, other, p, d, better, equal, worse, number] of data.pairs[`${state.level}|${state.way}`] || []) {
    found.set(`${one}|${other}`, { p, d, better, equal, worse, number });
    const turn = ([mean, low, high], about) => [about - mean, about - high, about - low];
    found.set(`${other}|${one}`, { p: turn(p, 1), d: d && turn(d, 0), better: worse, equal, worse: better, number });
  }
  const who = rows().map((row) => row.entry);
  const verdict = (one, other, pair) => {
    const [a, b] = [data.entries[one].name, data.entries[other].name];
    const sure = pair.d && (pair.d[1] > 0 || pair.d[2] < 0);
    return `${a} beats ${b} on an environment with probability ${pair.p[0].toFixed(2)} [${pair.p[1].toFixed(2)}, ${pair.p[2].toFixed(2)}] (${pair.number} in common). ` +
      (pair.d ? `On the same episodes its score is higher by ${pair.d[0].toFixed(1)} [${pair.d[1].toFixed(1)}, ${pair.d[2].toFixed(1)}]: better in ${share(pair.better)}, equal in ${share(pair.equal)}, worse in ${share(pair.worse)}. ` +
        (sure ? "The interval excludes zero." : "The interval holds zero: the two cannot be told apart here.") : "They did not play the same episodes.");
  };
  const body = who.map((one) => h("tr", {}, h("th", { scope: "row", title: data.entries[one].name }, data.entries[one].name), who.map((other) => {
    const pair = found.get(`${one}|${other}`);
    if (!pair) return h("td", {}, h("span", { class: "field" }, "·"));
    const field = h("button", { class: "field", style: `background:${heat(200 * (pair.p[0] - 0.5))}`, onclick: () => { at("verdict").textContent = verdict(one, other, pair); } }, pair.p[0].toFixed(2).replace(/^0/, ""));
    return h("td", {}, tell(field, () => verdict(one, other, pair)));
  })));
  const heads = who.map((other) => h("th", { scope: "col" }, h("div", {}, data.entries[other].name)));
  put("against", h("table", {}, h("thead", {}, h("tr", {}, h("th", {}), heads)), h("tbody", {}, body)));
  at("verdict").textContent = state.family === "all" ? "" : "Over all families.";
}

// --- transcripts ---

const logged = new Map();
for (const each of data.transcripts) {
  const key = `${each.entry}|${each.task}`;
  if (!logged.has(key)) logged.set(key, []);
  logged.get(key).push(each);
}
function drawTranscripts() {
  const possible = rows().map((row) => row.entry).filter((entry) => tasks().some((task) => logged.has(`${entry}|${task.place}`)));
  if (!possible.length) { put("transcript-controls"); put("episodes", h("p", { class: "soft" }, "There are none here.")); return; }
  // The first learner is what one came to see.
  if (!possible.includes(state.who)) state.who = possible.find((entry) => data.entries[entry].kind === "learner") ?? possible[0];
  const where = tasks().filter((task) => logged.has(`${state.who}|${task.place}`));
  if (!where.some((task) => task.place === state.task)) state.task = where[0].place;
  const episodes = logged.get(`${state.who}|${state.task}`);
  state.episode = Math.min(state.episode, episodes.length - 1);
  const change = (name, number) => (value) => { state[name] = number ? Number(value) : value; drawTranscripts(); };
  const beside = possible.filter((entry) => entry !== state.who && logged.has(`${entry}|${state.task}`));
  if (state.beside !== "" && !beside.includes(Number(state.beside))) state.beside = "";
  put("transcript-controls",
    choice("contestant", possible.map((entry) => [entry, data.entries[entry].name]), state.who, change("who", true)),
    choice("environment", where.map((task) => [task.place, taskName(task)]), state.task, change("task", true)),
    choice("episode", episodes.map((_, place) => [place, `episode ${place + 1}`]), state.episode, change("episode", true)),
    choice("beside", [["", "nobody"], ...beside.map((entry) => [entry, data.entries[entry].name])], state.beside, change("beside", false)));
  const sides = [state.who, ...(state.beside === "" ? [] : [Number(state.beside)])];
  put("episodes", sides.map((entry) => {
    const own = logged.get(`${entry}|${state.task}`);
    return episodeCard(own[Math.min(state.episode, own.length - 1)]);
  }));
}
function episodeCard(each) {
  const entry = data.entries[each.entry];
  const total = each.rewards.reduce((a, b) => a + b, 0);
  const won = each.success === null ? null : h("span", { class: each.success ? "good" : "bad" }, each.success ? " won" : " not won");
  const lines = each.said.map((text, place) => {
    if (place % 2 === 0) return h("div", { class: "said env" }, text || "(silence)");
    const turn = (place - 1) / 2;
    const pieces = each.thoughts && each.thoughts.turns[turn];
    // A file can hold anything: pieces stand for what was said only where they join to it, save outer spaces.
    const joined = pieces ? pieces.map(([piece]) => piece).join("") : "";
    const told = joined && joined.replace(/<end>$/, "").trim() === text.trim();
    const reward = h("span", { class: "reward" }, `reward ${each.rewards[turn].toFixed(2)}`);
    return h("div", { class: "said agent" }, told ? pieces.map((piece) => token(piece, each.thoughts.measure)) : text || "(silence)", reward);
  });
  return h("div", { class: "card" }, h("h3", {}, dot(entry.name), ` ${entry.name}`, won),
    h("p", { class: "soft" }, `return ${total.toFixed(2)}, score ${whole(each.score)}, ${each.rewards.length} turns${each.ended ? "" : ", out of turns"}, seed ${each.seed}`), lines);
}
function token([text, value, others], measure) {
  const likely = measure === "log-probability";
  const best = Math.max(value, ...others.map((other) => other[1]));
  const doubt = likely ? 1 - Math.exp(value) : value < best ? 0.8 : 0;
  const worth = (each) => likely ? share(Math.exp(each)) : each.toFixed(2);
  const end = text === "<end>";
  const span = h("span", { class: end ? "token end" : "token", tabindex: 0, style: `background:color-mix(in oklab, var(--cold) ${Math.round(70 * doubt)}%, transparent)` }, end ? " ⏎" : text);
  return tell(span, () => [h("strong", {}, likely ? "probability" : "Q-value"), h("table", {}, [[text, value], ...others].map(([each, its], place) =>
    h("tr", {}, h("td", {}, place ? each : h("strong", {}, each)), h("td", { class: "num" }, worth(its)))))]);
}

// --- the rest ---

function drawAbout() {
  const from = data.origin;
  const span = from.from === from.to ? from.from : `${from.from} to ${from.to}`;
  at("intro").textContent = `${names.length} contestants on ${data.tasks.length} environments, ${from.cells} cells` +
    (from.failed ? `, ${from.failed} failed` : "") + `; played ${span}, ${from.hours} hours of one core.`;
  const lines = [["test episodes", `${from.episodes.join(", ")} in each cell, the same for all contestants (instances seed ${from.instances.join(", ")}), from the test split`],
    ["seeds", from.seeds.join(", ")], ["machines", from.machines.join("; ")], ...from.versions.map((each) => ["versions", each]), ["report made", data.made]];
  put("origin", lines.map(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]));
  at("failed").hidden = !data.failed.length;
  put("failures", data.failed.map((each) => h("details", {}, h("summary", {}, `${each.name} on ${each.task.join(", ")}, seed ${each.seed}`), h("pre", {}, each.traceback))));
}
function draw() {
  drawPlaces(); drawHeat(); drawCurves(); drawProfiles(); drawFamilies(); drawPairs(); drawTranscripts();
}
drawFilters();
drawAbout();
draw();
addEventListener("resize", drawProfiles);
root.dataset.ready = "yes";
