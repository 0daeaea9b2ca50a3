"use strict";
// Runs the verifier in a worker, and puts what it finds into the page: as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const element = (name, text, attributes = {}) => {
    const e = document.createElement(name);
    if (text) e.textContent = text;
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    return e;
  };
  const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const plural = (n, one, many) => number(n) + " " + (n === 1 ? one : many);
  const say = (text) => { if ($("status").textContent !== text) $("status").textContent = text; };
  const state = (name) => { document.body.dataset.check = name; };

  const sentence = (s) => s.charAt(0).toUpperCase() + s.slice(1) + ".";

  // ago is how long ago something was, by the visitor's clock.
  const ago = (then) => {
    const s = Math.max(0, (Date.now() - then) / 1000);
    for (const [length, name, least] of [[86400, "day", 2], [3600, "hour", 1], [60, "minute", 1]]) {
      const n = Math.floor(s / length);
      if (n >= least) return plural(n, name, name + "s") + " ago";
    }
    return "moments ago";
  };
  const age = () => {
    for (const t of document.querySelectorAll("time.ago")) t.textContent = ago(Date.parse(t.dateTime));
    const made = document.querySelector("#by[data-by=publisher] time");
    if (made && !made.dataset.text) made.dataset.text = made.textContent;
    if (made) made.textContent = made.dataset.text + " (" + ago(Date.parse(made.dateTime)) + ")";
  };
  age();
  setInterval(age, 60000);

  $("address").textContent = location.href.split("#")[0].replace(/index\.html$/, "");
  addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details")) d.open = true; });

  const classes = { proved: "✓ Proved", attested: "◆ Attested", declared: "○ Declared", failed: "✕ FAILED" };

  const showClaims = (claims) => {
    const subjects = new Map();
    for (const c of claims) {
      if (!subjects.has(c.subject)) subjects.set(c.subject, []);
      subjects.get(c.subject).push(c);
    }
    const all = [];
    for (const [subject, list] of subjects) {
      const section = element("section", "", { class: "subject" });
      section.append(element("h3", subject.charAt(0).toUpperCase() + subject.slice(1)));
      const ul = element("ul");
      for (const c of list) {
        const kind = c.failed ? "failed" : c.class;
        const li = element("li", "", { "data-class": kind, "data-subject": subject });
        li.append(element("span", classes[kind] || c.class, { class: "class", "data-class": kind }), " ", element("span", c.claim, { class: "claim" }));
        if (c.failed) li.append(element("span", c.failed, { class: "failed" }));
        if (c.basis) li.append(element("span", c.basis, { class: "basis" }));
        ul.append(li);
      }
      section.append(ul);
      all.push(section);
    }
    $("all-claims").replaceChildren(...all);
  };

  const showList = (id, texts) => $(id).replaceChildren(...texts.map((t) => element("li", t)));

  // The first of a kind are shown at once.
  const difference = (d) => {
    const list = (items) => { const ul = element("ul"); ul.append(...items.map((t) => element("li", t))); return ul; };
    const parts = [element("h3", d.title), list(d.items.slice(0, 4))];
    if (d.items.length > 4) {
      const rest = element("details");
      rest.append(element("summary", number(d.items.length - 4) + " more"), list(d.items.slice(4)));
      parts.push(rest);
    }
    return parts;
  };

  const showSeen = (operators) => {
    const silent = new Map(operators.map((o) => [o.name, o.silent || o.last_seen.startsWith("0001-")]));
    for (const li of document.querySelectorAll(".people li")) {
      const level = silent.get(li.querySelector("b").textContent) === false ? "well" : "attention";
      li.dataset.level = level;
      li.querySelector("use").setAttribute("href", "#i-" + level);
    }
  };

  const done = (m) => {
    const v = m.verdict;
    const differs = m.differs || [];
    $("verdict").dataset.level = v.level;
    $("verdict").dataset.checked = "yes";
    $("verdict-icon").setAttribute("href", "#i-" + v.level);
    $("verdict-title").textContent = v.title;
    document.title = document.title.split(": ")[0] + ": " + v.title;
    $("by").dataset.by = "browser";
    $("by").textContent = "Checked by your own browser, just now";
    showList("reasons", v.reasons || []);
    $("more").hidden = v.more === 0;
    $("more").replaceChildren("And " + number(v.more) + " more, under ", element("a", "All claims", { href: "#claims" }), ".");
    showClaims(m.report.claims || []);
    showList("attention-list", m.report.attention || []);
    $("attention").hidden = !(m.report.attention || []).length;
    showSeen(m.report.operators || []);
    for (const f of document.querySelectorAll(".found")) {
      const claims = f.closest("#claims") !== null;
      f.dataset.found = claims || (!differs.length && !m.compared) ? "browser" : differs.length ? "differs" : "publisher";
      f.textContent = { browser: claims ? "as your own browser found it" : "your own browser found the same", differs: "as the publisher found it; your browser found otherwise", publisher: "as the publisher found it; it could not be compared" }[f.dataset.found];
      if (m.evidence && f.dataset.found === "browser" && f.closest("#holds") !== null) {
        f.dataset.found = "publisher";
        f.textContent = "your own browser found the same of all else; " + m.evidence;
      }
    }
    if (differs.length) {
      $("differences").replaceChildren(...differs.flatMap(difference));
      $("differs").hidden = false;
    }
    $("progress").hidden = true;
    $("heads").hidden = true;
    const read = plural(m.report.entries, "entry", "entries") + " of " + plural((m.report.logs || []).length, "log", "logs") + " read, " + plural(m.report.signatures, "signature", "signatures") + " verified, in " + (m.seconds < 1 ? "less than a second" : plural(Math.round(m.seconds), "second", "seconds")) + ".";
    const compared = differs.length ? " It differs from what the publisher says: see below." : m.compared ? " The publisher's own report could not be compared: " + m.compared : " The publisher's report says the same" + (m.evidence ? " of all else; " + m.evidence : "") + ".";
    say(v.title + ". " + read + compared);
    state("done");
  };

  let lastSaid = 0;
  const progress = (m) => {
    $("progress").max = Math.max(1, m.of);
    $("progress").value = m.read;
    if (Date.now() - lastSaid < 1000) return;
    lastSaid = Date.now();
    say("Reading: " + number(m.read) + " of " + plural(m.of, "entry", "entries") + ". " + sentence(m.text));
  };

  const checking = (m) => {
    $("progress").removeAttribute("value");
    say("All entries are read. Now every statement and signature is checked, and the logs are held to one another. " + sentence(m.text));
  };

  const heads = (m) => {
    $("heads").replaceChildren(...(m.logs || []).map((l) => element("li", l.error ? l.operator + ": " + l.error : l.operator + ": " + plural(l.size, "entry", "entries") + ", root " + l.root.slice(0, 12) + "…")));
    $("heads").hidden = false;
    $("progress").hidden = false;
    progress({ read: 0, of: m.of, text: "nothing is checked yet" });
  };

  const failed = (why) => {
    $("progress").hidden = true;
    say("Your browser could not check: " + why + " What you see is the publisher's word. The command under “Check it yourself” can.");
    state("failed");
  };

  if (!location.protocol.startsWith("http")) return failed("this page was not loaded from a web server.");
  if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") return failed("it is too old to run the verifier.");
  // The one script that may become a worker.
  const script = { createScriptURL: (url) => { if (url !== "worker.js") throw new TypeError(url); return url; } };
  const trusted = window.trustedTypes ? trustedTypes.createPolicy("disclosure", script) : script;
  say("Loading the verifier, about 3 MB.");
  state("loading");
  const worker = new Worker(trusted.createScriptURL("worker.js"));
  worker.onerror = (e) => failed((e.message || "the verifier did not start") + ".");
  worker.onmessage = (e) => {
    const m = JSON.parse(e.data);
    if (m.kind === "logs") heads(m);
    else if (m.kind === "progress") progress(m);
    else if (m.kind === "checking") checking(m);
    else if (m.kind === "done") { worker.terminate(); done(m); }
    else if (m.kind === "error") { worker.terminate(); failed(m.text + "."); }
  };
  const asked = /(?:^#|&)circle=([0-9a-f]*)/.exec(location.hash);
  worker.postMessage(asked ? asked[1] : "");
})();
