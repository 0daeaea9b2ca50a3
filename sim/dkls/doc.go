// Package dkls simulates signing nodes as they are: the session host, the journal and
// DKLs23, or FROST where a scenario says so, over keys that a real key generation made, on the
// disks, clocks and network of package sim. Keys are made once for each committee and shared by
// all seeds.
//
// Committee, Keys and Task serve the tests of the session host as well.
package dkls
