// Package published fetches what circles publish: bundles and logs, of a folder, a web server or a node (spec/log 8, 10; spec/verify 2).
//
// Nothing that it fetches is believed: the verifier holds each byte to signatures. What is bounded here is what fetching costs: the size of each
// file by what it may be, the time of each try, and how much is fetched ahead. Files that never change may be kept in a folder.
package published
