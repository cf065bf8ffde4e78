package pgtest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// A Relay stands between client and server, so that a test can cut the line.
type Relay struct {
	mu      sync.Mutex
	conns   []net.Conn
	stopped bool
}

// NewRelay returns a relay to the server of a DSN, and the DSN that leads
// through it.
func NewRelay(t testing.TB, dsn string) (*Relay, string) {
	t.Helper()
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := new(Relay)
	t.Cleanup(func() { l.Close(); r.Stop() })
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if server, err := net.Dial(network, address); err != nil || !r.join(client, server) {
				client.Close()
			}
		}
	}()
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return r, fmt.Sprintf("%s host=%s port=%s sslmode=disable", dsn, host, port)
}

// join passes bytes between two connections, unless the relay is stopped.
func (r *Relay) join(client, server net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		server.Close()
		return false
	}
	r.conns = append(r.conns, client, server)
	pass := func(to, from net.Conn) { io.Copy(to, from); to.Close() }
	go pass(server, client)
	go pass(client, server)
	return true
}

// Cut ends all connections; new ones may be made.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// Stop ends all connections and lets no new ones through.
func (r *Relay) Stop() { r.set(true); r.Cut() }

// Resume lets connections through again.
func (r *Relay) Resume() { r.set(false) }

func (r *Relay) set(stopped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = stopped
}
