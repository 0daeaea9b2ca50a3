// A bridge between Solana's JSON-RPC over HTTP and LiteSVM, for tests: node bridge.js ADDON GENESIS
//
// LiteSVM is the chain's runtime alone. What is not its own is made up here, as simply as can be, and doc.go says what.
"use strict";
const http = require("http");

const library = { exports: {} };
process.dlopen(library, process.argv[2]);
const svm = new library.exports.LiteSvm();
let genesis = process.argv[3];

const FIRST_TIME = 1_800_000_000n; // of the first slot, seconds
const EMPTY = 21_000_000n; // slots without a block before the first
const LIFE = 150n; // blocks
const PACKET = 1232;
const LEVELS = ["processed", "confirmed", "finalized"];
const PROGRAM_BUDGET = "ComputeBudget111111111111111111111111111111";

// Names of errors, as Solana's JSON-RPC has them, by LiteSVM's numbers.
const ERRORS = [
  "AccountInUse", "AccountLoadedTwice", "AccountNotFound", "ProgramAccountNotFound", "InsufficientFundsForFee", "InvalidAccountForFee", "AlreadyProcessed", "BlockhashNotFound",
  "CallChainTooDeep", "MissingSignatureForFee", "InvalidAccountIndex", "SignatureFailure", "InvalidProgramForExecution", "SanitizeFailure", "ClusterMaintenance", "AccountBorrowOutstanding",
  "WouldExceedMaxBlockCostLimit", "UnsupportedVersion", "InvalidWritableAccount", "WouldExceedMaxAccountCostLimit", "WouldExceedAccountDataBlockLimit", "TooManyAccountLocks",
  "AddressLookupTableNotFound", "InvalidAddressLookupTableOwner", "InvalidAddressLookupTableData", "InvalidAddressLookupTableIndex", "InvalidRentPayingAccount",
];
const SIGNATURE_FAILURE = "SignatureFailure";

const statuses = new Map(); // of transactions that landed, by signature in base58
const landed = new Map(); // of the same, by the same: {slot, time, err, bytes, version}
const mentions = new Map(); // signatures of those that name an account, by the account in base58, the first one first
const blocks = new Map(); // {blockhash, blockTime} by slot
const prices = []; // {slot, prioritizationFee} of transactions that landed, at most LIFE

class Refusal extends Error {
  constructor(code, message, data) {
    super(message);
    Object.assign(this, { code, data });
  }
}
const bad = (message) => new Refusal(-32602, `Invalid params: ${message}`);

// base58, with Bitcoin's alphabet.
const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
function encode(bytes) {
  let n = BigInt("0x0" + Buffer.from(bytes).toString("hex")), text = "";
  for (; n > 0n; n /= 58n) text = ALPHABET[Number(n % 58n)] + text;
  for (const b of bytes) {
    if (b !== 0) break;
    text = "1" + text;
  }
  return text;
}
function decode(text, size) {
  let n = 0n;
  if (typeof text !== "string" || text.length > 100) throw bad("want base58");
  for (const c of text) {
    if (!ALPHABET.includes(c)) throw bad("want base58");
    n = n * 58n + BigInt(ALPHABET.indexOf(c));
  }
  const bytes = Buffer.from(n.toString(16).padStart(2 * size, "0"), "hex");
  if (bytes.length !== size || encode(bytes) !== text) throw bad(`want base58 of ${size} bytes`);
  return bytes;
}

// parse reads a message, of a transaction or alone, in full: LiteSVM ends the process on what it cannot read.
function parseMessage(bytes) {
  let at = 0;
  const take = (n) => {
    if (at + n > bytes.length) throw bad("transaction ends early");
    return bytes.subarray(at, (at += n));
  };
  const byte = () => take(1)[0];
  const count = () => {
    let n = 0;
    for (let shift = 0; ; shift += 7) {
      const b = byte();
      n |= (b & 127) << shift;
      if (b < 128) break;
      if (shift === 14) throw bad("a length is too long");
    }
    return n;
  };
  const many = (read) => Array.from({ length: count() }, read);
  const versioned = bytes[0] >= 128;
  if (versioned && byte() !== 128) throw new Refusal(-32015, "Transaction version is not supported");
  const signers = byte();
  take(2);
  const keys = many(() => encode(take(32)));
  const blockhash = encode(take(32));
  const instructions = many(() => ({ program: keys[byte()], accounts: take(count()), data: take(count()) }));
  const lookups = versioned ? many(() => ({ table: encode(take(32)), places: [...take(count()), ...take(count())] })) : [];
  if (at !== bytes.length) throw bad("bytes follow the transaction");
  if (signers < 1 || signers > keys.length || instructions.some((i) => i.program === undefined)) throw bad("the message contradicts itself");
  let limit = 200_000n * BigInt(instructions.filter((i) => i.program !== PROGRAM_BUDGET).length), price = 0n;
  for (const { program, data } of instructions) {
    if (program !== PROGRAM_BUDGET) continue;
    if (data[0] === 2 && data.length === 5) limit = BigInt(data.readUInt32LE(1));
    if (data[0] === 3 && data.length === 9) price = data.readBigUInt64LE(1);
  }
  return { versioned, signers, keys, lookups, blockhash, price, fee: 5000n * BigInt(signers) + (limit * price + 999_999n) / 1_000_000n };
}

function parseTransaction(text, options) {
  if (typeof text !== "string" || options?.encoding !== "base64") throw bad("want a transaction in base64");
  const bytes = Buffer.from(text, "base64");
  if (bytes.length > PACKET) throw bad(`base64 encoded transaction too large: ${bytes.length} bytes`);
  const n = bytes[0];
  if (bytes.toString("base64") !== text || !(n > 0 && n < 20) || bytes.length < 1 + 64 * n) throw bad("want a transaction in base64");
  const message = parseMessage(bytes.subarray(1 + 64 * n));
  if (message.signers !== n) throw bad("signatures are not as many as signers");
  return { bytes, message, signature: encode(bytes.subarray(1, 65)) };
}

const slot = () => svm.getClock().slot;
const time = () => svm.getClock().unixTimestamp;
const answer = (value) => ({ context: { apiVersion: "3.1.0", slot: slot() }, value });

// at checks a configuration's commitment: all levels are one here.
function at(options) {
  const level = options?.commitment ?? options?.preflightCommitment ?? "finalized";
  if (!LEVELS.includes(level)) throw bad(`unknown commitment ${level}`);
}

function account(text, options) {
  if (options?.encoding !== "base64") throw bad("want accounts in base64");
  const a = svm.getAccount(decode(text, 32));
  if (a === null || a.lamports() === 0n) return null;
  let data = Buffer.from(a.data());
  const space = data.length, slice = options.dataSlice;
  if (slice) data = data.subarray(slice.offset, slice.offset + slice.length);
  return { lamports: a.lamports(), owner: encode(a.owner()), data: [data.toString("base64"), "base64"], executable: a.executable(), rentEpoch: a.rentEpoch(), space };
}

// failure is a transaction's error as JSON-RPC has it, or null.
function failure(result) {
  if (!(result instanceof library.exports.FailedTransactionMetadata)) return null;
  const err = result.err();
  if (typeof err === "number") return ERRORS[err] ?? `Error${err}`;
  if (err instanceof library.exports.TransactionErrorInstructionError) {
    const inner = err.err();
    return { InstructionError: [err.index, inner instanceof library.exports.InstructionErrorCustom ? { Custom: inner.code } : `Error${inner}`] };
  }
  return { Other: String(err.toString()) };
}

function simulate(bytes) {
  const result = svm.simulateVersionedTransaction(bytes);
  const meta = result.meta();
  return { err: failure(result), logs: meta.logs(), unitsConsumed: meta.computeUnitsConsumed() };
}

// accounts are all that a transaction names, also those of lookup tables, as they are now.
function accounts(message) {
  const all = new Set(message.keys);
  for (const { table, places } of message.lookups) {
    const a = svm.getAccount(decode(table, 32));
    const data = a === null ? Buffer.alloc(0) : Buffer.from(a.data());
    for (const i of places) if (data.length >= 56 + 32 * (i + 1)) all.add(encode(data.subarray(56 + 32 * i, 88 + 32 * i)));
  }
  return all;
}

function least(options) {
  at(options);
  if (options?.minContextSlot !== undefined && BigInt(options.minContextSlot) > slot()) throw new Refusal(-32016, "Minimum context slot has not been reached", { contextSlot: slot() });
}

// signaturesOf lists what names an account, the last one first.
function signaturesOf(key, options) {
  least(options);
  const all = [...(mentions.get(encode(decode(key, 32))) ?? [])].reverse();
  const limit = options?.limit ?? 1000;
  if (!(limit >= 1 && limit <= 1000)) throw bad("limit must be 1 to 1000");
  const place = (s) => (s === undefined ? -1 : all.indexOf(encode(decode(s, 64))));
  const from = place(options?.before), until = place(options?.until);
  if (options?.before !== undefined && from < 0) return [];
  return all.slice(from + 1, until < 0 ? undefined : until).slice(0, limit).map((signature) => {
    const { slot, blockTime, err } = landed.get(signature);
    return { signature, slot, blockTime, err, memo: null, confirmationStatus: "finalized" };
  });
}

function transaction(signature, options) {
  at(options);
  if (options?.encoding !== "base64") throw bad("want transactions in base64");
  const tx = landed.get(encode(decode(signature, 64)));
  if (tx === undefined) return null;
  if (tx.version === 0 && options.maxSupportedTransactionVersion === undefined) throw new Refusal(-32015, "Transaction version (0) is not supported by the requesting client. Please try the request again with the following configuration parameter: \"maxSupportedTransactionVersion\": 0");
  return { slot: tx.slot, blockTime: tx.blockTime, version: tx.version, transaction: [tx.bytes.toString("base64"), "base64"], meta: { err: tx.err, status: tx.err === null ? { Ok: null } : { Err: tx.err } } };
}

function block(of, options) {
  at(options);
  if (options?.transactionDetails !== "none") throw bad("want blocks without their transactions");
  if (BigInt(of) > slot()) throw new Refusal(-32004, `Block not available for slot ${of}`);
  const b = blocks.get(BigInt(of));
  if (b === undefined) throw new Refusal(-32007, `Slot ${of} was skipped, or missing due to ledger jump to recent snapshot`);
  return b;
}

function send(text, options) {
  at(options);
  const { bytes, message, signature } = parseTransaction(text, options);
  if (!options.skipPreflight) {
    const { err, logs } = simulate(bytes);
    if (err === SIGNATURE_FAILURE) throw new Refusal(-32003, "Transaction signature verification failure");
    if (err !== null) throw new Refusal(-32002, `Transaction simulation failed: ${JSON.stringify(err)}`, { err, logs });
  }
  const named = accounts(message);
  const err = failure(svm.sendVersionedTransaction(bytes));
  if (err === null || err.InstructionError) { // what fails so has paid its fee, and stands in a block
    statuses.set(signature, { slot: slot(), confirmations: null, err, status: err === null ? { Ok: null } : { Err: err }, confirmationStatus: "finalized" });
    landed.set(signature, { slot: slot(), blockTime: time(), err, bytes, version: message.versioned ? 0 : "legacy" });
    for (const key of named) mentions.set(key, [...(mentions.get(key) ?? []), signature]);
    prices.push({ slot: slot(), prioritizationFee: message.price });
    if (prices.length > Number(LIFE)) prices.shift();
  }
  return signature;
}

const methods = {
  getGenesisHash: () => genesis,
  getHealth: () => "ok",
  getSlot: (options) => (at(options), slot()),
  getBlockHeight: (options) => (at(options), slot() - EMPTY),
  getLatestBlockhash: (options) => (at(options), answer({ blockhash: svm.latestBlockhash(), lastValidBlockHeight: slot() - EMPTY + LIFE })),
  isBlockhashValid: (hash, options) => (at(options), answer(encode(decode(hash, 32)) === svm.latestBlockhash())),
  getBalance: (key, options) => (at(options), answer(svm.getBalance(decode(key, 32)) ?? 0n)),
  getAccountInfo: (key, options) => (at(options), answer(account(key, options))),
  getMultipleAccounts: (keys, options) => {
    at(options);
    if (!Array.isArray(keys) || keys.length > 100) throw bad("want at most 100 keys");
    return answer(keys.map((key) => account(key, options)));
  },
  getMinimumBalanceForRentExemption: (size, options) => (at(options), svm.minimumBalanceForRentExemption(BigInt(size))),
  getSignatureStatuses: (signatures) => answer(signatures.map((s) => statuses.get(encode(decode(s, 64))) ?? null)),
  getRecentPrioritizationFees: (keys) => ((keys ?? []).forEach((k) => decode(k, 32)), prices),
  getFeeForMessage: (text, options) => {
    at(options);
    const message = parseMessage(Buffer.from(text, "base64"));
    return answer(message.blockhash === svm.latestBlockhash() ? message.fee : null);
  },
  getSignaturesForAddress: signaturesOf,
  getTransaction: transaction,
  getBlock: block,
  getFirstAvailableBlock: () => 0, // nothing is ever thrown away
  sendTransaction: send,
  simulateTransaction: (text, options) => {
    at(options);
    const { err, logs, unitsConsumed } = simulate(parseTransaction(text, options).bytes);
    return answer({ err, logs, unitsConsumed, accounts: null, returnData: null });
  },

  // What no node of Solana has.
  test_airdrop: (key, lamports) => (svm.airdrop(decode(key, 32), BigInt(lamports)), null),
  test_expireBlockhash: () => (expire(), svm.latestBlockhash()),
  test_warp: (slots) => (move(slot() + BigInt(slots)), slot()),
  test_time: time,
  test_setGenesis: (hash) => ((genesis = encode(decode(hash, 32))), null),
  test_setTime: (seconds) => (tell(BigInt(seconds)), begin(), null),
  test_setAccount: (key, a) => {
    svm.setAccount(decode(key, 32), new library.exports.Account(BigInt(a.lamports), Buffer.from(a.data, "base64"), decode(a.owner, 32), a.executable, 2n ** 64n - 1n));
    return null;
  },
};

// move goes on to a slot, with a new blockhash; a slot is a second here.
function move(to) {
  const then = time() + (to - slot());
  svm.warpToSlot(to);
  tell(then);
  expire();
}

// tell sets the clock.
function tell(seconds) {
  const clock = svm.getClock();
  clock.unixTimestamp = seconds;
  svm.setClock(clock);
}

// expire ends a blockhash. The slot's block has the next one.
function expire() {
  svm.expireBlockhash();
  begin();
}

function begin() {
  blocks.set(slot(), { blockhash: svm.latestBlockhash(), blockTime: time() });
}

// write is JSON with whole numbers of any size.
const write = (value) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `\u0001${v}` : v)).replace(/"\\u0001(\d+)"/g, "$1");

function respond(body) {
  let id = null;
  try {
    const { id: of, method, params } = JSON.parse(body);
    id = of;
    if (!Object.hasOwn(methods, method)) throw new Refusal(-32601, "Method not found");
    return { jsonrpc: "2.0", result: methods[method](...(params ?? [])), id };
  } catch (e) {
    return { jsonrpc: "2.0", error: { code: e.code ?? -32602, message: e.message, data: e.data }, id };
  }
}

tell(FIRST_TIME);
begin();

const server = http.createServer((request, response) => {
  const parts = [];
  let size = 0;
  request.on("data", (part) => ((size += part.length) > 1 << 22 ? request.destroy() : parts.push(part)));
  request.on("end", () => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(write(respond(Buffer.concat(parts).toString())));
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit()).resume(); // whoever started it has gone
