package goredis

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/redis/go-redis/v9"
)

var errHidden = errors.New("goredis: this version of go-redis keeps the hooks of a client where NewPipelined does not find them; use New")

// hooksOf returns the hooks of a client, those of AddHook, in that order.
//
// go-redis runs them when one of its own pools dials, and exports no other way to run them.
// Another hook beside them is no solution: it is the innermost one, and sees the connection
// before the user's hooks have wrapped it. So the hooks are read from where go-redis 9.23
// keeps them. If they are not found, nothing is dialed: without the hooks the connection
// could lead to another server.
func hooksOf(client *redis.Client) (hooks []redis.Hook, err error) {
	defer func() {
		if r := recover(); r != nil {
			hooks, err = nil, fmt.Errorf("%w (%v)", errHidden, r)
		}
	}()
	// client.baseClient.hooksMixin.state is an *atomic.Pointer to a struct, which is
	// never changed once it is stored there.
	cell := reflect.ValueOf(client).Elem().FieldByName("baseClient").Elem().FieldByName("hooksMixin").FieldByName("state")
	load, ok := cell.Type().MethodByName("Load")
	if !ok {
		return nil, errHidden
	}
	// The same pointer without the mark of an unexported field, so that Call accepts it.
	cell = reflect.NewAt(cell.Type().Elem(), cell.UnsafePointer())
	state := load.Func.Call([]reflect.Value{cell})[0]
	if state.IsNil() {
		return nil, nil
	}
	slice := state.Elem().FieldByName("slice")
	if slice.Type() != reflect.TypeFor[[]redis.Hook]() {
		return nil, errHidden
	}
	return *(*[]redis.Hook)(slice.Addr().UnsafePointer()), nil
}
