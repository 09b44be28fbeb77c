package goredis

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9/auth"
)

// credentials returns the credentials for the connection w. The sources are those of
// go-redis, in its order. go-redis does not do it here, since it authenticates again only
// connections that return to its pool.
func (o *opener) credentials(ctx context.Context, w *wire) (user, password string, err error) {
	switch {
	case o.options.StreamingCredentialsProvider != nil:
		w.rotation = &rotation{renewed: o.authenticate}
		return w.rotation.subscribe(o.options.StreamingCredentialsProvider)
	case o.options.CredentialsProviderContext != nil:
		return o.options.CredentialsProviderContext(ctx)
	case o.options.CredentialsProvider != nil:
		user, password = o.options.CredentialsProvider()
		return user, password, nil
	}
	return o.options.Username, o.options.Password, nil
}

// A rotation receives new credentials for one connection. It is an
// [auth.CredentialsListener].
type rotation struct {
	renewed     func(user, password string)
	unsubscribe auth.UnsubscribeFunc

	mu      sync.Mutex // protects the rest
	greeted bool
	used    [2]string // the connection authenticated with them
	newest  [2]string
}

var errNoCredentials = errors.New("the provider returned none, and no error")

func (r *rotation) subscribe(provider auth.StreamingCredentialsProvider) (user, password string, err error) {
	// Not with r.mu held: providers call OnNext from within.
	credentials, unsubscribe, err := provider.Subscribe(r)
	r.unsubscribe = unsubscribe
	if err != nil {
		return "", "", err
	}
	if credentials == nil {
		return "", "", errNoCredentials
	}
	user, password = credentials.BasicAuth()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = [2]string{user, password}
	return user, password, nil
}

// begin is called when the connection is greeted. It passes on credentials that came before.
func (r *rotation) begin() {
	r.mu.Lock()
	r.greeted = true
	newest := r.newest
	r.mu.Unlock()
	if newest != [2]string{} {
		r.next(newest)
	}
}

// OnNext implements [auth.CredentialsListener].
func (r *rotation) OnNext(credentials auth.Credentials) {
	if credentials != nil {
		user, password := credentials.BasicAuth()
		r.next([2]string{user, password})
	}
}

func (r *rotation) next(credentials [2]string) {
	r.mu.Lock()
	r.newest = credentials
	pass := r.greeted && credentials != r.used
	if pass {
		r.used = credentials
	}
	r.mu.Unlock()
	if pass {
		r.renewed(credentials[0], credentials[1])
	}
}

// OnError implements [auth.CredentialsListener]. The connection is as good as before.
func (r *rotation) OnError(error) {}

func (r *rotation) end() {
	r.mu.Lock()
	r.greeted = false // credentials that come later are ignored
	r.mu.Unlock()
	if r.unsubscribe != nil {
		_ = r.unsubscribe() // no call is left that could return the error
	}
}

// authenticate sends new credentials down the connection. It returns at once.
//
// If the server refuses them, the connection keeps its rights, as a connection of go-redis
// does. A later connection asks for credentials anyway.
func (p *Pipelined) authenticate(user, password string) {
	ctx, cancel := context.WithTimeout(context.Background(), greetingTimeout)
	args := []any{"AUTH", user, password}
	if user == "" {
		args = []any{"AUTH", password}
	}
	p.pipe.Submit(ctx, done(cancel), args...)
}

// done is a receiver that ignores the outcome.
type done context.CancelFunc

// Receive implements [pool.Receiver].
func (d done) Receive(any, error) { d() }
