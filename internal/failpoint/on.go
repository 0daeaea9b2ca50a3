//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Enabled tells whether the build tag failpoint is set.
const Enabled = true

var (
	mu    sync.Mutex
	hits  = map[string]int{}
	setup = sync.OnceValue(read)
)

type settings struct {
	name string
	nth  int
	log  *os.File
}

func read() settings {
	var s settings
	if v := os.Getenv("OSTRAKA_FAILPOINT"); v != "" {
		name, n, ok := strings.Cut(v, "=")
		nth, err := strconv.Atoi(n)
		if !ok || err != nil || nth < 1 {
			panic(fmt.Sprintf("failpoint: OSTRAKA_FAILPOINT is %q, want name=N", v))
		}
		s.name, s.nth = name, nth
	}
	if path := os.Getenv("OSTRAKA_FAILPOINT_LOG"); path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			panic(fmt.Sprintf("failpoint: open OSTRAKA_FAILPOINT_LOG: %v", err))
		}
		s.log = f
	}
	return s
}

// Hit passes the point name; it kills the process if the environment says so.
func Hit(name string) {
	s := setup()
	if s.nth == 0 && s.log == nil {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	hits[name]++
	if s.log != nil {
		if _, err := s.log.WriteString(name + "\n"); err != nil {
			panic(fmt.Sprintf("failpoint: write log: %v", err))
		}
	}
	if s.name == name && hits[name] == s.nth {
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			panic(fmt.Sprintf("failpoint: kill at %s: %v", name, err))
		}
		select {} // SIGKILL ends every thread
	}
}
