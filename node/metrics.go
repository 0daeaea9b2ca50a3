package node

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	mpc "github.com/ostraka/ostraka/mpc/session"
)

// collector reads the node's state when it is asked; it keeps none of its own. Nothing here
// names a person, an amount or a key.
type collector struct {
	d *Daemon

	connected, queued, outbox, skew *prometheus.Desc
	sessions, intents, logSize      *prometheus.Desc
	burned, vaults, frames          *prometheus.Desc
	fenced, twice                   *prometheus.Desc
	presigs, presigUse, presigMade  *prometheus.Desc
	owner                           *prometheus.Desc

	vetted, vettedAge *prometheus.Desc

	sound, full, forks, checkpoint, checkpointAge, cosigned, beatAge *prometheus.Desc
}

func (d *Daemon) metrics() http.Handler {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ostraka_"+name, help, labels, nil)
	}
	c := &collector{
		d:         d,
		connected: desc("peer_connected", "1 while the link to the peer stands", "peer"),
		queued:    desc("peer_queued_bytes", "unacknowledged bytes held for the peer", "peer"),
		outbox:    desc("peer_outbox_notes", "notes that the peer lacks", "peer"),
		skew:      desc("peer_clock_skew_seconds", "the peer's clock minus ours", "peer"),
		frames:    desc("peer_frames_total", "frames by direction", "peer", "direction"),
		sessions:  desc("sessions_open", "open protocol sessions", "protocol"),
		intents:   desc("intents", "intents by state", "state"),
		logSize:   desc("log_entries", "leaves in the log"),
		burned:    desc("pairs_burned", "burned pairs, over all keys"),
		fenced:    desc("fenced", "1 while this node signs nothing: it was restored, or runs twice"),
		twice:     desc("peer_twice", "1 while the peer runs twice, or was restored, and its operator has not confirmed", "peer"),
		vaults:    desc("vaults", "vaults by state", "state"),

		sound:         desc("log_sound", "1 once the log was read through and is not damaged; else nothing is signed"),
		full:          desc("disk_full", "1 while the disk lacks room: refusals alone are written"),
		forks:         desc("logs_forked", "logs that are known to have signed two histories"),
		checkpoint:    desc("log_checkpoint_entries", "entries below the latest checkpoint"),
		checkpointAge: desc("log_checkpoint_age_seconds", "since the latest checkpoint was signed; a log that does not grow has no new one"),
		cosigned:      desc("log_checkpoint_cosigned", "witnesses that cosigned the latest checkpoint"),
		beatAge:       desc("heartbeat_age_seconds", "since an operator's last heartbeat was taken here, our own too", "operator"),

		owner:     desc("replica_owner", "1 while this replica owns its node, 0 while it stands by"),
		vetted:    desc("evidence_good", "1 while an operator's evidence of what its node runs on counts here; only where the charter demands it", "operator"),
		vettedAge: desc("evidence_age_seconds", "since an operator's evidence that counts was judged", "operator"),

		presigs:    desc("presignatures_held", "presignatures in memory, over all keys"),
		presigUse:  desc("presignatures_asked_total", "signatures that wanted a presignature: hit if one was taken, miss if none was here", "outcome"),
		presigMade: desc("presign_sessions_total", "sessions that make presignatures, by how they ended", "outcome"),
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if _, err := d.Journal.Head(ctx); err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// metrics of a replica that stands by: it is well, and owns nothing.
func (r *Replica) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	owns := prometheus.NewGauge(prometheus.GaugeOpts{Name: "ostraka_replica_owner", Help: "1 while this replica owns its node, 0 while it stands by"})
	reg.MustRegister(owns)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, q *http.Request) {
		ctx, cancel := context.WithTimeout(q.Context(), 2*time.Second)
		defer cancel()
		if _, _, _, err := r.cluster.Owner(ctx); err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "stands by")
	})
	return mux
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.d.Link.Status() {
		name := s.Peer.Name
		gauge(c.connected, bool01(s.Connected), name)
		gauge(c.twice, bool01(c.d.Fence.Twice(mpc.IDOf(s.Peer.Key)) != ""), name)
		gauge(c.queued, float64(s.QueuedBytes), name)
		gauge(c.outbox, float64(c.d.Outbox.Waiting(mpc.IDOf(s.Peer.Key))), name)
		if s.SkewKnown {
			gauge(c.skew, s.Skew.Seconds(), name)
		}
		ch <- prometheus.MustNewConstMetric(c.frames, prometheus.CounterValue, float64(s.FramesSent), name, "sent")
		ch <- prometheus.MustNewConstMetric(c.frames, prometheus.CounterValue, float64(s.FramesReceived), name, "received")
	}
	open, states, burned, vaults := map[string]int{}, map[string]int{}, 0, map[string]int{}
	for _, s := range c.d.Sessions.Sessions() {
		if s.Ended.IsZero() {
			open[s.Protocol]++
		}
	}
	for _, v := range c.d.Desk.List() {
		states[v.State.String()]++
	}
	for _, v := range c.d.Keeper.Roots() {
		vaults[v.Step]++
		if v.Current != nil {
			burned += len(c.d.Sessions.Burned(v.Current.Record.Hash()))
		}
	}
	for k, n := range open {
		gauge(c.sessions, float64(n), k)
	}
	for k, n := range states {
		gauge(c.intents, float64(n), k)
	}
	for k, n := range vaults {
		gauge(c.vaults, float64(n), k)
	}
	gauge(c.burned, float64(burned))
	gauge(c.fenced, bool01(c.d.Fence.Fenced() != nil))
	count := func(d *prometheus.Desc, n int, outcome string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), outcome)
	}
	p := c.d.Presign.Stats()
	gauge(c.presigs, float64(p.Held))
	count(c.presigUse, p.Hits, "hit")
	count(c.presigUse, p.Misses, "miss")
	count(c.presigMade, p.Made, "made")
	count(c.presigMade, p.Failed, "failed")
	if c.d.Tenure != nil {
		gauge(c.owner, 1)
	}
	c.collectLog(gauge, time.Now())
}

// collectLog is what concerns the log and its witnesses.
func (c *collector) collectLog(gauge func(d *prometheus.Desc, v float64, labels ...string), now time.Time) {
	if h, err := c.d.Journal.Head(context.Background()); err == nil {
		gauge(c.logSize, float64(h.Size))
	}
	for _, s := range c.d.Vet.Shown(now) {
		if !s.Demanded || s.Own {
			continue
		}
		gauge(c.vetted, bool01(s.Err == nil), s.Operator)
		if s.Record != nil {
			gauge(c.vettedAge, now.Sub(s.Record.At).Seconds(), s.Operator)
		}
	}
	gauge(c.sound, bool01(c.d.Journal.Sound() == nil))
	gauge(c.full, bool01(c.d.Full()))
	gauge(c.forks, float64(len(c.d.Witness.Forks())))
	if signed, head, by := c.d.Witness.Checkpoint(); signed != nil {
		made, _ := c.d.Witness.Made()
		gauge(c.checkpoint, float64(head.Size))
		gauge(c.checkpointAge, now.Sub(made).Seconds())
		gauge(c.cosigned, float64(len(by)))
	}
	for _, b := range c.d.Pulse.Beats() {
		gauge(c.beatAge, now.Sub(b.Taken).Seconds(), b.Operator)
	}
}

func bool01(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
