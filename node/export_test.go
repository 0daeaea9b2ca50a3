package node

import "net/http"

// Metrics is what the daemon serves on loopback.
func (d *Daemon) Metrics() http.Handler { return d.metrics() }
