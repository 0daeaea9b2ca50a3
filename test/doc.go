// Package test holds end-to-end stories over the real binary: nodes as processes, people at
// their commands, a real Ethereum node. testdata/alone are stories that bring their own nodes;
// testdata/circle are told in order by three nodes that run all the while.
package test
