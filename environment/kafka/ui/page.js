"use strict";
// Asks once a second and draws what has changed. What comes from the broker only ever becomes text (textContent), so
// that a message can hold anything.

const EVERY = 1000;
const KEPT = 300; // samples of a curve
const SUFFIX = "-dlq";
const REDRIVER = "lab-redrive";
const VIEWS = { topics: "Topics", groups: "Groups and lag", "dead-letters": "Dead letters" };

const curves = new Map(); // group -> [[seconds, lag], ...]
const opened = new Set(); // messages that the reader has unfolded
let overview = null;
let previous = null; // the totals of the sample before, for the rate
let rate = null;
let paused = false;
let drawn = "";

const $ = (id) => document.getElementById(id);

function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "polyline", "polygon"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

const number = (n) => n.toLocaleString("en");
const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);
const CLOCK = { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit" };
const clock = (iso) => (iso ? new Date(iso).toLocaleTimeString("en", { ...CLOCK, fractionalSecondDigits: 3 }) : "–");
const or = (value) => (value === null ? h("span", { class: "none" }, "–") : value);
const empty = (...words) => h("p", { class: "empty" }, words);
const code = (text) => h("code", {}, text);

function table(headings, rows) {
  const head = headings.map(([text, kind]) => h("th", { class: kind, scope: "col" }, text));
  const body = rows.map((cells) => h("tr", {}, cells.map((cell, i) => h("td", { class: headings[i][1] }, or(cell)))));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

function meter(value, most) {
  const width = most ? (100 * value) / most : 0;
  return h("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${value} of ${most}` },
    h("rect", { width, height: 10 }));
}

function where() {
  const [view, ...rest] = location.hash.slice(1).split("/");
  return { view: view in VIEWS ? view : "topics", topic: rest.length ? decodeURIComponent(rest.join("/")) : null };
}

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error || JSON.stringify(result));
  return result;
}

// -- what is shown --

function body(message, extra = []) {
  const id = `${message.topic}/${message.partition}/${message.offset}`;
  const value = message.value;
  if (value === null) return h("span", { class: "none" }, "no value (a tombstone)");
  let whole = value;
  try {
    whole = JSON.stringify(JSON.parse(value), null, 2);
  } catch { /* it is no JSON; it stays as it is */ }
  const headers = message.headers === null
    ? [["(the headers cannot be read)", "the name of one of them is not UTF-8"]]
    : Object.entries(message.headers || {}).map(([name, text]) => [name, text]);
  const details = h("details", { open: opened.has(id) ? "" : null },
    h("summary", {}, value === "" ? "(empty)" : value.slice(0, 400)), h("pre", {}, whole),
    [...extra, ...headers].length ? table([["header", "mono"], ["value", "mono"]], [...extra, ...headers]) : null);
  details.addEventListener("toggle", () => (details.open ? opened.add(id) : opened.delete(id)));
  return details;
}

function topicList(selected) {
  const links = overview.topics.map(({ topic, messages }) =>
    h("a", { href: `#topics/${encodeURIComponent(topic)}`, "aria-current": topic === selected ? "page" : null },
      h("span", {}, topic), h("span", { class: "count" }, number(messages))));
  return h("div", { class: "card list" }, links);
}

function partitions(topic, offsets) {
  const most = Math.max(...offsets.map((row) => row.messages), 0);
  const readers = overview.groups.map((row) => row.group)
    .filter((group) => overview.lag.some((row) => row.group === group && row.topic === topic));
  const headings = [["partition", "n"], ["earliest", "n"], ["latest", "n"], ["messages", "n"], ["", "meter"],
    ...readers.map((group) => [`${group}: lag`, "n"])];
  return table(headings, offsets.map((row) => [row.partition, number(row.earliest), number(row.latest),
    number(row.messages), meter(row.messages, most), ...readers.map((group) => {
      const at = overview.lag.find((one) => one.group === group && one.topic === topic && one.partition === row.partition);
      return at ? number(at.lag) : null;
    })]));
}

function topicsView({ topic, offsets, messages }) {
  if (!overview.topics.length) {
    return h("div", { class: "card" }, empty("There is no topic yet. A service makes its own when it starts; ", code("lab kafka create orders"), " makes another."));
  }
  if (!topic) return h("div", { class: "card" }, empty("There is no such topic any more."));
  const rows = messages.map((m) => [clock(m.time), m.partition, number(m.offset), m.key, body(m)]);
  return h("div", { class: "split" }, topicList(topic), h("div", { class: "card" },
    h("div", { class: "title" }, h("h2", {}, topic), h("span", { class: "chip" }, `${offsets.length} partitions`)),
    h("h3", {}, "Partitions"), partitions(topic, offsets),
    h("h3", {}, "Latest messages"),
    rows.length ? table([["time", "when"], ["partition", "n"], ["offset", "n"], ["key", "mono key"], ["value", "value"]], rows)
      : empty("Nothing was sent yet. ", code(`lab kafka produce ${topic} hello --key order-1`), " sends one.")));
}

function curve(group) {
  const points = curves.get(group) || [];
  const most = Math.max(...points.map(([, lag]) => lag), 1);
  const [first, last] = points.length ? [points[0][0], points[points.length - 1][0]] : [0, 0];
  const line = points.map(([t, lag]) => `${(100 * (t - first)) / Math.max(last - first, 1)},${(30 * (1 - lag / most)).toFixed(2)}`);
  const now = points.length ? points[points.length - 1][1] : 0;
  return h("div", { class: "curve" },
    h("div", {}, h("svg", { viewBox: "0 -1 100 32", preserveAspectRatio: "none", role: "img", "aria-label": `lag of ${group}` },
      h("polygon", { points: line.length ? `0,30 ${line.join(" ")} 100,30` : "" }), h("polyline", { points: line.join(" ") })),
      h("p", { class: "axis" }, `the last ${Math.round(last - first)} s, up to ${number(most)} messages`)),
    h("p", { class: "now" }, h("strong", {}, number(now)), h("span", {}, "messages behind")));
}

function groupsView() {
  if (!overview.groups.length) {
    return h("div", { class: "card" }, empty("No consumer group has read anything yet."));
  }
  // The group that only records what was sent back comes last.
  const groups = [...overview.groups].sort((a, b) => (a.group === REDRIVER) - (b.group === REDRIVER));
  return h("div", {}, groups.map(({ group, state, members }) => {
    const rows = overview.lag.filter((row) => row.group === group);
    const most = Math.max(...rows.map((row) => row.lag), 0);
    const kind = { stable: "good", empty: "", dead: "bad" }[state] ?? "busy";
    return h("div", { class: "card" },
      h("div", { class: "title" }, h("h2", {}, group), h("span", { class: `chip ${kind}` }, state),
        h("span", { class: "chip" }, members === 1 ? "1 member" : `${members} members`)),
      curve(group),
      h("h3", {}, "Partitions"),
      rows.length ? table([["topic", ""], ["partition", "n"], ["committed", "n"], ["end", "n"], ["lag", "n"], ["", "meter"], ["member", ""]],
        rows.map((row) => [row.topic, row.partition, row.committed === null ? null : number(row.committed), number(row.end),
          number(row.lag), meter(row.lag, most), row.member])) : empty("It has read nothing yet."));
  }));
}

function lettersView({ letters }) {
  if (!letters.length) {
    return h("div", { class: "card" }, empty("There are no dead letters: nothing was given up on."));
  }
  const rows = letters.map((one) => {
    const origin = one.origin === null ? null
      : `${one.origin} ${one.origin_partition ?? "?"} @ ${one.origin_offset ?? "?"}`;
    const chip = one.redriven ? h("span", { class: "chip good" }, "sent back") : h("span", { class: "chip bad" }, "waiting");
    return [clock(one.time), chip, origin, one.group, one.attempts, one.error, one.key, body(one)];
  });
  return h("div", { class: "card" },
    h("div", { class: "title" }, h("h2", {}, "Dead letters"), h("span", { class: "chip" }, "the latest first")),
    h("h3", {}, "What was given up on, and where it came from"),
    table([["time", "when"], ["state", ""], ["came from", "line"], ["given up by", "line"], ["attempts", "n"], ["error", "error"], ["key", "mono key"], ["value", "value short"]], rows),
    empty(code("lab kafka redrive"), " sends those that wait back to where they came from."));
}

// -- beating --

function remember(now) {
  for (const { group, lag } of overview.groups) {
    const points = curves.get(group) || [];
    points.push([now, lag]);
    curves.set(group, points.slice(-KEPT));
  }
  const ends = sum(overview.topics, "messages");
  if (previous) rate = Math.max(0, (ends - previous.ends) / Math.max(now - previous.now, 0.1));
  previous = { now, ends };
}

function waiting() {
  return overview.topics.filter(({ topic }) => topic.endsWith(SUFFIX)).reduce((total, { topic, messages }) => {
    const rows = overview.lag.filter((row) => row.group === REDRIVER && row.topic === topic);
    return total + (rows.length ? sum(rows, "lag") : messages);
  }, 0);
}

function tile(label, value, bad = false) {
  return h("div", { class: bad ? "tile bad" : "tile" }, h("span", {}, label), h("strong", {}, value));
}

function drawFrame(view) {
  $("where").textContent = `session ${overview.session} · ${overview.bootstrap}`;
  $("tabs").replaceChildren(...Object.entries(VIEWS).map(([name, title]) =>
    h("a", { href: `#${name}`, "aria-current": name === view ? "page" : null }, title)));
  const behind = sum(overview.groups.filter((row) => row.group !== REDRIVER), "lag");
  const dead = waiting();
  $("tiles").replaceChildren(tile("topics", number(overview.topics.length)), tile("messages kept", number(sum(overview.topics, "messages"))),
    tile("messages per second", rate === null ? "–" : number(Math.round(rate))), tile("lag of all groups", number(behind)),
    tile("dead letters waiting", number(dead), dead > 0));
}

function draw(view, found) {
  // What has not changed is left alone, and with it what the reader has marked or scrolled.
  const now = JSON.stringify([view, found, view === "groups" ? [...curves] : null, overview.lag, overview.topics, overview.groups]);
  if (now === drawn) return;
  drawn = now;
  const content = { topics: topicsView, groups: groupsView, "dead-letters": lettersView }[view](found);
  $("view").replaceChildren(content);
}

async function look() {
  const { view, topic } = where();
  try {
    overview = await ask("/api/overview");
    remember(performance.now() / 1000);
    const names = overview.topics.map((row) => row.topic);
    const found = { topic: topic === null ? (names[0] ?? null) : names.includes(topic) ? topic : null };
    if (view === "topics" && found.topic) {
      const path = `/api/topics/${encodeURIComponent(found.topic)}`;
      [found.offsets, found.messages] = await Promise.all([ask(`${path}/offsets`), ask(`${path}/messages`)]);
    }
    if (view === "dead-letters") found.letters = await ask("/api/dead-letters");
    drawFrame(view);
    draw(view, found);
    $("trouble").hidden = true;
    $("pulse").className = "pulse live";
    $("status").textContent = `live, ${new Date().toLocaleTimeString("en", CLOCK)}`;
  } catch (error) {
    const gone = error instanceof TypeError; // no server answers at all
    $("trouble").textContent = gone ? "This page's session has ended. Start one, and ask env.kafka.ui() for its page." : error.message;
    $("trouble").hidden = false;
    $("pulse").className = "pulse lost";
    $("status").textContent = gone ? "ended" : "the broker does not answer";
  }
}

let timer = 0;
async function beat() {
  clearTimeout(timer);
  await look();
  clearTimeout(timer);
  if (!paused) timer = setTimeout(beat, document.hidden ? 5 * EVERY : EVERY);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (paused) {
    clearTimeout(timer);
    $("pulse").className = "pulse";
    $("status").textContent = "paused";
  } else beat();
});
window.addEventListener("hashchange", beat);
document.addEventListener("visibilitychange", () => document.hidden || paused || beat());
beat();
