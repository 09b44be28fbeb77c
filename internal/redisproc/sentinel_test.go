package redisproc

import "testing"

func TestASentinelMakesAReplicaTheMasterWhenAsked(t *testing.T) {
	master := Start(t, Options{})
	must(t, master, "SET", "k", "v")
	replica := master.StartReplica(t, Options{})
	sentinel := master.StartSentinel(t, 1, Options{})
	if addr := sentinel.FailOver(t); addr != replica.Addr() {
		t.Fatalf("the master is %s, and should be %s", addr, replica.Addr())
	}
	want(t, replica, "v", "GET", "k")
	must(t, replica, "SET", "k", "new")
}
