// Command ostraka is an operator's node and the tool of everybody who works with nodes.
package main

import "os"

func main() {
	if asksTransit(os.Args[1:]) {
		os.Exit(askTransit(os.Stdin, os.Stdout))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
