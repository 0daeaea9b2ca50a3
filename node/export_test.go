package node

import (
	"net"
	"net/http"
)

// Metrics is what the daemon serves on loopback.
func (d *Daemon) Metrics() http.Handler { return d.metrics() }

// ListenSocket opens the operator's socket.
func ListenSocket(path string) (net.Listener, error) { return listenSocket(path) }
