package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ostraka/ostraka/node/store/etcd"
)

// StoreSettings say where the node's store lies; absent: in the data folder.
type StoreSettings struct {
	Etcd *EtcdSettings `json:"etcd,omitempty"`
}

// EtcdSettings name a store in an etcd cluster. Files are relative to the data folder.
type EtcdSettings struct {
	Endpoints []string `json:"endpoints"`      // of the members: https://host:port
	Name      string   `json:"name"`           // of this node's store in the cluster
	CA        string   `json:"ca,omitempty"`   // PEM
	Cert      string   `json:"cert,omitempty"` // PEM
	Key       string   `json:"key,omitempty"`  // PEM
	TTL       string   `json:"ttl,omitempty"`  // of the owner's lease, such as 3s
}

// ReplicaSettings say which of several replicas a data folder is.
type ReplicaSettings struct {
	Name   string `json:"name"`
	Link   string `json:"link,omitempty"`   // host:port where the other replicas reach this one's link; link if empty
	People string `json:"people,omitempty"` // and its people's interface; people if empty
}

func (e EtcdSettings) options(dir string) (etcd.Options, error) {
	o := etcd.Options{Endpoints: e.Endpoints, Name: e.Name}
	for _, f := range []struct {
		to   *string
		file string
	}{{&o.CA, e.CA}, {&o.Cert, e.Cert}, {&o.Key, e.Key}} {
		if *f.to = f.file; f.file != "" && !filepath.IsAbs(f.file) {
			*f.to = filepath.Join(dir, f.file)
		}
	}
	if e.TTL != "" {
		ttl, err := time.ParseDuration(e.TTL)
		if err != nil {
			return o, fmt.Errorf("settings: store: ttl: %q is not a time such as 3s", e.TTL)
		}
		o.TTL = ttl
	}
	return o, o.Check()
}

func (s Settings) checkShared(dir string) error {
	switch {
	case s.Store == nil && s.Replica == nil:
		return nil
	case s.Store == nil || s.Store.Etcd == nil || s.Replica == nil:
		return errors.New("settings: store and replica go together: a store that replicas share, and which of them this one is")
	}
	_, err := s.Store.Etcd.options(dir)
	return err
}
