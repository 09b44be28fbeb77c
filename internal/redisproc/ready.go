package redisproc

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// awaitReady returns when p answers commands on the server's address, or an error if it will not.
func (s *Server) awaitReady(p *process) error {
	deadline := time.NewTimer(10 * s.opts.Timeout)
	defer deadline.Stop()
	for {
		err := s.ready(p)
		if err == nil || errors.Is(err, errPortTaken) {
			return err
		}
		select {
		case <-p.gone:
			if strings.Contains(s.Output(), "Address already in use") {
				return errPortTaken
			}
			return errors.New("it ended")
		case <-deadline.C:
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(2 * time.Millisecond):
			// A server does not notify when it is ready: ask again.
		}
	}
}

// ready asks the server for its process id: an answer alone could be that of
// another server which took the port.
func (s *Server) ready(p *process) error {
	reply, err := s.Do("INFO", "server")
	var refusal Error
	if errors.As(err, &refusal) && !strings.HasPrefix(string(refusal), "LOADING") {
		return nil // it answers; Args set a password or an ACL
	}
	if err != nil {
		return err
	}
	info, _ := reply.(string)
	if !strings.Contains(info, fmt.Sprintf("\nprocess_id:%d\r", p.pid)) {
		return errPortTaken
	}
	_, err = s.Do("PING") // unlike INFO it is refused while data is loaded
	return err
}
