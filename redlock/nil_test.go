package redlock

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

// A method that is added has to say what it answers when there is nothing.
var answersOfNil = map[string]func(t *testing.T, results []reflect.Value){
	"Lock.Name":      wantZero,
	"Lock.Until":     wantZero,
	"Lock.Held":      wantZero,
	"Lock.Token":     wantZero,
	"Lock.Extend":    wantNotHeld,
	"Lock.Unlock":    wantNotHeld,
	"Lock.Downgrade": wantNotHeld,
	"Lock.Shared":    wantZero,
	"Lock.Handle":    wantNotHeld,
	"Lock.Names":     wantZero,
	"Lock.String":    wantText("no lock"),
	"Lock.GoString":  wantText("no lock"),
	"Lock.Context": func(t *testing.T, results []reflect.Value) {
		ctx := results[0].Interface().(context.Context)
		select {
		case <-ctx.Done():
		default:
			t.Error("the context of no lock goes on")
		}
		if err := ctx.Err(); err == nil || !errors.Is(context.Cause(ctx), ErrNotHeld) {
			t.Errorf("error %v, cause %v", err, context.Cause(ctx))
		}
	},
	"Pending.Wait":   wantNotHeld,
	"Pending.Cancel": func(*testing.T, []reflect.Value) {},
	"Pending.Done": func(t *testing.T, results []reflect.Value) {
		select {
		case <-results[0].Interface().(<-chan struct{}):
		default:
			t.Error("a request that was not made goes on")
		}
	},
	"Pending.Position": func(t *testing.T, results []reflect.Value) {
		if results[0].Int() != 0 || !results[1].Bool() {
			t.Errorf("position %v, %v", results[0], results[1])
		}
	},
}

func wantZero(t *testing.T, results []reflect.Value) {
	for i, r := range results {
		if !r.IsZero() {
			t.Errorf("result %d is %v", i, r)
		}
	}
}

func wantNotHeld(t *testing.T, results []reflect.Value) {
	last := len(results) - 1
	wantZero(t, results[:last])
	if err, _ := results[last].Interface().(error); !errors.Is(err, ErrNotHeld) {
		t.Errorf("error %v", err)
	}
}

func wantText(text string) func(*testing.T, []reflect.Value) {
	return func(t *testing.T, results []reflect.Value) {
		if results[0].String() != text {
			t.Errorf("%q", results[0])
		}
	}
}

// Deferred calls are made of a lock that came with an error, and hide that if they panic.
func TestEveryMethodOfNoLockAndNoRequestAnswers(t *testing.T) {
	arguments := map[reflect.Type]reflect.Value{
		reflect.TypeFor[context.Context](): reflect.ValueOf(context.Background()),
		reflect.TypeFor[time.Duration]():   reflect.ValueOf(time.Second),
	}
	for _, receiver := range []any{(*Lock)(nil), (*Pending)(nil)} {
		v := reflect.ValueOf(receiver)
		for i := range v.NumMethod() {
			name := v.Type().Elem().Name() + "." + v.Type().Method(i).Name
			t.Run(name, func(t *testing.T) {
				answer := answersOfNil[name]
				if answer == nil {
					t.Fatal("it is new: say here what it answers of nil, and in its comment")
				}
				var in []reflect.Value
				for j := range v.Method(i).Type().NumIn() {
					arg, known := arguments[v.Method(i).Type().In(j)]
					if !known {
						t.Fatalf("no argument for parameter %d", j)
					}
					in = append(in, arg)
				}
				answer(t, v.Method(i).Call(in))
			})
		}
	}
}
