// Command ostraka-store runs a member of the cluster in which an operator's replicas keep their node's store, and tends it: an etcd
// member with settings that suit a node, so that an operator needs no other package (spec/store.md 7.6). The node itself links none of it.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
