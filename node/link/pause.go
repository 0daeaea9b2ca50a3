package link

// A pause is the time between Pause and Resume.
type pause struct{ over chan struct{} }

// Pause ends every stream and lets none begin until Resume. Queues stay, so nothing is lost but time; the incarnation
// stays too, so peers take it for the same life. A replica pauses while it cannot tell whether it still owns its node
// (spec/replicas 3): nothing that it says may stand beside what another one says.
//
// A stream that is being set up at that moment does not slip through: adopt asks under the pair's lock, and Pause
// passes each pair's lock after it has said that the link is paused.
func (l *Link) Pause() {
	if !l.paused.CompareAndSwap(nil, &pause{make(chan struct{})}) {
		return
	}
	for _, p := range l.allPairs() {
		p.mu.Lock()
		s := p.standing
		p.mu.Unlock()
		if s != nil {
			s.end(errPaused)
		}
	}
}

// Resume lets streams begin again, and dials at once.
func (l *Link) Resume() {
	if p := l.paused.Swap(nil); p != nil {
		close(p.over)
	}
}

// pausing is errPaused while the link is paused, or must be silent.
func (l *Link) pausing() error {
	if l.paused.Load() != nil || l.cfg.Silent != nil && l.cfg.Silent() {
		return errPaused
	}
	return nil
}
