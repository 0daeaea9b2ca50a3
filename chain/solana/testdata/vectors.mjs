// Writes web3.json: messages, transactions, addresses and accounts as @solana/web3.js 1.99.0 and @solana/spl-token 0.4.15 write
// or read them. Run where both are installed: node vectors.mjs > web3.json
import * as w from '@solana/web3.js';
import * as t from '@solana/spl-token';

const seed = (n) => w.Keypair.fromSeed(Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? n : 7)));
const [payer, other, wallet, delegate] = [seed(1), seed(2), seed(3), seed(4)];
const mint = seed(10).publicKey, taxed = seed(11).publicKey, token = seed(12).publicKey;
const block = seed(20).publicKey.toBase58(), nonceValue = seed(21).publicKey.toBase58();
const T22 = t.TOKEN_2022_PROGRAM_ID, TOK = t.TOKEN_PROGRAM_ID;
const ata = (owner, m, p) => t.getAssociatedTokenAddressSync(m, owner, true, p);
const nonce = await w.PublicKey.createWithSeed(payer.publicKey, 'nonce-1', w.SystemProgram.programId);
const memo = (text) => new w.TransactionInstruction({ programId: new w.PublicKey('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr'), keys: [], data: Buffer.from(text) });
const hex = (b) => Buffer.from(b).toString('hex');
const out = { keys: {}, transactions: [], associated: [], seeds: [], accounts: [] };
for (const [k, v] of Object.entries({ payer: payer.publicKey, other: other.publicKey, wallet: wallet.publicKey, delegate: delegate.publicKey, mint, taxed, token, nonce,
  block: new w.PublicKey(block), nonceValue: new w.PublicKey(nonceValue) })) out.keys[k] = v.toBase58();

function legacy(name, instructions, signers = [payer], blockhash = block) {
  const tx = new w.Transaction({ feePayer: payer.publicKey, recentBlockhash: blockhash }).add(...instructions);
  tx.sign(...signers);
  push(name, tx.serializeMessage(), tx.serialize(), tx.signatures[0].signature);
}
function v0(name, instructions, tables = [], signers = [payer], blockhash = block) {
  const m = new w.TransactionMessage({ payerKey: payer.publicKey, recentBlockhash: blockhash, instructions }).compileToV0Message(tables);
  const tx = new w.VersionedTransaction(m);
  tx.sign(signers);
  push(name, m.serialize(), tx.serialize(), tx.signatures[0]);
}
const push = (name, message, signed, sig) => out.transactions.push({ name, message: hex(message), signed: hex(signed), signature: hex(sig) });
const pay = (lamports, to = wallet.publicKey, from = payer.publicKey) => w.SystemProgram.transfer({ fromPubkey: from, toPubkey: to, lamports });
const budget = [w.ComputeBudgetProgram.setComputeUnitLimit({ units: 200001 }), w.ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 12345 })];

legacy('sol, legacy', [pay(1500000000)]);
v0('sol, version 0, priority', [...budget, pay(1)]);
legacy('token, opened, memo', [t.createAssociatedTokenAccountIdempotentInstruction(payer.publicKey, ata(wallet.publicKey, mint, TOK), wallet.publicKey, mint), memo('Rechnung 17'),
  t.createTransferCheckedInstruction(ata(payer.publicKey, mint, TOK), mint, ata(wallet.publicKey, mint, TOK), payer.publicKey, 2500000, 6)]);
v0('token-2022, taxed', [t.createTransferCheckedWithFeeInstruction(ata(payer.publicKey, taxed, T22), taxed, token, payer.publicKey, 1000n, 2, 10n, [], T22)]);
legacy('nonce, created', w.SystemProgram.createNonceAccount({ fromPubkey: payer.publicKey, noncePubkey: nonce, basePubkey: payer.publicKey, seed: 'nonce-1',
  authorizedPubkey: payer.publicKey, lamports: 1447680 }).instructions);
const advance = w.SystemProgram.nonceAdvance({ noncePubkey: nonce, authorizedPubkey: payer.publicKey });
legacy('sol, durable', [advance, pay(5)], [payer], nonceValue);
legacy('nonce, advanced', [advance], [payer], nonceValue);
legacy('nonce, withdrawn', [w.SystemProgram.nonceWithdraw({ noncePubkey: nonce, authorizedPubkey: payer.publicKey, toPubkey: payer.publicKey, lamports: 1447680 })]);
legacy('token account, closed', [t.createCloseAccountInstruction(ata(payer.publicKey, mint, TOK), payer.publicKey, payer.publicKey)]);
legacy('allowance, checked', [t.createApproveCheckedInstruction(ata(payer.publicKey, mint, TOK), mint, delegate.publicKey, payer.publicKey, 77, 6)]);
legacy('allowance, unlimited', [t.createApproveInstruction(ata(payer.publicKey, mint, TOK), delegate.publicKey, payer.publicKey, 2n ** 64n - 1n)]);
legacy('allowance, revoked', [t.createRevokeInstruction(ata(payer.publicKey, mint, TOK), payer.publicKey)]);
legacy('sol, two signers', [pay(3, wallet.publicKey, other.publicKey)], [payer, other]);
const table = new w.AddressLookupTableAccount({ key: seed(30).publicKey, state: { deactivationSlot: 2n ** 64n - 1n, lastExtendedSlot: 1, lastExtendedSlotStartIndex: 0,
  addresses: [seed(31).publicKey, wallet.publicKey, mint, ata(wallet.publicKey, mint, TOK)] } });
out.table = { key: table.key.toBase58(), addresses: table.state.addresses.map((k) => k.toBase58()) };
v0('sol and token, lookup table', [pay(9), t.createTransferCheckedInstruction(ata(payer.publicKey, mint, TOK), mint, ata(wallet.publicKey, mint, TOK), payer.publicKey, 1, 6)], [table]);

for (const owner of [payer, other, wallet, delegate].map((k) => k.publicKey)) for (const m of [mint, taxed]) for (const p of [TOK, T22])
  out.associated.push({ wallet: owner.toBase58(), mint: m.toBase58(), program: p.toBase58(), address: ata(owner, m, p).toBase58() });
for (const s of ['a', 'nonce-1', 'x'.repeat(32)])
  out.seeds.push({ base: other.publicKey.toBase58(), seed: s, address: (await w.PublicKey.createWithSeed(other.publicKey, s, w.SystemProgram.programId)).toBase58() });

// Accounts: written by the library's layouts, and read back by it.
const zero = w.PublicKey.default;
function mintData(decimals, ext = []) {
  const base = Buffer.alloc(t.MINT_SIZE);
  t.MintLayout.encode({ mintAuthorityOption: 1, mintAuthority: other.publicKey, supply: 5n, decimals, isInitialized: true, freezeAuthorityOption: 0, freezeAuthority: zero }, base);
  return tlv(base, 1, ext);
}
function tokenData(m, owner, o = {}, ext = []) {
  const base = Buffer.alloc(t.ACCOUNT_SIZE);
  t.AccountLayout.encode({ mint: m, owner, amount: 9n, delegateOption: 0, delegate: zero, delegatedAmount: 0n, state: o.frozen ? 2 : 1, isNativeOption: 0, isNative: 0n,
    closeAuthorityOption: o.closer ? 1 : 0, closeAuthority: o.closer ?? zero }, base);
  return tlv(base, 2, ext);
}
function tlv(base, type, ext) {
  if (ext.length === 0) return base;
  const parts = [base, Buffer.alloc(t.ACCOUNT_SIZE - base.length), Buffer.from([type])];
  for (const [number, value] of ext) parts.push(Buffer.from([number, 0, value.length, 0]), Buffer.from(value));
  return Buffer.concat(parts);
}
const X = t.ExtensionType;
const hook = (k) => [X.TransferHook, Buffer.concat([other.publicKey.toBuffer(), k.toBuffer()])];
for (const [name, ext] of [['plain', []], ['fee', [[X.TransferFeeConfig, Buffer.alloc(108)]]], ['hook', [hook(delegate.publicKey)]], ['many', [hook(zero), [X.PermanentDelegate, Buffer.alloc(32)],
  [X.TransferFeeConfig, Buffer.alloc(108)], [X.PausableConfig, Buffer.alloc(33)], [X.NonTransferable, Buffer.alloc(0)]]]]) {
  const program = ext.length ? T22 : TOK, data = mintData(6, ext);
  const read = t.unpackMint(mint, { owner: program, data }, program);
  const h = t.getTransferHook(read);
  out.accounts.push({ name: 'mint, ' + name, owner: program.toBase58(), data: hex(data), kind: 'mint', decimals: read.decimals, extensions: t.getExtensionTypes(read.tlvData).sort((a, b) => a - b),
    hook: h ? h.programId.toBase58() : zero.toBase58(), size: program.equals(T22) ? t.getAccountLen([...t.getExtensionTypes(read.tlvData).map(t.getAccountTypeOfMintType).filter((e) => e !== X.Uninitialized), X.ImmutableOwner]) : t.ACCOUNT_SIZE });
}
for (const [name, o, ext] of [['plain', {}, []], ['frozen', { frozen: true }, []], ['own closer', { closer: wallet.publicKey }, []], ['closer', { closer: delegate.publicKey }, []],
  ['memo', {}, [[X.ImmutableOwner, []], [X.MemoTransfer, [1]]]], ['no memo', {}, [[X.MemoTransfer, [0]]]]]) {
  const program = ext.length ? T22 : TOK, data = tokenData(mint, wallet.publicKey, o, ext);
  const read = t.unpackAccount(token, { owner: program, data }, program);
  const m = t.getMemoTransfer(read);
  out.accounts.push({ name: 'token account, ' + name, owner: program.toBase58(), data: hex(data), kind: 'token', mint: read.mint.toBase58(), holder: read.owner.toBase58(), frozen: read.isFrozen,
    memo: m ? m.requireIncomingTransferMemos : false, closer: read.closeAuthority !== null && !read.closeAuthority.equals(read.owner) });
}
const n = Buffer.concat([Buffer.from([1, 0, 0, 0, 1, 0, 0, 0]), payer.publicKey.toBuffer(), new w.PublicKey(nonceValue).toBuffer(), Buffer.from([0x88, 0x13, 0, 0, 0, 0, 0, 0])]);
const r = w.NonceAccount.fromAccountData(n);
out.accounts.push({ name: 'nonce account', owner: zero.toBase58(), data: hex(n), kind: 'nonce', authority: r.authorizedPubkey.toBase58(), nonce: r.nonce });
const lt = Buffer.concat([Buffer.from([1, 0, 0, 0]), Buffer.alloc(8, 0xff), Buffer.alloc(8), Buffer.alloc(1), Buffer.from([1]), other.publicKey.toBuffer(), Buffer.alloc(2), mint.toBuffer(), wallet.publicKey.toBuffer()]);
out.tableData = { data: hex(lt), addresses: w.AddressLookupTableAccount.deserialize(lt).addresses.map((k) => k.toBase58()) };
console.log(JSON.stringify(out, null, 1));
