package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Page is served for one run of the program. Several may Ask at once: they are asked one after another.
type Page struct {
	origin string // as browsers write it
	host   string // of the origin, with its port
	token  string // in the path of all that is served
	server *http.Server
	serves sync.WaitGroup

	mu      sync.Mutex
	browser string // cookie of the browser that came first
	queue   []*step
	last    int   // number of the step that was asked last
	clicked bool  // somebody began a series of steps that go on by themselves
	ended   error // why nothing is asked any more
	done    chan struct{}
}

// A step is one thing that the page asks for.
type step struct {
	number int
	shown  Shown
	check  func(response []byte) error
	answer chan error
}

// Errors of pages.
var (
	ErrOrigin = errors.New("this program serves no page there")
	ErrTaken  = errors.New("another program listens there, and could show its own page in place of this one")
	ErrClosed = errors.New("the page was closed")
)

// Open serves an origin, http://localhost with or without a port, on the loopback interface. A passkey cannot tell who
// serves its origin: so all addresses that localhost stands for must be free, or Open fails.
func Open(origin string) (*Page, error) {
	host, ok := strings.CutPrefix(origin, "http://")
	name, port, hasPort := strings.Cut(host, ":")
	if !ok || name != "localhost" {
		return nil, fmt.Errorf("open a page at %s: %w: only http://localhost is this machine's own", origin, ErrOrigin)
	}
	if !hasPort {
		port = "80"
	}
	listeners, err := listen(port)
	if err != nil {
		return nil, fmt.Errorf("open a page at %s: %w", origin, err)
	}
	s := &Page{origin: origin, host: host, token: rand.Text(), done: make(chan struct{})}
	s.server = &http.Server{
		Handler: s.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	for _, l := range listeners {
		s.serves.Go(func() { _ = s.server.Serve(l) }) // until Close
	}
	return s, nil
}

// listen takes a port on 127.0.0.1 and, where the machine has it, on ::1.
func listen(port string) (all []net.Listener, err error) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(address, port))
		switch {
		case err == nil:
			all = append(all, l)
			continue
		case address == "::1" && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
			continue // no IPv6 here, so no browser reaches localhost by it
		case errors.Is(err, syscall.EADDRINUSE):
			err = fmt.Errorf("%w (%w)", ErrTaken, err)
		}
		for _, l := range all {
			l.Close()
		}
		return nil, err
	}
	return all, nil
}

// URL is where the browser must go.
func (s *Page) URL() string { return s.origin + "/" + s.token + "/" }

// Ask shows one step and waits for its answer, which check judges. An answer that does not hold ends the page: the page, or what
// stands before it, is not what it should be.
func (s *Page) Ask(ctx context.Context, shown Shown, check func(response []byte) error) error {
	s.mu.Lock()
	if s.ended != nil {
		defer s.mu.Unlock()
		return s.ended
	}
	s.last++
	one := &step{s.last, shown, check, make(chan error, 1)}
	s.queue = append(s.queue, one)
	s.mu.Unlock()
	select {
	case err := <-one.answer:
		return err
	case <-s.done:
		select {
		case err := <-one.answer: // it may have been this answer that ended all
			return err
		default:
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.ended
	case <-ctx.Done():
		if s.take(one.number) != nil {
			return ctx.Err()
		}
		select { // it is being judged, or all is over
		case err := <-one.answer:
			return err
		case <-s.done:
			return ctx.Err()
		}
	}
}

// now is the step to show.
func (s *Page) now() *step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	return s.queue[0]
}

// take removes a step, so that it is answered once. Nil: it is not asked, or not any more.
func (s *Page) take(number int) *step {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.queue, func(x *step) bool { return x.number == number })
	if i < 0 {
		return nil
	}
	one := s.queue[i]
	s.queue = slices.Delete(s.queue, i, i+1)
	return one
}

func (s *Page) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = why
		s.queue = nil
		close(s.done)
	}
}

// Close ends the pages. What is being answered still is.
func (s *Page) Close() {
	s.end(ErrClosed)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		s.server.Close()
	}
	s.serves.Wait()
}
