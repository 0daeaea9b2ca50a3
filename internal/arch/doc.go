// Package arch holds the repository to its architecture, as tests: who may import whom, what
// pure rooms may touch, how long functions and files may be, and that DEVIATIONS.md lists what the
// code departs from. It has no code besides.
package arch
