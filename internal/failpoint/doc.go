// Package failpoint names the places where a test kills the process: before and after
// each durable step and each send. Without the build tag failpoint, Hit does nothing.
//
// With the tag, OSTRAKA_FAILPOINT="name=N" kills the process with SIGKILL at the N-th
// hit of name, and OSTRAKA_FAILPOINT_LOG names a file to which every hit appends its
// name and a line feed, so that a test can list the points of a run.
package failpoint
