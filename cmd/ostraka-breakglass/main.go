// Command ostraka-breakglass puts a vault's whole keys together from backups, for the day when no node can sign, reshare or rescue any more (spec/breakglass).
// It talks to nobody. Nothing that a node or the ordinary command links can do what it does.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
