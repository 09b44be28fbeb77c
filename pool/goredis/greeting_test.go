package goredis

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// What becomes of an option of the user's client.
type treatment string

const (
	copied   treatment = "copied: the client that greets has it, too"
	here     treatment = "heeded here, where the connection is dialed; the client that greets has another value"
	replaced treatment = "replaced"
	ofNoUse  treatment = "not used: it is about what a client does besides opening a connection"
)

// treatments says it of every field of redis.Options. One that a later go-redis brings is
// missing here, and must be thought about: does it change which server is reached, as
// which user, or what is on the connection?
var treatments = map[string]struct {
	treatment
	why string
}{
	"Network":                      {copied, "given to the Dialer"},
	"Addr":                         {copied, "given to the Dialer"},
	"NodeAddress":                  {copied, "of notices that are switched off"},
	"ClientName":                   {copied, "CLIENT SETNAME"},
	"Dialer":                       {here, "called here, within the client's dial hooks"},
	"OnConnect":                    {copied, "called by go-redis when it has greeted"},
	"Protocol":                     {copied, "HELLO"},
	"Username":                     {here, "one of the sources of credentials"},
	"Password":                     {here, "one of the sources of credentials"},
	"CredentialsProvider":          {here, "one of the sources of credentials"},
	"CredentialsProviderContext":   {here, "one of the sources of credentials"},
	"StreamingCredentialsProvider": {here, "one of the sources of credentials: go-redis would authenticate again while we use the connection"},
	"DB":                           {copied, "SELECT"},
	"MaxRetries":                   {replaced, "a greeting that failed is not repeated on the same connection"},
	"MinRetryBackoff":              {ofNoUse, "nothing is repeated"},
	"MaxRetryBackoff":              {ofNoUse, "nothing is repeated"},
	"DialTimeout":                  {copied, "bounds the dial, see dial"},
	"DialerRetries":                {replaced, "package pipeline says when the next dial is due"},
	"DialerRetryTimeout":           {ofNoUse, "dials are not repeated"},
	"DialerRetryBackoff":           {ofNoUse, "dials are not repeated"},
	"ReadTimeout":                  {copied, "bounds each step of the greeting"},
	"WriteTimeout":                 {copied, "bounds each step of the greeting"},
	"ContextTimeoutEnabled":        {replaced, "true: the context bounds the greeting as a whole"},
	"ReadBufferSize":               {ofNoUse, "replies are read here"},
	"WriteBufferSize":              {ofNoUse, "commands are written here"},
	"PipelineReadBufferSize":       {ofNoUse, "of go-redis's pipelines"},
	"PipelineWriteBufferSize":      {ofNoUse, "of go-redis's pipelines"},
	"PipelinePoolSize":             {replaced, "no pool for go-redis's pipelines"},
	"AutoPipelineOptions":          {ofNoUse, "of go-redis's pipelines"},
	"PoolFIFO":                     {ofNoUse, "there is one connection"},
	"PoolSize":                     {replaced, "there is one connection. With Sentinel a client of 1 is refused: one is kept in use"},
	"MaxConcurrentDials":           {ofNoUse, "there is one connection"},
	"maxConcurrentDialsSet":        {ofNoUse, "there is one connection"},
	"maxConcurrentDialsInit":       {ofNoUse, "there is one connection"},
	"PoolTimeout":                  {ofNoUse, "there is one connection"},
	"MinIdleConns":                 {replaced, "there is one connection"},
	"MaxIdleConns":                 {ofNoUse, "there is one connection"},
	"MaxActiveConns":               {replaced, "there is one connection. With Sentinel a client of 1 is refused: one is kept in use"},
	"ConnMaxIdleTime":              {ofNoUse, "the connection stays until it breaks"},
	"ConnMaxLifetime":              {ofNoUse, "the connection stays until it breaks"},
	"ConnMaxLifetimeJitter":        {ofNoUse, "the connection stays until it breaks"},
	"TLSConfig":                    {copied, "used by the client's Dialer"},
	"Limiter":                      {replaced, "it limits commands, and there is one PING"},
	"readOnly":                     {copied, "READONLY; of cluster clients only"},
	"DisableIndentity":             {copied, "CLIENT SETINFO"},
	"DisableIdentity":              {copied, "CLIENT SETINFO"},
	"IdentitySuffix":               {copied, "CLIENT SETINFO"},
	"UnstableResp3":                {ofNoUse, "of search commands"},
	"PushNotificationProcessor":    {replaced, "pushes are skipped here"},
	"FailingTimeoutSeconds":        {ofNoUse, "of cluster clients"},
	"MaintNotificationsConfig":     {replaced, "the server is not asked for notices: nothing here reads them"},
	"ClientSideCache":              {replaced, "nothing is cached"},
	"ClientSideCacheConfig":        {replaced, "nothing is cached"},
	"ClientSideCacheStrategy":      {ofNoUse, "nothing is cached"},

	"ClientSideCacheRefreshOnInvalidate":     {ofNoUse, "nothing is cached"},
	"ClientSideCacheCoalesceMisses":          {ofNoUse, "nothing is cached"},
	"ClientSideCacheInvalidationBatchWindow": {ofNoUse, "nothing is cached"},
}

type noProvider struct{}

func (noProvider) Subscribe(auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	return nil, nil, nil
}

type noLimiter struct{}

func (noLimiter) Allow() error       { return nil }
func (noLimiter) ReportResult(error) {}

// fill gives every field that is exported a value that is not zero.
func fill(t *testing.T, o *redis.Options) {
	o.StreamingCredentialsProvider = noProvider{}
	o.Limiter = noLimiter{}
	o.PushNotificationProcessor = redis.NewVoidPushNotificationProcessor()
	o.ClientSideCache = redis.NewLocalCache(redis.ClientSideCacheConfig{})
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if !f.CanSet() || !f.IsZero() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString("text")
		case reflect.Int, reflect.Int64:
			f.SetInt(7)
		case reflect.Bool:
			f.SetBool(name != "ContextTimeoutEnabled") // the value that changes
		case reflect.Func:
			f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { panic(name) }))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		default:
			t.Errorf("a %v, %s: give it a value here", f.Type(), name)
		}
	}
}

func TestEveryOptionOfTheClientIsCopiedReplacedOrOfNoMatter(t *testing.T) {
	var options redis.Options
	fill(t, &options)
	conn := new(lent)
	greeting := greetingOptions(options, conn, "user", "password")
	was, is := reflect.ValueOf(options), reflect.ValueOf(*greeting)
	for i := range was.NumField() {
		name := was.Type().Field(i).Name
		got, known := treatments[name]
		if !known {
			t.Errorf("this test does not list %s", name)
			continue
		}
		equal := reflect.DeepEqual(printable(was.Field(i)), printable(is.Field(i)))
		switch got.treatment {
		case copied:
			if !equal {
				t.Errorf("%s is not copied", name)
			}
		case here, replaced:
			if equal {
				t.Errorf("%s is copied, and should not be", name)
			}
		}
	}
	for name := range treatments {
		if _, ok := was.Type().FieldByName(name); !ok {
			t.Errorf("go-redis has no %s any more", name)
		}
	}
	if m := greeting.MaintNotificationsConfig; m.Mode != maintnotifications.ModeDisabled {
		t.Errorf("the server is asked for notices: %v", m.Mode)
	}
}

// printable is what can be compared: functions by where they are.
func printable(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Func, v.Kind() == reflect.Pointer:
		return v.Pointer()
	case v.CanInterface():
		return v.Interface()
	}
	return v.String() + v.Kind().String()
}

func TestAConnectionThatIsBackIsOutOfGoRedissReach(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	l := &lent{Conn: ours}
	if got, err := l.dial(t.Context(), "", ""); got != l || err != nil {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := l.dial(t.Context(), "", ""); !errors.Is(err, errLent) {
		t.Errorf("it was lent twice: %v", err)
	}
	l.back.Store(true)
	if _, err := l.Write([]byte("AUTH")); !errors.Is(err, errLent) {
		t.Errorf("written: %v", err)
	}
	if _, err := l.Read(make([]byte, 1)); !errors.Is(err, errLent) {
		t.Errorf("read: %v", err)
	}
	if err := l.SetDeadline(time.Now()); !errors.Is(err, errLent) {
		t.Errorf("its deadline was set: %v", err)
	}
	if err := l.Close(); !errors.Is(err, errLent) {
		t.Errorf("closed: %v", err)
	}
	go func() { _, _ = io.WriteString(theirs, "x") }() // ends with the pipe
	if _, err := io.ReadFull(ours, make([]byte, 1)); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func TestTheHooksOfAClientAreFoundInTheirOrder(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	if hooks, err := hooksOf(client); len(hooks) != 0 || err != nil {
		t.Fatalf("got %v, %v", hooks, err)
	}
	first, second := new(watch), new(watch)
	client.AddHook(first)
	client.AddHook(second)
	if hooks, err := hooksOf(client); len(hooks) != 2 || hooks[0] != redis.Hook(first) || hooks[1] != redis.Hook(second) || err != nil {
		t.Fatalf("got %v, %v", hooks, err)
	}
}

func TestWhereHooksCannotBeFoundNothingIsDialed(t *testing.T) {
	o := &opener{client: new(redis.Client), options: redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) { panic("dialed") },
	}}
	if _, err := o.dial(t.Context()); !errors.Is(err, errHidden) {
		t.Errorf("got %v", err)
	}
}

func TestThePipelinedConnectionToADemotedMasterIsNotUsedAgain(t *testing.T) {
	for _, says := range []string{
		"-READONLY You can't write against a read only replica.\r\n",
		"-ERR READONLY You can't write against a read only replica.\r\n",
		"-ERR Error running script (call to f_x): @user_script:1: -READONLY You can't write against a read only replica.\r\n",
		"-MASTERDOWN Link with MASTER is down\r\n",
		"-ERR proxy: MASTERDOWN Link with MASTER is down\r\n",
	} {
		s := startScripted(t)
		client := redis.NewClient(&redis.Options{Addr: s.addr})
		p := NewPipelined(client)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := p.Do(ctx, "REPLY", says); err == nil {
			t.Errorf("%q was no error", says)
		}
		if number, err := p.Do(ctx, "ROLE"); number != int64(2) || err != nil {
			t.Errorf("after %q the command went to connection %v, %v", says, number, err)
		}
		cancel()
		p.Close()
		client.Close()
	}
}

func TestNewCredentialsThatComeWhileAConnectionIsGreetedAreUsedAfterwards(t *testing.T) {
	var renewed []string
	r := &rotation{renewed: func(user, _ string) { renewed = append(renewed, user) }}
	r.used = [2]string{"first", "first"}
	r.OnNext(auth.NewBasicCredentials("first", "first"))
	r.OnNext(auth.NewBasicCredentials("second", "second"))
	if len(renewed) != 0 {
		t.Fatalf("before the greeting: %v", renewed)
	}
	r.begin()
	r.OnNext(auth.NewBasicCredentials("second", "second"))
	r.OnNext(auth.NewBasicCredentials("third", "third"))
	r.end()
	r.OnNext(auth.NewBasicCredentials("fourth", "fourth"))
	if want := []string{"second", "third"}; !reflect.DeepEqual(renewed, want) {
		t.Errorf("got %v, want %v", renewed, want)
	}
}
