"use strict";
(() => {
  const main = document.querySelector("main");
  const status = document.querySelector("#status");
  const button = document.querySelector("#go");
  const step = Number(main.dataset.step);
  const say = (text) => { status.textContent = text; };

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // Options hold bytes in three places.
  const decoded = (o) => {
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const c of o.allowCredentials || []) c.id = bytes(c.id);
    return o;
  };

  // PublicKeyCredential.toJSON, which some browsers lack.
  const encoded = (c) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature"]) {
      if (c.response[name]) response[name] = text(c.response[name]);
    }
    return JSON.stringify({ id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: c.getClientExtensionResults(), response });
  };

  // follow loads the page anew when another step is asked, and says when the program has ended.
  const follow = async () => {
    try {
      const r = await fetch("step", { cache: "no-store" });
      if (r.ok) {
        const now = await r.json();
        if (now !== 0 && now !== step) return location.reload();
      }
      setTimeout(follow, 300);
    } catch {
      main.dataset.over = "true";
      say("The program has ended: its terminal says how. You may close this page.");
    }
  };

  const go = async () => {
    button.disabled = true;
    say("Use your passkey now.");
    let credential;
    try {
      const ask = JSON.parse(main.dataset.ask);
      credential = await navigator.credentials[ask.do]({ publicKey: decoded(ask.options) });
    } catch (e) {
      button.disabled = false;
      say("The browser gave no signature (" + e.message + "). You may try again.");
      return;
    }
    try {
      const r = await fetch("answer/" + step, { method: "POST", headers: { "Content-Type": "application/json" }, body: encoded(credential) });
      main.dataset.answered = r.status;
      if (!r.ok) return say("Refused: " + (await r.text()));
      say("Done.");
    } catch {
      return say("The program has ended, and did not take the answer: see its terminal.");
    }
    follow();
  };

  if (!button) {
    follow();
    return;
  }
  button.addEventListener("click", go);
  if (main.dataset.auto === "true") go();
})();
