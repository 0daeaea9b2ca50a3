package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// fuzzTargets are all of the repository, in a fixed order.
func fuzzTargets(ctx context.Context) ([]target, error) { return list(ctx, "Fuzz") }

// rotate picks n targets, one from each of n equal stretches of the list, the next ones each
// day, so that all have had their turn after as many days as a stretch is long.
func rotate(targets []target, n, day int) []target {
	n = min(n, len(targets))
	var picked []target
	for i := range n {
		lo, hi := i*len(targets)/n, (i+1)*len(targets)/n // the i-th of n equal stretches
		picked = append(picked, targets[lo+day%(hi-lo)])
	}
	return picked
}

// fuzz runs the targets one after the other, since each uses all cores.
func (t *tally) fuzz(ctx context.Context, fuzztime string, targets []target) error {
	for _, x := range targets {
		if err := t.fuzzOne(ctx, fuzztime, x); err != nil {
			return err
		}
	}
	return nil
}

// A spurious end: at the end of -fuzztime, Go before 1.27 may report its own deadline as a
// failure of the target (golang/go#75804). It leaves no failing input. Such a run shows
// nothing, so it is done again.
const (
	spurious = "context deadline exceeded"
	written  = "Failing input written to"
	attempts = 4
)

func (t *tally) fuzzOne(ctx context.Context, fuzztime string, x target) error {
	name := x.pkg + " " + x.name + " (fuzzed)"
	for attempt := 1; ; attempt++ {
		var out bytes.Buffer
		cmd := command(ctx, "test", "-vet=off", "-run", "^$", "-fuzz", "^"+x.name+"$", "-fuzztime", fuzztime, x.pkg)
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			t.passed++
			fmt.Fprintf(t.out, "ok  \t%s\t%s: %s\n", x.pkg, x.name, executions(out.String()))
			return nil
		case attempt < attempts && isSpurious(out.String()):
			continue
		}
		t.failed = append(t.failed, name)
		fmt.Fprint(t.out, out.String())
		return nil
	}
}

// isSpurious tells whether the deadline is all that was reported.
func isSpurious(out string) bool {
	_, report, failed := strings.Cut(out, "--- FAIL: ")
	lines := strings.Split(report, "\n")
	return failed && len(lines) > 1 && strings.TrimSpace(lines[1]) == spurious && !strings.Contains(out, written)
}

// executions is the last count that the fuzzer printed.
func executions(out string) string {
	at := strings.LastIndex(out, "execs: ")
	if at < 0 {
		return "seeds only"
	}
	count, _, _ := strings.Cut(out[at+len("execs: "):], " ")
	return count + " inputs"
}

// events reads the lines that are events.
func events(out string) []event {
	var all []event
	for line := range strings.Lines(out) {
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}
