package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// A Member is one member of the cluster, as `doctor` shows it.
type Member struct {
	ID       uint64
	Name     string
	Endpoint string // of the settings; empty if the settings name none that reaches it
	Problem  string // why it is not reached, or what it says itself; empty if it is well
	Version  string
	Leader   bool
	Learner  bool   // it has no vote yet
	Size     int64  // of its file, bytes
	InUse    int64  // bytes of it that hold something
	Quota    int64  // bytes that its file may have
	Index    uint64 // of raft: what it has applied
	Lag      uint64 // entries that the furthest member has and it has not
	Alarms   []string
	Answer   time.Duration // how long it took to answer
}

// Members asks the cluster who belongs to it, and each of them how it is.
func (c *Cluster) Members(ctx context.Context) ([]Member, error) {
	list, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.MemberListResponse, error) { return k.members(ctx) })
	if err != nil {
		return nil, fmt.Errorf("ask who belongs to the cluster: %w", err)
	}
	found := map[uint64]Member{}
	var unknown []Member // endpoints that do not answer, so that nobody knows whose they are
	for _, m := range c.each(ctx) {
		if m.ID == 0 {
			unknown = append(unknown, m)
		} else if _, twice := found[m.ID]; !twice {
			found[m.ID] = m
		}
	}
	var all []Member
	for _, m := range list.Members {
		one, ok := found[m.ID]
		if !ok {
			one = Member{ID: m.ID}
			at := slices.IndexFunc(unknown, func(u Member) bool { return slices.Contains(m.ClientURLs, u.Endpoint) })
			if at >= 0 {
				one.Endpoint, one.Problem = unknown[at].Endpoint, unknown[at].Problem
				unknown = slices.Delete(unknown, at, at+1)
			} else {
				one.Problem = "none of the settings' endpoints reaches it"
			}
		}
		one.Name, one.Learner = printable(m.Name), m.IsLearner
		all = append(all, one)
	}
	all = append(all, unknown...)
	c.alarms(ctx, all)
	lagging(all)
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Name+" "+a.Endpoint, b.Name+" "+b.Endpoint) })
	return all, nil
}

// each asks every endpoint at the same time.
func (c *Cluster) each(ctx context.Context) []Member {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out := make(chan Member, len(c.links.all))
	for _, k := range c.links.all {
		go func() {
			asked := time.Now()
			st, err := k.status(ctx)
			m := Member{Endpoint: k.endpoint, Answer: time.Since(asked)}
			if err != nil {
				m.Problem = (&memberError{k.endpoint, err}).text()
			} else {
				m.ID, m.Version, m.Leader = st.Header.MemberId, printable(st.Version), st.Leader == st.Header.MemberId
				m.Size, m.InUse, m.Quota, m.Index = st.DbSize, st.DbSizeInUse, st.DbSizeQuota, st.RaftAppliedIndex
				m.Problem = printable(strings.Join(st.Errors, "; "))
				if st.Leader == 0 && m.Problem == "" {
					m.Problem = "it knows no leader"
				}
			}
			out <- m
		}()
	}
	all := make([]Member, len(c.links.all))
	for i := range all {
		all[i] = <-out
	}
	return all
}

// alarms adds what the cluster has against a member.
func (c *Cluster) alarms(ctx context.Context, all []Member) {
	r, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.AlarmResponse, error) {
		return k.maint.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_GET})
	})
	if err != nil {
		return // Members has said who does not answer
	}
	for _, a := range r.Alarms {
		for i := range all {
			if all[i].ID == a.MemberID {
				all[i].Alarms = append(all[i].Alarms, strings.ToLower(a.Alarm.String()))
			}
		}
	}
}

func lagging(all []Member) {
	var top uint64
	for _, m := range all {
		top = max(top, m.Index)
	}
	for i := range all {
		if all[i].Index > 0 {
			all[i].Lag = top - all[i].Index
		}
	}
}
