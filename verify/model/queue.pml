/*
 * The wait queue (WithFair): first come, first served, and it moves on.
 *
 * In the model: W processes with one caller each, and N nodes that do what acquire_in_turn.lua
 * and release.lua do. An attempt goes to the nodes one by one, in any order, and
 * leaves out any; others act between any two. A waiter without a ticket draws one
 * from the answers of its attempt. A waiter with too few grants rolls them back, and
 * goes back to its position on each node. Waiter DIES may die at any time (0 .. W - 1; W: none);
 * its position and its key on the nodes expire there at any time after.
 *
 * Not in it: attempts whose commands arrive after the next attempt has begun, local
 * queues of several callers in one process, wake-ups, nodes that forget.
 *
 * Checked: a waiter is granted the lock after all live waiters that were registered
 * on a majority before it joined. No two hold it. And with -DPROGRESS,
 * where an attempt reaches all nodes: there is no run in which each process goes on
 * and none is granted the lock any more, though a process waits.
 */
#ifndef W
#define W 3
#endif
#ifndef DIES
#define DIES W
#endif
#define N 3
#define MAJORITY (N / 2 + 1)
#define NONE W
#ifdef DRAW_FROM_ONE
#define ENOUGH 1
#else
#define ENOUGH (N - MAJORITY + 1) /* so many that one is in every majority */
#endif
#ifdef NOT_RAISED
#define next(t) (t > 0 -> t : 1)
#else
#define next(t) (t + 1)
#endif

/* Waiters. */
#define AWAY 0
#define ASKS 1   /* an attempt is under way */
#define BACK 2   /* gives back what it was granted */
#define HOLDS 3
#define LEAVES 4 /* releases */
#define SERVED 5
#define GONE 6   /* died */

/* Nodes. */
byte held[N] = NONE;  /* the waiter that has the key */
byte position[N * W];      /* the ticket of the waiter there; 0 for none */
byte last[N];           /* the largest ticket seen */
#ifdef HEAD_BY_LOCAL_ARRIVAL
byte arrival[N * W];
byte arrived[N];
#define rank(n, w) arrival[(n) * W + (w)]
#else
#define rank(n, w) (position[(n) * W + (w)] * 8 + (w)) /* waiter ids decide between equal tickets */
#endif

byte state[W];
byte ticket[W];
byte seen[W];           /* the largest ticket in the answers */
byte asked[W];          /* nodes that this attempt is done with, as bits */
byte answers[W];
byte before[W];         /* the waiters registered before it joined, as bits */
byte i, j, yes;         /* scratch: 0 between steps */
#define POSITION(n, w) position[(n) * W + (w)]
#define bit(x) (1 << (x))

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(x, n) { unsigned char t = (x)[n]; (x)[n] = (x)[n + 1]; (x)[n + 1] = t; }
#define ASKED(w, n) (now.asked[w] >> (n) & 1)
	static void sort_nodes(void) {
		int pass, w;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = now.held[n] - now.held[n + 1];
			if (d == 0) d = now.last[n] - now.last[n + 1];
			for (w = 0; w < W && d == 0; w++) d = now.position[n * W + w] - now.position[(n + 1) * W + w];
			for (w = 0; w < W && d == 0; w++) d = ASKED(w, n) - ASKED(w, n + 1);
			if (d <= 0) continue;
			SWAP(now.held, n) SWAP(now.last, n)
			for (w = 0; w < W; w++) {
				unsigned char t = now.position[n * W + w];
				now.position[n * W + w] = now.position[(n + 1) * W + w]; now.position[(n + 1) * W + w] = t;
				if (ASKED(w, n) != ASKED(w, n + 1)) now.asked[w] ^= 3 << n;
			}
		}
	}
}
#define done i = 0; j = 0; yes = 0; c_code { sort_nodes(); }
#else
#define done i = 0; j = 0; yes = 0
#endif

/* j is the head of the queue at node n, NONE if it is empty. */
inline first(n) {
	j = NONE;
	for (i : 0 .. W - 1) {
		if
		:: POSITION(n, i) > 0 && (j == NONE || rank(n, i) < rank(n, j)) -> j = i
		:: else
		fi
	}
}
inline enqueue(n, w) {
#ifdef HEAD_BY_LOCAL_ARRIVAL
	if :: arrival[n * W + w] == 0 -> arrived[n]++; arrival[n * W + w] = arrived[n] :: else fi;
#endif
	POSITION(n, w) = ticket[w]
}
/* yes is the number of nodes where w has a position, or has the key while it tries. */
inline registered(w) {
	yes = 0;
	for (j : 0 .. N - 1) {
		if :: ticket[w] > 0 && (POSITION(j, w) > 0 || held[j] == w) -> yes++ :: else fi
	}
}

/* acquire_in_turn.lua on node n for w. */
inline acquire_in_turn(n, w) {
	if :: ticket[w] > last[n] -> last[n] = ticket[w] :: else fi;
	if :: ticket[w] > 0 -> enqueue(n, w) :: else fi;
	first(n);
	if
	:: held[n] == NONE && (j == NONE || j == w && ticket[w] > 0) -> held[n] = w; POSITION(n, w) = 0
	:: else
	fi;
	if :: last[n] > seen[w] -> seen[w] = last[n] :: else fi;
	answers[w]++; asked[w] = asked[w] | bit(n)
}
/* release.lua: with a requeue, or without. */
inline release(n, w) {
	if
	:: held[n] == w -> held[n] = NONE;
#ifndef NO_REQUEUE
		if :: state[w] == BACK && ticket[w] > 0 -> enqueue(n, w) :: else fi
#endif
	:: else
	fi;
	if :: state[w] == LEAVES -> POSITION(n, w) = 0 :: else fi;
	asked[w] = asked[w] | bit(n)
}

#define w _pid
#define alive(x) (state[x] == ASKS || state[x] == BACK)
active [W] proctype waiter() {
end:	do
	:: d_step { state[w] == AWAY ->
		for (i : 0 .. W - 1) {
			if
			:: i != w && alive(i) -> registered(i);
				if :: yes >= MAJORITY -> before[w] = before[w] | bit(i) :: else fi
			:: else
			fi
		}
		state[w] = ASKS; done }

	:: d_step { state[w] == ASKS && !(asked[w] & 1) -> acquire_in_turn(0, w); done }
	:: d_step { state[w] == ASKS && !(asked[w] & 2) -> acquire_in_turn(1, w); done }
	:: d_step { state[w] == ASKS && !(asked[w] & 4) -> acquire_in_turn(2, w); done }
#ifdef PROGRESS
	:: d_step { state[w] == ASKS && asked[w] == 7 ->
#else
	:: d_step { state[w] == ASKS && asked[w] != 0 ->
#endif
		for (i : 0 .. N - 1) { if :: held[i] == w -> yes++ :: else fi }
		if
		:: yes >= MAJORITY ->
			state[w] = HOLDS;
			for (i : 0 .. W - 1) {
				assert(i == w || state[i] != HOLDS);                /* two hold it */
				assert(!(before[w] & bit(i)) || !alive(i)) /* another came first */
#ifdef REACH_HANDED_OVER
				; assert(state[i] != SERVED || !(before[w] & bit(i)))
#endif
			}
#ifdef REACH_PASSED_A_DEAD_WAITER
			assert(state[0] != GONE || !(before[w] & 1));
#endif
			before[w] = 0; seen[w] = 0
		:: else ->
			state[w] = BACK;
#ifdef REACH_PARTIAL
			assert(yes == 0 || ticket[w] == 0);
#endif
			if /* the ticket that it goes on with; the requeue is without */
			:: ticket[w] == 0 && answers[w] >= ENOUGH -> seen[w] = next(seen[w])
			:: else -> seen[w] = 0
			fi
		fi;
		asked[w] = 0; answers[w] = 0;
		for (i : 0 .. N - 1) { /* there is nothing to roll back */
			if :: state[w] == BACK && held[i] != w -> asked[w] = asked[w] | bit(i) :: else fi
		}
		done }

	:: d_step { (state[w] == BACK || state[w] == LEAVES) && !(asked[w] & 1) -> release(0, w); done }
	:: d_step { (state[w] == BACK || state[w] == LEAVES) && !(asked[w] & 2) -> release(1, w); done }
	:: d_step { (state[w] == BACK || state[w] == LEAVES) && !(asked[w] & 4) -> release(2, w); done }
	:: d_step { state[w] == BACK && asked[w] == 7 ->
		if :: ticket[w] == 0 -> ticket[w] = seen[w] :: else fi;
		state[w] = ASKS; asked[w] = 0; seen[w] = 0; done }
	:: d_step { state[w] == HOLDS -> state[w] = LEAVES }
	:: d_step { state[w] == LEAVES && asked[w] == 7 -> state[w] = SERVED; asked[w] = 0; ticket[w] = 0; done }
#if DIES < W
	:: d_step { w == DIES && state[w] != AWAY && state[w] < SERVED ->
		state[w] = GONE; ticket[w] = 0; seen[w] = 0; asked[w] = 0; answers[w] = 0; before[w] = 0; done }
#endif
	od
}
#undef w

#if DIES < W
#define expire(n) :: d_step { state[DIES] == GONE && held[n] == DIES -> held[n] = NONE; done }
#ifdef DEAD_WAITER_NEVER_DROPPED
#define drop(n)
#else
#define drop(n) :: d_step { state[DIES] == GONE && POSITION(n, DIES) > 0 -> POSITION(n, DIES) = 0; done }
#endif
active proctype leases() {
end:	do
	expire(0) expire(1) expire(2) drop(0) drop(1) drop(2)
	od
}
#endif
