// Command testrun runs the repository's tests and counts what happened.
//
//	go run ./internal/testrun test               go test over everything, failpoints, six fuzz targets
//	go run ./internal/testrun nightly            everything, with the tags nightly and failpoint, the race detector, all fuzz targets
//	go run ./internal/testrun fuzz               all fuzz targets
//	      -fuzztime 5s   time for each fuzz target
//	      -match REGEXP  fuzz only targets whose "package.Name" matches
//
// Packages that take minutes are begun first, one more at a time than there are cores; test/replicas comes last, alone, since its tests hold nodes to times.
//
// It prints what go test prints: its ok lines, and the whole output of what failed. The last
// line is plain, for instance
//
//	412 passed, 0 failed
//
// where each top-level test, example, fuzz corpus and fuzz run counts once. It exits with 1
// if anything failed, if a test was skipped, or if nothing ran: a test that is skipped on
// this machine has not shown anything here.
package main
