package main

import "time"

// happen carries out one event of the schedule.
func (w *world) happen(e event) {
	w.did["event: "+string(e.Kind)]++
	if e.onClient() {
		w.note(w.clients[e.Client], nil, "%v", e)
		w.happenToClient(e)
		return
	}
	s := w.servers[e.Node]
	if e.onLink() {
		w.note(w.clients[e.Client], s, "%v", e)
		l := w.clients[e.Client].links[e.Node]
		if e.Kind != cutReply {
			l.healed = max(l.healed, min(w.moment()+e.For, w.plan.Length))
			w.meanwhile(&l.cutTo, e.For, nil)
		}
		if e.Kind != cutRequest {
			w.meanwhile(&l.cutOff, e.For, nil)
		}
		return
	}
	w.note(nil, s, "%v", e)
	switch e.Kind {
	case tear:
		w.tear(e)
	case lossy:
		w.meanwhile(&w.weather.lossy[e.Node], e.For, nil)
	case resets:
		w.meanwhile(&w.weather.resetting[e.Node], e.For, nil)
	case doubles:
		w.meanwhile(&w.weather.doubling[e.Node], e.For, nil)
	case slow:
		w.meanwhile(&w.weather.slow[e.Node], e.For, nil)
	case idleCut:
		w.meanwhile(&w.weather.idling[e.Node], e.For, nil)
	case slowDial:
		w.hangUp(s)
		w.meanwhile(&w.weather.dialing[e.Node], e.For, nil)
	case proxyError:
		w.meanwhile(&w.weather.proxied[e.Node], e.For, nil)
	case demote:
		w.demote(s, e.For)
	case freeze:
		w.meanwhile(&s.frozen, e.For, func() { w.thaw(s) })
	case restart:
		w.restart(s, e.For)
	case restart0:
		s.lose()
		w.restart(s, e.For)
	case save:
		s.save()
	case restartOld:
		for _, value := range s.recall(w.plan.locks()) {
			w.strays[value] = true // it is not released a second time; it expires
		}
		w.restart(s, e.For)
	case flushAll:
		s.lose()
	case nodeJump:
		s.clock.offset += e.For
	}
}

func (w *world) happenToClient(e event) {
	c := w.clients[e.Client]
	switch {
	case e.takes():
		w.sessions[e.Call] = c.begin(e)
		w.calls = append(w.calls, w.sessions[e.Call])
	case e.publishes():
		c.beginSeries(e)
	}
	switch e.Kind {
	case setClock:
		w.lookSlept(c, e.For, func() { c.clock.jump(e.For) })
	case die:
		c.kill()
		w.dead = append(w.dead, c)
		w.clients[e.Client] = newClient(w, e.Client, c.life+1)
	}
	s := w.sessions[e.Call]
	if s == nil {
		return
	}
	switch e.Kind {
	case extendCall:
		s.extend()
	case downgrade:
		s.downgrade()
	case pluck:
		s.pluck(w.servers[e.Node])
	case unlockCall:
		s.early()
	case cancelCall:
		s.cancelled = true
		s.cancel()
	}
}

// meanwhile makes something bad for a time, but not longer than until all faults end.
func (w *world) meanwhile(bad *int, lasts time.Duration, then func()) {
	*bad++
	w.at(min(w.moment()+lasts, max(w.plan.Length, w.moment())), func() {
		if *bad--; *bad == 0 && then != nil {
			then()
		}
	})
}

// tear has a client reach one server of three for so long that other clients, which reach two, have
// to get along without it: one server is down, and the client is cut off from another.
func (w *world) tear(e event) {
	down, l := w.servers[(e.Node+1)%len(w.servers)], w.clients[e.Client].links[e.Node]
	w.torn, w.healed = e.Client+1, w.plan.Length+w.patience()+w.plan.TTL+time.Second
	w.hangUp(down)
	down.down++
	l.cutTo++
	l.cutOff++
	w.at(w.healed, func() {
		down.down--
		l.cutTo--
		l.cutOff--
		w.torn = 0
	})
}

// restart ends a server's process, and starts it after a time. The connections break,
// and what lay in the sockets is gone.
func (w *world) restart(s *server, away time.Duration) {
	clear(s.known)
	w.start(s)
	held := s.held
	s.held = nil
	w.hangUp(s)
	w.meanwhile(&s.down, away, func() { w.note(nil, s, "is there again") })
	for i, m := range held {
		w.after(time.Duration(1+i)*time.Microsecond, func() { w.net.finish(m.message, result{err: errReset}) })
	}
}

// start gives a server's process another run id.
func (w *world) start(s *server) {
	s.starts++
	chance := newLuck(w.plan.Seed, s.index, s.starts)
	s.begin(chance.next())
}

// thaw has a stopped server go on. It finds what waits in its sockets, in an order that
// is not that of sending where these are several.
func (w *world) thaw(s *server) {
	w.note(nil, s, "goes on; %d messages wait in its sockets", len(s.held))
	held := s.held
	s.held = nil
	chance := newLuck(w.plan.Seed, s.index, int(w.moment()))
	for i, m := range held {
		in := chance.between(time.Microsecond, time.Millisecond)
		switch {
		case m.conn != nil:
			of := newLuck(w.plan.Seed, m.conn.id, int(w.moment()))
			in = of.between(time.Microsecond, time.Millisecond) + time.Duration(i)
		case m.link.client.spec.Pipelined:
			in = time.Duration(1 + i) // one connection keeps the order
		}
		w.after(in, m.arrive)
	}
}

// endFaults ends all that is still wrong, and unlocks the locks that were forgotten.
func (w *world) endFaults() {
	w.note(nil, nil, "ALL FAULTS END")
	w.calm = w.moment()
	for _, s := range w.calls {
		if s.Forget {
			s.early()
		}
	}
}
