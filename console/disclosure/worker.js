"use strict";
// Runs the verifier (spec/disclosure 5). The page says which circle is asked for, if any.
importScripts("wasm_exec.js");

// load reads a file of the bundle, and at most so many bytes of it. back takes the status and the bytes: 0 if the connection broke,
// -1 if there are more.
self.load = async (url, most, back) => {
  let status = 0;
  let bytes = new Uint8Array();
  try {
    const r = await fetch(url, { cache: url.includes("/tile/") || url.includes("/body/") ? "default" : "no-cache", credentials: "omit", redirect: "error" });
    if (r.status === 200) bytes = await bounded(r, most);
    else if (r.body) await r.body.cancel();
    status = bytes ? r.status : -1;
  } catch {
    status = 0;
  }
  back(status, bytes || new Uint8Array());
};

const bounded = async (r, most) => {
  const reader = r.body.getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      return null;
    }
    parts.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
};

// Some servers unpack the program on the way, some do not.
const unpacked = async (r) => {
  const packed = await bounded(r, 64 << 20);
  if (!packed) throw new Error("the verifier is too large to be one");
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed;
  return bounded(new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))), 64 << 20);
};

self.onmessage = async (e) => {
  const tell = (text) => self.postMessage(JSON.stringify({ kind: "error", text }));
  try {
    self.base = new URL(".", self.location.href).href;
    self.circle = e.data;
    const r = await fetch("verify.wasm.gz", { cache: "no-cache", credentials: "omit" });
    if (!r.ok) return tell("the server answers " + r.status + " for the verifier");
    const go = new Go();
    const program = await WebAssembly.instantiate(await unpacked(r), go.importObject);
    await go.run(program.instance);
    tell("the verifier ended before it came to a verdict");
  } catch (error) {
    tell("the verifier did not run: " + error.message);
  }
};
