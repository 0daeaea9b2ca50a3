package rescue

import (
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// New shares void every request that names the epochs before (spec/sos 3.8). A refresh that comes due meanwhile waits for those that gather support (spec/node 12.22).

// awaitFor is how many must support a request for a refresh to wait: one person alone puts none off.
const awaitFor = 2

// await notes which requests of a vault gather support, under the charter and in the epochs in force.
func (d *Desk) await(vault statement.ID) {
	var all []act.Request
	k := d.dockets[vault]
	for _, c := range k.Cases() {
		q := c.Request()
		if c.State() == sos.Armed && len(c.Supports())+len(c.Consents()) >= awaitFor && d.names(q) {
			all = append(all, q)
		}
	}
	d.known.Lock()
	defer d.known.Unlock()
	d.awaited[vault] = all
}

// ripe says whether a request of a vault lacks nothing but its subjects' silence: it may be declared elsewhere already, or in a moment here.
func (d *Desk) ripe(vault statement.ID, k sos.Docket) bool {
	v, r := sos.View{}, sos.Reading{Wall: d.wall}
	for _, c := range k.Cases() {
		if c.State() != sos.Armed {
			continue
		}
		if v.Keys == nil {
			v = d.view(vault)
		}
		if k.Ripe(c.ID(), v, r) {
			return true
		}
	}
	return false
}

// Awaited says why a refresh that is due since then waits: for a request that was made before, and no longer than that lives. One that was made since puts nothing off,
// so that nobody puts it off for more than 7 days, with however many requests. It is asked under other rooms' locks, and takes none of this room's but its own.
func (d *Desk) Awaited(vault statement.ID, due, now time.Time) string {
	d.known.Lock()
	defer d.known.Unlock()
	for _, q := range d.awaited[vault] {
		if q.Created.Before(due) && now.Before(q.Expires) {
			return fmt.Sprintf("SOS request %s gathers support until %s, and new shares would end it", q.ID.Short(), statement.FormatTime(q.Expires))
		}
	}
	return ""
}
