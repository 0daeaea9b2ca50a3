package courier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/notify"
)

// ErrRuns says that another program watches this context.
var ErrRuns = errors.New("another `ostraka notify run` watches this context")

// A Courier watches one context and brings its notices to their receivers. Open makes it.
type Courier struct {
	Look     func(context.Context) (notify.Shown, error) // asks the nodes; an error is about this end, and says nothing of them
	Patience time.Duration                               // how long a node may be away before people are told
	Tell     func(Report)                                // what happened; called by one goroutine at a time

	folder string
	lock   *os.File
	http   *http.Client
	now    func() time.Time

	mu    sync.Mutex
	book  *notify.Book
	saved []byte             // the book's file
	taken map[[2]string]bool // receiver and id of notices that were taken, while the book cannot be written

	telling sync.Mutex
}

// A Report is one thing that happened while watching.
type Report struct {
	At       time.Time
	What     string        // ReportEvent and so on
	Event    *notify.Event // of ReportEvent
	Receiver string        // of the others
	ID, Type string        // of the notice
	Count    int           // of ReportDropped
	Reason   string        // of ReportFailed and ReportTrouble
}

// What a Report is about.
const (
	ReportEvent   = "event"   // something new, whoever wants it
	ReportSent    = "sent"    // a receiver took a notice
	ReportFailed  = "failed"  // it did not; the notice is sent again
	ReportDropped = "dropped" // the oldest notices gave way, because too many wait
	ReportTrouble = "trouble" // something here: files, say; nothing is lost, and it is tried again
)

// Open locks a context's folder and reads its book. It returns ErrRuns if another program holds the lock. The caller calls Close.
func Open(folder, name string) (*Courier, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of notices: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of notices: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrRuns
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	c := &Courier{folder: folder, lock: f, http: newHTTP(sendTimeout), now: time.Now, taken: map[[2]string]bool{}, Tell: func(Report) {}}
	if c.book, c.saved, err = ReadBook(folder, name); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close lets go of the lock.
func (c *Courier) Close() {
	c.http.CloseIdleConnections()
	c.lock.Close()
}

// ReadBook reads a context's book, and its bytes; one that is not there is new.
func ReadBook(folder, name string) (*notify.Book, []byte, error) {
	path := filepath.Join(folder, bookFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b := notify.NewBook(name)
		raw, err = b.Encode()
		return b, raw, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read what was told: %w", err)
	}
	b, err := notify.DecodeBook(raw)
	if err == nil && b.Context != name {
		err = fmt.Errorf("it is that of context %q", b.Context)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read what was told: %s: %w; without the file, what is open is told anew", path, err)
	}
	return b, raw, nil
}

// change alters the book and its file, or neither.
func (c *Courier) change(f func(*notify.Book) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, err := notify.DecodeBook(c.saved)
	if err != nil {
		return fmt.Errorf("copy what was told: %w", err)
	}
	if err := f(next); err != nil {
		return err
	}
	raw, err := next.Encode()
	if err != nil {
		return fmt.Errorf("write what was told: %w", err)
	}
	if !bytes.Equal(raw, c.saved) {
		if err := client.WritePrivate(filepath.Join(c.folder, bookFile), raw); err != nil {
			return fmt.Errorf("write what was told: %w", err)
		}
	}
	c.book, c.saved = next, raw
	return nil
}

func (c *Courier) tell(r Report) {
	c.telling.Lock()
	defer c.telling.Unlock()
	r.At = c.now().UTC()
	c.Tell(r)
}

// round asks the nodes once and writes what is new into the book, before anything of it is sent.
func (c *Courier) round(ctx context.Context) ([]Receiver, error) {
	receivers, err := LoadReceivers(c.folder)
	if err != nil {
		return nil, err
	}
	shown, err := c.Look(ctx)
	if ctx.Err() != nil {
		err = ctx.Err() // what was interrupted says nothing about nodes
	}
	if err != nil {
		return nil, err
	}
	filters := map[string]notify.Filter{}
	for _, r := range receivers {
		filters[r.Name] = r.Filter
	}
	var events []notify.Event
	var dropped map[string]int
	err = c.change(func(b *notify.Book) (err error) {
		events, dropped, err = b.Take(shown, filters, c.now(), c.Patience)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range events {
		c.tell(Report{What: ReportEvent, Event: &events[i], Type: events[i].Type})
	}
	for name, n := range dropped {
		if n > 0 {
			c.tell(Report{What: ReportDropped, Receiver: name, Count: n})
		}
	}
	return receivers, nil
}

// Once asks the nodes once and sends each receiver what is due, until nothing is or a try fails. What remains waits in the book: it returns how
// many notices.
func (c *Courier) Once(ctx context.Context) (waiting int, err error) {
	receivers, err := c.round(ctx)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	for _, r := range receivers {
		all.Go(func() {
			for c.deliver(ctx, r) == nil {
			}
		})
	}
	all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.book.Queues {
		waiting += len(q.Waiting)
	}
	return waiting, ctx.Err()
}

// Run asks the nodes again and again until ctx ends. Each receiver has a goroutine of its own: a slow one holds up no other. What goes wrong here
// is told and tried again.
func (c *Courier) Run(ctx context.Context, every time.Duration) {
	rounds := map[string]*delivery{}
	defer func() {
		for _, d := range rounds {
			d.stop()
		}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		receivers, err := c.round(ctx)
		if err != nil && ctx.Err() == nil {
			c.tell(Report{What: ReportTrouble, Reason: err.Error()})
		}
		if err == nil {
			c.assign(ctx, rounds, receivers)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// delivery is the goroutine of one receiver.
type delivery struct {
	receiver Receiver
	wake     chan struct{}
	cancel   context.CancelFunc
	done     chan struct{}
}

func (d *delivery) stop() {
	d.cancel()
	<-d.done
}

// assign starts and ends deliveries so that each receiver as it stands in the file has one, and wakes them.
func (c *Courier) assign(ctx context.Context, rounds map[string]*delivery, receivers []Receiver) {
	for name, d := range rounds {
		r, err := Find(receivers, name)
		if err != nil || r.URL.Reveal() != d.receiver.URL.Reveal() || !r.Secret.Equal(d.receiver.Secret) {
			d.stop()
			delete(rounds, name)
		}
	}
	for _, r := range receivers {
		d := rounds[r.Name]
		if d == nil {
			on, cancel := context.WithCancel(ctx)
			d = &delivery{receiver: r, wake: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
			rounds[r.Name] = d
			go c.keep(on, d)
		}
		select {
		case d.wake <- struct{}{}:
		default: // it is awake
		}
	}
}

// keep sends one receiver what is due until ctx ends.
func (c *Courier) keep(ctx context.Context, d *delivery) {
	defer close(d.done)
	for ctx.Err() == nil {
		var none *noneDue
		err := c.deliver(ctx, d.receiver)
		if !errors.As(err, &none) {
			continue // the book says when the next is due
		}
		later := time.NewTimer(time.Hour) // new notices wake it
		if !none.next.IsZero() {
			later.Reset(max(none.next.Sub(c.now()), 0))
		}
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-later.C:
		}
		later.Stop()
	}
}

// noneDue says that nothing is sent before next; zero: before something new waits.
type noneDue struct{ next time.Time }

func (*noneDue) Error() string { return "nothing is due" }

// deliver sends a receiver the next notice that is due, and writes down how that went. It returns *noneDue if there is none.
func (c *Courier) deliver(ctx context.Context, r Receiver) error {
	c.mu.Lock()
	n, next, ok := c.book.Due(r.Name, c.now())
	c.mu.Unlock()
	if !ok {
		return &noneDue{next}
	}
	taken := [2]string{r.Name, n.ID}
	c.mu.Lock()
	known := c.taken[taken]
	c.mu.Unlock()
	var failed error
	if !known {
		_, failed = post(ctx, c.http, r, n, c.now())
	}
	if failed != nil && ctx.Err() != nil {
		return ctx.Err() // it was we who gave up
	}
	err := c.change(func(b *notify.Book) error {
		if failed == nil {
			b.Sent(r.Name, n.ID, c.now())
		} else {
			b.Failed(r.Name, n.ID, failed.Error(), c.now())
		}
		return nil
	})
	c.mu.Lock()
	delete(c.taken, taken)
	if err != nil && failed == nil {
		c.taken[taken] = true // else it would be sent again and again
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		c.tell(Report{What: ReportTrouble, Receiver: r.Name, ID: n.ID, Type: n.Type, Reason: err.Error()})
		return &noneDue{c.now().Add(troublePause)}
	case failed != nil:
		c.tell(Report{What: ReportFailed, Receiver: r.Name, ID: n.ID, Type: n.Type, Reason: failed.Error()})
		return failed
	}
	c.tell(Report{What: ReportSent, Receiver: r.Name, ID: n.ID, Type: n.Type})
	return nil
}

// troublePause is how long a receiver is left alone after the book could not be written, unless the nodes are asked before.
const troublePause = time.Minute

// Send sends a receiver one notice that stands in no book: a test.
func Send(ctx context.Context, r Receiver, n notify.Notice) (Answer, error) {
	return post(ctx, newHTTP(sendTimeout), r, n, time.Now())
}
