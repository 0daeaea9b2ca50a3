// Writes cosmjs.json: SignDocs and signed transactions as @cosmjs/proto-signing 0.39.0 makes them. node vectors.mjs > cosmjs.json
import { DirectSecp256k1Wallet, Registry, encodePubkey, makeAuthInfoBytes, makeSignBytes, makeSignDoc } from '@cosmjs/proto-signing';
import { TxRaw, TxBody } from 'cosmjs-types/cosmos/tx/v1beta1/tx';
import { MsgSend } from 'cosmjs-types/cosmos/bank/v1beta1/tx';
import { createHash } from 'node:crypto';

const hex = (b) => Buffer.from(b).toString('hex');
const out = [];
for (const c of [
  { name: 'atom', prefix: 'cosmos', chain: 'cosmoshub-4', number: 7, sequence: 3, sends: [[1, [['uatom', '1500000']]]], fee: [['uatom', '500']], gas: 80000 },
  { name: 'first of its account, no fee, memo, timeout', prefix: 'cosmos', chain: 'cosmoshub-4', number: 0, sequence: 0, sends: [[1, [['uatom', '1']]]], fee: [], gas: 1, memo: 'Rechnung 17', timeout: 1234567 },
  { name: 'two receivers, two denominations', prefix: 'osmo', chain: 'osmosis-1', number: 123456789, sequence: 300, sends: [[1, [['ibc/27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2', '25'], ['uosmo', '9']]], [2, [['uosmo', '340282366920938463463374607431768211456']]]], fee: [['uosmo', '2500']], gas: 250000 },
]) {
  const key = Buffer.alloc(32, 7);
  const wallet = await DirectSecp256k1Wallet.fromKey(key, c.prefix);
  const [account] = await wallet.getAccounts();
  const to = {};
  for (const n of [1, 2]) to[n] = (await (await DirectSecp256k1Wallet.fromKey(Buffer.alloc(32, 10 + n), c.prefix)).getAccounts())[0].address;
  const coins = (l) => l.map(([denom, amount]) => ({ denom, amount }));
  const messages = c.sends.map(([n, l]) => ({ typeUrl: '/cosmos.bank.v1beta1.MsgSend', value: MsgSend.encode(MsgSend.fromPartial({ fromAddress: account.address, toAddress: to[n], amount: coins(l) })).finish() }));
  const body = TxBody.encode(TxBody.fromPartial({ messages, memo: c.memo ?? '', timeoutHeight: BigInt(c.timeout ?? 0) })).finish();
  const pubkey = encodePubkey({ type: 'tendermint/PubKeySecp256k1', value: Buffer.from(account.pubkey).toString('base64') });
  const auth = makeAuthInfoBytes([{ pubkey, sequence: c.sequence }], coins(c.fee), c.gas, undefined, undefined);
  const doc = makeSignDoc(body, auth, c.chain, c.number);
  const { signature } = await wallet.signDirect(account.address, doc);
  const sig = Buffer.from(signature.signature, 'base64');
  const raw = TxRaw.encode({ bodyBytes: body, authInfoBytes: auth, signatures: [sig] }).finish();
  out.push({ name: c.name, chain: 'cosmos:' + c.chain, prefix: c.prefix, native: c.prefix === 'osmo' ? 'uosmo' : 'uatom', from: account.address, to1: to[1], to2: to[2], key: hex(account.pubkey), signDoc: hex(makeSignBytes(doc)), signature: hex(sig), raw: hex(raw), id: createHash('sha256').update(raw).digest('hex').toUpperCase() });
}
console.log(JSON.stringify(out, null, 1));
