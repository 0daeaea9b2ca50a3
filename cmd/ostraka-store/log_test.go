package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// The log tells what is wrong, and nothing of a port that was closed because the member stops.
func TestQuietLog(t *testing.T) {
	var out bytes.Buffer
	broken := 0
	lg, err := logger(&out, "warn", func() { broken++ })
	if err != nil {
		t.Fatal(err)
	}
	lg.Info("below the level")
	lg.Warn("scheme is http or unix while key and cert files are present; ignoring key and cert files")
	lg.Error("setting up serving from embedded etcd failed.", zap.Error(fmt.Errorf("accept: %w", net.ErrClosed)))
	lg.Error("stopped", zap.Error(errors.New("accept tcp: use of closed network connection")))
	if out.Len() > 0 {
		t.Errorf("said of an ordinary stop:\n%s", &out)
	}
	lg.With(zap.String("member", "a")).Error("the disk is slow", zap.Error(errors.New("fsync took 3s")))
	if s := out.String(); !strings.Contains(s, "the disk is slow") || !strings.Contains(s, "fsync took 3s") || strings.Count(s, "\n") != 1 {
		t.Errorf("the log says:\n%s", s)
	}
	if _, err := logger(&out, "loud", nil); err == nil {
		t.Error("a level that is none is taken")
	}
	if broken > 0 {
		t.Error("a slow disk is taken for a broken one")
	}
	deaf, err := logger(&out, "error", func() { broken++ })
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if deaf.With(zap.String("member", "a")).Warn(unsynced); broken != 1 || out.Len() > 0 {
		t.Errorf("a folder that could not be synced: heard %d times; the log says %q", broken, &out)
	}
}
