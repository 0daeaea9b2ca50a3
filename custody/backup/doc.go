// Package backup is the form of what an operator keeps outside its node: the public header of an export (level 1) or of a set of sheets
// (level 3), what an export holds once it is opened, and the statement by which a node says that one was cut (spec/backups; protocols.md 5.2, 5.3).
//
// Bytes in, bytes out: encryption, files and buckets are other rooms'. Whoever opened an export holds the operator's identity key, data key
// and shares, and wipes them (Secrets.Wipe).
package backup
