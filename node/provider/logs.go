package provider

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	logFiles = 4        // a customer's, the newest among them
	maxLine  = 16 << 10 // bytes of one line
	perTick  = 1000     // lines in a second; the others are counted
	kept     = 10       // last lines, for who asks why it ended
)

// A logFile takes one customer's log lines, in files that are together no larger than what it may fill.
type logFile struct {
	path string

	mu   sync.Mutex
	most int64 // bytes of one file
	f    *os.File
	size int64
	last []string
	why  string // the last line that says why it ends
	left uint64 // lines left out, ever
}

func openLog(path string, bytes int64) *logFile { return &logFile{path: path, most: bytes / logFiles} }

func (l *logFile) resize(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = bytes / logFiles
}

// begin forgets what an earlier process said.
func (l *logFile) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = ""
}

// ends says whether a line tells why a process ends: the program's own last words, and the runtime's first ones.
func ends(line string) bool {
	for _, how := range []string{"ostraka: ", "  next: ", "fatal error: ", "runtime: ", "panic: "} {
		if strings.HasPrefix(line, how) {
			return true
		}
	}
	return false
}

// words are the last that say why a process ended, or else its last line.
func (l *logFile) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.why != "":
		return fmt.Sprintf(": %q", l.why)
	case len(l.last) > 0:
		return fmt.Sprintf(" (its last line: %q)", l.last[len(l.last)-1])
	}
	return ""
}

// tail is what was said last.
func (l *logFile) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.last...)
}

// copy takes lines until r ends. A line that is too long is cut; of more than a thousand in a second, the others are counted.
func (l *logFile) copy(name string, r io.Reader) {
	b := bufio.NewReaderSize(r, maxLine)
	var second int64
	var n, skipped int
	for {
		line, err := b.ReadSlice('\n')
		more := errors.Is(err, bufio.ErrBufferFull)
		text := strings.TrimRight(string(line), "\n")
		for more { // the rest of it
			_, err = b.ReadSlice('\n')
			more = errors.Is(err, bufio.ErrBufferFull)
		}
		if now := time.Now().Unix(); now != second {
			if skipped > 0 {
				l.write(name, fmt.Sprintf("%d lines of one second are left out", skipped))
			}
			second, n, skipped = now, 0, 0
		}
		switch {
		case text == "":
		case n < perTick:
			n++
			l.write(name, text)
		default:
			skipped++
			l.mu.Lock()
			l.left++
			l.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// write adds one line, under the customer's name. What cannot be written is not worth a node's end.
func (l *logFile) write(name, text string) {
	why := ends(text)
	if why && strings.HasPrefix(text, "  next: ") {
		text = strings.TrimSpace(text)
	}
	said := text
	text = "customer=" + name + " " + text + "\n"
	l.mu.Lock()
	defer l.mu.Unlock()
	if why {
		l.why = strings.TrimPrefix(l.why+"; "+said, "; ")
		l.why = l.why[max(0, len(l.why)-1024):]
	}
	if l.last = append(l.last, strings.TrimSuffix(text, "\n")); len(l.last) > kept {
		l.last = l.last[1:]
	}
	if l.f == nil && l.open() != nil {
		return
	}
	if l.size+int64(len(text)) > l.most {
		l.rotate()
		if l.f == nil && l.open() != nil {
			return
		}
	}
	n, _ := io.WriteString(l.f, text) // a full disk: the next line may find room
	l.size += int64(n)
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.size = f, info.Size()
	return nil
}

func (l *logFile) rotate() {
	l.f.Close()
	l.f = nil
	for i := logFiles - 1; i > 0; i-- {
		from := l.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", l.path, i-1)
		}
		os.Rename(from, fmt.Sprintf("%s.%d", l.path, i)) //nolint:errcheck // there may be none yet
	}
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}
