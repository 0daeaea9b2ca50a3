// Package rehearse acts incidents out on this machine (product.md: every incident is a story that must end well). A story sets up the shape that
// the incident had, with real commands and real nodes, and shows what refuses it and by which rule; then it shows the proper setup going
// through the same event.
//
// A step says what happened, never what should have: exit codes, decisions that nodes signed, what stands on disk. A step that came out
// otherwise is told as such, and the story does not hold.
package rehearse
