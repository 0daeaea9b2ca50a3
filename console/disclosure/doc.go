// Package disclosure writes the page of a published folder (spec/disclosure): static files that any web server can host, beside the
// logs that stand there already.
//
// The page says what the publisher's verifier found, and says that it is the publisher's word. Then the same verifier, as WebAssembly in a
// worker of the visitor's browser, reads the logs, and what it finds takes the place. Where both differ, the page says so first.
//
// Everything that comes from logs is untrusted: html/template escapes it here, and the scripts write text and never markup.
package disclosure
