// Package bolt keeps a node's records in one bbolt file, for one process.
//
// Folder (0700): "store.db" the records, "reserve" the space kept for deny, freeze and
// veto, "lock" held while the store is open. All files are 0600.
//
// What it adds to bbolt (spec/store.md):
//   - Group commit. One goroutine gathers the batches that wait into one transaction
//     and judges their conditions in order; a batch that fails fails alone.
//   - A failed write or fsync is fatal. The kernel may have dropped the dirty pages
//     and called them clean, so a retry could report as durable what is lost. The
//     store refuses every later call and keeps its lock until the process ends.
//   - Damage shows. bbolt sums its two meta pages only. Here every record has a
//     checksum over key, revision and value; a state record counts the records and
//     sums their checksums; Open reads the whole tree with a reader of its own before
//     bbolt maps it; a miss is believed only if both neighbours are sound.
//   - The list of free pages is not stored (bbolt finds it again at Open): a flipped
//     bit there would let bbolt write over live records.
//   - Space is allocated before a transaction writes, so that a full disk shows before
//     anything is written.
package bolt
