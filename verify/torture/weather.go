package main

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// What a weather does to a piece that may go on: it is written at once, a byte at a time,
// or in part; and it may come once more.

// pass writes a piece as the weather is. It returns false if the connection is of no use
// any more.
func (l *link) pass(r *route, dst net.Conn, piece []byte, way way) bool {
	w, changed := l.weather()
	switch pause := way.trickle(w); {
	case pause > 0:
		l.feel(changed)
		for len(piece) > 1 {
			if _, err := dst.Write(piece[:1]); err != nil {
				return false
			}
			piece = piece[1:]
			if !l.sleep(pause, changed) {
				break // what is left may go on at once
			}
		}
	case w.torn && !way.up && rand.N(3) == 0:
		l.feel(changed)
		_, _ = dst.Write(piece[:len(piece)/2])
		if c, ok := dst.(*net.TCPConn); ok {
			_ = c.SetLinger(0) // a reset, not an end
		}
		return false
	}
	_, err := dst.Write(piece)
	return err == nil
}

// intercept has a balancer or a proxy take a piece that the worker sends, if the weather says
// so: the connection has ended since it was idle, or an error comes instead of the
// server's answer, and then the end. It returns true if the piece does not go its way; it
// may come to the server all the same, later and on another connection. (An error without
// the end would be taken for the answer to what was sent before, if there was something.)
func (l *link) intercept(r *route, piece []byte) bool {
	idle := time.Since(r.sent)
	r.sent = time.Now()
	w, changed := l.weather()
	switch {
	case w.idle > 0 && idle > w.idle:
	case w.proxied && rand.N(3) == 0:
		_, _ = r.near.Write([]byte(proxyError))
	default:
		return false
	}
	l.feel(changed)
	if rand.N(2) == 0 {
		l.belated(piece, maxBelated, changed)
	}
	return true
}

// proxyError is what twemproxy says when a server does not answer.
const proxyError = "-ERR Connection timed out\r\n"

// maxBelated is how late a request may be that was intercepted: less than the shortest TTL.
const maxBelated = 150 * time.Millisecond

// repeat has a piece that the worker sends come to the server once more, on a connection of
// its own, if the weather says so: at a time up to so late, or when this weather is over.
// What the server answers is of no interest. (A worker writes a command in one piece, and so
// a copy is one, too; of one that is longer the server takes no notice.)
func (l *link) repeat(piece []byte) {
	w, changed := l.weather()
	if w.double == 0 {
		return
	}
	l.mu.Lock()
	l.copies = append(l.copies, piece)
	l.mu.Unlock()
	l.belated(piece, w.double, changed)
}

// belated has a piece come to the server on a connection of its own, up to so late, or when
// this weather is over.
func (l *link) belated(piece []byte, late time.Duration, changed chan struct{}) {
	l.all.Go(func() { // ends with the answer, or after a second
		l.sleep(rand.N(late), changed)
		select {
		case <-l.closed:
			return
		default:
		}
		far, err := net.DialTimeout("tcp", l.target, time.Second)
		if err != nil {
			return
		}
		defer far.Close()
		_ = far.SetDeadline(time.Now().Add(time.Second))
		if _, err := far.Write(piece); err != nil {
			return
		}
		if n, _ := far.Read(make([]byte, 1)); n > 0 {
			l.feel(changed)
		}
	})
}

func (l *link) weather() (now weather, changed chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.changed
}

// feel notes that a weather was felt, unless it is over.
func (l *link) feel(changed chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == changed {
		l.felt++
	}
}

// doubled reports whether something with this text was sent twice.
func (l *link) doubled(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.copies, func(piece []byte) bool { return bytes.Contains(piece, []byte(text)) })
}

// sleep returns false if it was cut short, by other weather or by the link's end.
func (l *link) sleep(d time.Duration, changed chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
	case <-l.closed:
	}
	return false
}
