package main

import (
	"strconv"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"github.com/quorumlock/quorumlock/pool"
)

// With --real the scripts are carried out as they are, by an interpreter of Lua that
// calls commands on the same data as the model. An interpreter serves one loop after
// the other: to make one takes longer than most runs of a script.
type interpreter struct {
	state   *lua.LState
	scripts map[string]*lua.LFunction // by text

	command // that is being carried out
	run     string
}

// theInterpreter is that of a process, which has one loop at a time.
var theInterpreter = sync.OnceValue(newInterpreter)

func newInterpreter() *interpreter {
	i := &interpreter{state: lua.NewState(), scripts: make(map[string]*lua.LFunction)}
	i.state.SetGlobal("redis", i.state.SetFuncs(i.state.NewTable(), map[string]lua.LGFunction{
		"call":        func(l *lua.LState) int { return i.call(l, true) },
		"pcall":       func(l *lua.LState) int { return i.call(l, false) },
		"error_reply": func(l *lua.LState) int { l.Push(failure(l, l.CheckString(1))); return 1 },
	}))
	return i
}

// eval carries out a script. run is the run id of the server.
func (i *interpreter) eval(text string, c command, run string) (reply any, err error) {
	l := i.state
	i.command, i.run = c, run
	script := i.scripts[text]
	if script == nil {
		if script, err = l.LoadString(text); err != nil {
			return nil, pool.Error("ERR Error compiling script: " + err.Error())
		}
		i.scripts[text] = script
	}
	l.SetGlobal("KEYS", list(l, c.call.Keys()))
	l.SetGlobal("ARGV", list(l, c.call.Args()))
	l.Push(script)
	if err := l.PCall(0, 1, nil); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n") // an error reply has one
		return nil, pool.Error("ERR Error running script: " + line)
	}
	value := l.Get(-1)
	l.Pop(1)
	switch reply = fromLua(value); reply := reply.(type) {
	case pool.Error:
		return nil, reply
	}
	return reply, nil
}

// call is redis.call, and redis.pcall, which returns errors.
func (i *interpreter) call(l *lua.LState, raise bool) int {
	args := make([]string, l.GetTop())
	for n := range args {
		switch arg := l.Get(n + 1).(type) {
		case lua.LString:
			args[n] = string(arg)
		case lua.LNumber: // as servers since Redis 7 write it
			args[n] = strconv.FormatFloat(float64(arg), 'g', 17, 64)
		default:
			l.RaiseError("an argument of a command is a %v", arg.Type())
		}
	}
	reply, err := i.command.redis(i.run, args)
	if err != nil {
		if raise {
			l.RaiseError("%v", err)
		}
		l.Push(failure(l, err.Error()))
		return 1
	}
	l.Push(toLua(l, reply))
	return 1
}

func failure(l *lua.LState, text string) *lua.LTable {
	t := l.NewTable()
	t.RawSetString("err", lua.LString(text))
	return t
}

func list(l *lua.LState, args []any) *lua.LTable {
	t := l.CreateTable(len(args), 0)
	for _, arg := range args {
		t.Append(lua.LString(text(arg)))
	}
	return t
}

func toLua(l *lua.LState, reply any) lua.LValue {
	switch reply := reply.(type) {
	case string:
		return lua.LString(reply)
	case int64:
		return lua.LNumber(reply)
	case status:
		t := l.NewTable()
		t.RawSetString("ok", lua.LString(reply))
		return t
	case []any:
		t := l.CreateTable(len(reply), 0)
		for _, element := range reply {
			t.Append(toLua(l, element))
		}
		return t
	}
	return lua.LFalse
}

// fromLua makes a reply of what a script returns.
func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LString:
		return string(value)
	case lua.LNumber:
		return int64(value)
	case lua.LBool:
		if value {
			return int64(1)
		}
	case *lua.LTable:
		if text, ok := value.RawGetString("err").(lua.LString); ok {
			return pool.Error(text)
		}
		if text, ok := value.RawGetString("ok").(lua.LString); ok {
			return status(text)
		}
		elements := []any{}
		for n := 1; value.RawGetInt(n) != lua.LNil; n++ { // it ends at the first nil
			elements = append(elements, fromLua(value.RawGetInt(n)))
		}
		return elements
	}
	return nil
}
