package replicas

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Places are machines as far as the network goes: a network namespace each, on a bridge in the namespace of the test itself. The test runs itself again in
// that namespace, so this machine's own network is never touched, and all of it is gone once the processes in it are: each dies with whoever began it.

// insideVariable is set in a test that stands in a network of its own already: where the programs under test are.
const insideVariable = "OSTRAKA_TEST_INSIDE"

// enter runs this test again in a network of its own, as its root, and returns false: what the inner one says is the result. In there it returns true.
func enter(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	passed, session, err := runInside(t, syscall.CLONE_NEWNET)
	if errors.Is(err, syscall.EPERM) { // without root's rights over networks: in a user namespace, whose root this user is
		passed, session, err = runInside(t, syscall.CLONE_NEWNET|syscall.CLONE_NEWUSER)
	}
	if session == 0 {
		t.Fatalf("this machine gives a test no network of its own, which takes root, or user namespaces: %v", err)
	}
	if err != nil || !passed {
		t.Errorf("in a network of its own: %v", err)
	}
	if left := ofSession(t, session); len(left) > 0 {
		t.Errorf("processes that outlived the test: %v", left)
	}
	return false
}

// runInside says whether the inner test passed, and its session, which all that it began is of.
func runInside(t *testing.T, flags uintptr) (passed bool, session int, err error) {
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if end, limited := t.Deadline(); limited {
		args = append(args, fmt.Sprintf("-test.timeout=%v", time.Until(end)-5*time.Second)) // before ours, so that it says what it was at
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideVariable+"="+filepath.Dir(binary))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Setsid: true, Pdeathsig: syscall.SIGKILL}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return false, 0, err
	}
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // it ended
		}
		passed = passed || strings.HasPrefix(line, "--- PASS: "+t.Name()+" ")
		t.Logf("| %s", strings.TrimRight(line, "\n"))
	}
	return passed, cmd.Process.Pid, cmd.Wait()
}

// ofSession ends and lists the processes of a session that still run.
func ofSession(t *testing.T, session int) (left []string) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || session == 0 {
		t.Fatal(session, err)
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		end := strings.LastIndexByte(string(raw), ')') // the program's name may hold anything
		var pid, of int
		var state string
		if _, err := fmt.Sscan(string(raw), &pid); err != nil {
			t.Fatal(err)
		}
		var parent, group int
		if _, err := fmt.Sscan(string(raw[end+1:]), &state, &parent, &group, &of); err != nil {
			t.Fatal(err)
		}
		if of == session && state != "Z" {
			left = append(left, string(raw[:end+1]))
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
	return left
}

// A place is a namespace, kept by a process that sleeps in it, with one address.
type place struct {
	name, addr, hardware string // hardware: its interface's address
	holder               int
}

// nowhere is the hardware address of no interface.
const nowhere = "02:00:00:00:00:ff"

// settle makes the places. This process reaches all of them, whatever is cut between them.
func settle(t *testing.T, names ...string) (all []*place) {
	t.Helper()
	ip(t, nil, "link set lo up", "link add street type bridge", "addr add 10.77.0.254/24 dev street", "link set street up")
	for i, name := range names {
		hold := exec.Command("sleep", "infinity")
		hold.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if err := hold.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = hold.Process.Kill() // it ends with us in any case
			_ = hold.Wait()
		})
		p := &place{name: name, addr: fmt.Sprintf("10.77.0.%d", i+1), hardware: fmt.Sprintf("02:00:00:00:00:%02x", i+1), holder: hold.Process.Pid}
		ip(t, nil, fmt.Sprintf("link add door%d type veth peer name eth0 address %s netns %d", i, p.hardware, p.holder), fmt.Sprintf("link set door%d master street up", i))
		ip(t, p, "link set lo up", "addr add "+p.addr+"/24 dev eth0", "link set eth0 up")
		all = append(all, p)
	}
	return all
}

// through is the command that runs another one in the place.
func (p *place) through() []string {
	return []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", p.holder)}
}

func (p *place) at(port string) string { return net.JoinHostPort(p.addr, port) }

// ip carries out commands of ip(8) in a place, or where this process stands.
func ip(t *testing.T, p *place, lines ...string) {
	t.Helper()
	args := []string{"ip", "-batch", "-"}
	if p != nil {
		args = append(p.through(), args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s\n%s", err, out, strings.Join(lines, "\n"))
	}
}

// cut loses all that is sent from one place to the other from now on, and mend lets it through again. Frames go to an interface that is nowhere: what is
// on its way is lost, and nobody is told, as where a cable is pulled behind a switch. The other direction is a cut of its own.
func cut(t *testing.T, from, to []*place) { route(t, from, to, func(*place) string { return nowhere }) }
func mend(t *testing.T, from, to []*place) {
	route(t, from, to, func(p *place) string { return p.hardware })
}

func route(t *testing.T, from, to []*place, hardware func(*place) string) {
	t.Helper()
	for _, p := range from {
		var lines []string
		for _, other := range to {
			if other != p {
				lines = append(lines, fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", other.addr, hardware(other)))
			}
		}
		ip(t, p, lines...)
	}
}

// reaches says whether what one place sends comes to the other, and an answer back: nobody listens at the port, so whoever is reached refuses at once.
func reaches(from, to *place, within time.Duration) (bool, error) {
	// The thread goes there and comes back. It must not end: what it has begun would be killed with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return false, err
	}
	defer here.Close()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", from.holder))
	if err != nil {
		return false, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return false, err
	}
	_, err = net.DialTimeout("tcp", to.at("9"), within)
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back)
	}
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		return false, nil
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return true, nil
	}
	return false, fmt.Errorf("from %s to %s: %w", from.name, to.name, err)
}
