// Writes tronweb.json: raw_data, ids and signatures as tronweb 6.5.1 makes them. node vectors.mjs > tronweb.json
import { utils } from 'tronweb';
const key = '07'.repeat(32);
const owner = utils.crypto.getAddressFromPriKey(utils.code.hexStr2byteArray(key)), to = utils.crypto.getAddressFromPriKey(utils.code.hexStr2byteArray('08'.repeat(32)));
const hex = (b) => Buffer.from(b).toString('hex');
const token = '41a614f803b6fd780986a42c78ec9c7f77e6ded13c';
const out = { owner: utils.crypto.getBase58CheckAddress(owner), to: utils.crypto.getBase58CheckAddress(to), transactions: [] };
function one(name, type, value, more = {}) {
  const tx = { visible: false, txID: '', raw_data: { contract: [{ parameter: { value, type_url: 'type.googleapis.com/protocol.' + type }, type }], ref_block_bytes: 'fdf6', ref_block_hash: '4cd898aed8ce5d14', expiration: 1717419846000, timestamp: 1717419788444, ...more } };
  const pb = utils.transaction.txJsonToPb(tx);
  tx.raw_data_hex = utils.transaction.txPbToRawDataHex(pb).toLowerCase();
  tx.txID = utils.transaction.txPbToTxID(pb).replace(/^0x/, '');
  const signed = utils.crypto.signTransaction(utils.code.hexStr2byteArray(key), tx);
  out.transactions.push({ name, raw: tx.raw_data_hex, id: tx.txID, signature: signed.signature[0].toLowerCase() });
}
one('trx', 'TransferContract', { owner_address: hex(owner), to_address: hex(to), amount: 1500000 });
one('trx, memo', 'TransferContract', { owner_address: hex(owner), to_address: hex(to), amount: 9007199254740991 }, { data: Buffer.from('Rechnung 17').toString('hex') });
one('usdt', 'TriggerSmartContract', { owner_address: hex(owner), contract_address: token, data: 'a9059cbb' + '0'.repeat(24) + hex(to).slice(2) + (2500000).toString(16).padStart(64, '0') }, { fee_limit: 30000000 });
console.log(JSON.stringify(out, null, 1));
