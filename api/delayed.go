package api

import (
	"fmt"
	"strings"
	"time"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/node/delayed"
)

// checkDelayed says of each Safe with a delay whether the chain has it as the charter says, and what waits in its queue.
func checkDelayed(all []delayed.Safe) (out []*pb.Check) {
	for _, s := range all {
		c := &pb.Check{Name: "delayed Safe of " + s.Vault, State: "ok", What: fmt.Sprintf("on %s: the chain enforces what the charter says, and nothing waits (after block %d)", s.Chain, s.Head.Height)}
		switch waits := s.Waiting(); {
		case s.Unread:
			c.State, c.What, c.Next = "warn", "on "+s.Chain+": not watched, for this node has no endpoint there", "name an endpoint of your own under \"rpc\" in node.json"
		case s.Err != nil:
			c.State, c.What, c.Next = "warn", "on "+s.Chain+": "+s.Err.Error(), "check the chain's endpoints above: what is queued meanwhile is not seen here"
		case s.At.IsZero():
			c.State, c.What, c.Next = "warn", "on "+s.Chain+": not read yet", "it is read within a minute"
		case len(waits) > 0:
			c.State, c.What = "fail", fmt.Sprintf("on %s: %d calls wait in its queue, and number %d can be carried out from %s on", s.Chain, s.State.End-s.State.Next, waits[0].Nonce, waits[0].Ready.Format(time.RFC3339))
			c.Next = "ask the holder of the key; an initiator strikes it out with `ostraka sos delayed veto`"
		case len(s.Unlike) > 0:
			c.State, c.What, c.Next = "fail", "on "+s.Chain+", not as the charter says: "+strings.Join(s.Unlike, "; "), "`ostraka sos delayed queue` shows it; leave nothing of value in the Safe until it is as the charter says"
		}
		out = append(out, c)
	}
	return out
}
