package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/door"
)

// Options are what a Supervisor works with.
type Options struct {
	Dir    string
	Binary string   // of ostraka
	Env    []string // of its processes, but for what stands for secrets or limits
	Log    *slog.Logger
	Args   []string // of each `ostraka node run`, besides
	// Secret reads a file with one of a customer's secrets.
	Secret func(name, file string) (secret.Bytes, error)
}

// A Supervisor runs all customers of a folder.
type Supervisor struct {
	cfg    Options
	dir    string
	wait   timing
	groups *groups
	slots  *slots
	lacks  string // why there are none
	link   *door.Door
	people *door.Door
	began  time.Time

	ctx   context.Context // of the children
	tasks sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	children map[string]*child
	routes   map[string]*roomed // by what stands before the first point of a server name, and the door; and by host name
}

// roomed is a way to one of the two ports of a customer's process.
type roomed struct {
	addr atomic.Pointer[string] // nil: no process runs
	room *door.Room
}

// Run runs a provider until ctx ends; hangup asks it to read provider.json again. ready is called once its doors are open.
func Run(ctx context.Context, o Options, hangup <-chan os.Signal, ready func()) error {
	return run(ctx, o, usualTiming(), hangup, ready)
}

func run(ctx context.Context, o Options, wait timing, hangup <-chan os.Signal, ready func()) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(dir, lockName), false)
	if err != nil {
		return err
	}
	defer lock.Close()
	c, err := Read(dir)
	if err != nil {
		return err
	}
	s := &Supervisor{cfg: o, dir: dir, wait: wait, slots: newSlots(startsAtOnce, placeFor), began: time.Now(), children: map[string]*child{}, routes: map[string]*roomed{}}
	if s.groups, err = openGroups(); err != nil {
		s.groups, s.lacks = nil, err.Error()
		o.Log.Warn("customers have no cgroups: CPU is bounded by GOMAXPROCS and nice, memory by Go's limit and RLIMIT_DATA", "why", err)
	}
	salt := make([]byte, 32)
	rand.Read(salt)
	names := door.Config{Names: true, Source: door.Loopback(salt), Log: o.Log}
	names.Route = s.route(door.Link)
	s.link = door.New(names)
	names.Route = s.route(door.People)
	s.people = door.New(names)
	return s.serve(ctx, c, hangup, ready)
}

// serve opens everything, and closes it in the other order.
func (s *Supervisor) serve(ctx context.Context, c Config, hangup <-chan os.Signal, ready func()) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	childCtx, stopChildren := context.WithCancel(context.WithoutCancel(ctx))
	defer stopChildren()
	s.ctx = childCtx
	var doors sync.WaitGroup
	defer doors.Wait()
	defer stop()
	for d, addrs := range map[*door.Door][]string{s.link: c.Link, s.people: c.People} {
		for _, a := range addrs {
			ln, err := net.Listen("tcp", a)
			if err != nil {
				return fmt.Errorf("listen at %s: %w: choose another address in %s, or stop what uses it", a, err, ConfigName)
			}
			doors.Go(func() {
				if err := d.Serve(inner, ln); err != nil {
					s.cfg.Log.Error("a door is closed", "error", err)
				}
			})
		}
	}
	closeControl, err := s.control(c.Metrics)
	if err != nil {
		return err
	}
	defer closeControl()
	if err := s.apply(c); err != nil {
		return err
	}
	ready()
	s.cfg.Log.Info("provider runs", "customers", len(c.Customers), "link", c.Link, "people", c.People)
	for {
		select {
		case <-hangup:
			if err := s.Reload(); err != nil {
				s.cfg.Log.Error("provider.json is not taken; everything goes on as before", "error", err)
			}
			continue
		case <-ctx.Done():
		}
		break
	}
	s.cfg.Log.Info("provider stops")
	s.mu.Lock()
	s.stopping = true // nobody is started any more
	s.mu.Unlock()
	stopChildren() // the doors stay open meanwhile: what is under way ends
	s.tasks.Wait()
	return nil
}

// Reload reads provider.json anew. Only who is concerned by what changed is touched.
func (s *Supervisor) Reload() error {
	c, err := Read(s.dir)
	if err == nil {
		err = s.apply(c)
	}
	return err
}

// apply makes the customers what a config says.
func (s *Supervisor) apply(c Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return errors.New("the supervisor stops")
	}
	for _, x := range c.Customers {
		ch := s.children[x.Name]
		if ch == nil {
			ch = &child{
				s: s, name: x.Name, c: x, again: make(chan struct{}, 1), log: openLog(LogFile(s.dir, x.Name), x.Limits.logBytes()),
				link: &roomed{room: door.NewRoom(x.Limits.connections())}, people: &roomed{room: door.NewRoom(x.Limits.connections())},
			}
			s.children[x.Name] = ch
			if x.Retired {
				ch.state, ch.why, ch.since = Retired, removed, time.Now()
			} else {
				ch.begin()
			}
			continue
		}
		ch.take(x)
	}
	s.routing(c)
	return nil
}

// take makes a customer's changed lines hold: at once where a running process can be bounded anew, else by starting it, and no other, again.
func (c *child) take(x Customer) {
	c.mu.Lock()
	was, stop := c.c, c.stop
	c.c = x
	c.mu.Unlock()
	c.log.resize(x.Limits.logBytes())
	c.link.room.Resize(x.Limits.connections())
	c.people.room.Resize(x.Limits.connections())
	switch l, m := was.Limits, x.Limits; {
	case x.Retired != was.Retired:
		c.retire(x.Retired)
	case l.Memory != m.Memory || l.OpenFiles != m.OpenFiles || l.CPUs != m.CPUs || l.Nice != m.Nice || !sameUser(was.User, x.User):
		c.s.cfg.Log.Info("a customer is started anew, within other limits", "customer", c.name)
		c.restart(stop)
	}
}

// restart starts the process anew: it asks the one that runs to end, or ends the wait for the next.
func (c *child) restart(stop func()) {
	if stop != nil {
		stop()
		return
	}
	select {
	case c.again <- struct{}{}:
	default:
	}
}

func sameUser(a, b *User) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// Restart starts a customer anew, whatever it does.
func (s *Supervisor) Restart(name string) error {
	s.mu.Lock()
	c := s.children[name]
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("customer %s is not known to the supervisor that runs", name)
	}
	c.mu.Lock()
	retired, stop := c.c.Retired, c.stop
	c.mu.Unlock()
	if retired {
		return fmt.Errorf("customer %s was removed: `ostraka provider add %s --again` takes it back", name, name)
	}
	c.restart(stop)
	return nil
}

// routing finds each customer's door names, by provider.json alone: what stands in a customer's folder is its process's to write, and could keep the supervisor, or claim another's name.
func (s *Supervisor) routing(c Config) {
	clear(s.routes)
	for _, x := range c.Customers {
		ch := s.children[x.Name]
		key, err := x.key()
		if x.Retired || err != nil { // Check refuses such
			continue
		}
		s.routes[door.Name(key, door.Link)] = ch.link
		s.routes[door.Name(key, door.People)] = ch.people
		for _, h := range x.Hosts {
			s.routes[h] = ch.people
		}
	}
}

func (s *Supervisor) route(which string) func(door.Call) (door.Target, error) {
	return func(call door.Call) (door.Target, error) {
		_, kind, named := door.CutName(call.Name)
		if named && kind != which || !named && which == door.Link {
			return door.Target{}, door.ErrUnknown
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		to, ok := s.routes[call.Name]
		if !ok {
			return door.Target{}, door.ErrUnknown
		}
		addr := to.addr.Load()
		if addr == nil {
			return door.Target{}, door.ErrAway
		}
		return door.Target{Addr: *addr, Room: to.room}, nil
	}
}

// names lists the customers.
func (s *Supervisor) names() (out []*child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.children {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *child) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out
}

// retire stops a customer for good, or takes it back.
func (c *child) retire(gone bool) {
	if !gone {
		c.begin()
		return
	}
	c.mu.Lock()
	stop := c.stop
	c.mu.Unlock()
	c.restart(stop)
}
