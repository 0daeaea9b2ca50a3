// Package console serves the pages on which a person's passkey signs, at the origin that stands in the key's line:
// http://localhost and a port of this machine, never an operator's site. One run of the program has one Page, which shows one
// step after another, and each step takes one answer, which is judged here before anything else sees it.
//
// A page holds no remote resource and no script but its own. Only the browser that came first with the run's token in its path gets
// it; whoever asks under another host name, or from another site's page, gets nothing.
package console
