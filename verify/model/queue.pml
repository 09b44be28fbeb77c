/*
 * The line of those who wait (WithFair): first come first served, and it moves on.
 *
 * In the model: W processes with one caller each, and N nodes that do what acquire_in_turn.lua
 * and release.lua do. An attempt goes to the nodes one by one, in any order, and
 * leaves out any; others act between any two. Who has no ticket draws one from the
 * answers of his attempt. Who was granted too few nodes gives them back, and goes
 * back to his place on each. Waiter DIES may die at any time (0 .. W - 1; W: none);
 * what it had on the nodes, place and key, expires there at any time after.
 *
 * Not in it: attempts whose commands arrive after the next attempt has begun, lines
 * of several callers in one process, wake-ups, nodes that forget.
 *
 * Checked: who is granted the lock stands behind nobody alive who was registered on
 * a majority before it joined. Nobody holds it beside another. And with -DPROGRESS,
 * where an attempt reaches all nodes: there is no run in which each process goes on
 * and none is granted the lock any more, though somebody waits.
 */
#ifndef W
#define W 3
#endif
#ifndef DIES
#define DIES W
#endif
#define N 3
#define MAJORITY (N / 2 + 1)
#define NOBODY W
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
byte held[N] = NOBODY;  /* who has the key */
byte place[N * W];      /* the ticket under which it stands there; 0 for none */
byte last[N];           /* the largest ticket seen */
#ifdef HEAD_BY_LOCAL_ARRIVAL
byte arrival[N * W];
byte arrived[N];
#define rank(n, w) arrival[(n) * W + (w)]
#else
#define rank(n, w) (place[(n) * W + (w)] * 8 + (w)) /* names decide between equal tickets */
#endif

byte state[W];
byte ticket[W];
byte seen[W];           /* the largest ticket in the answers */
byte asked[W];          /* nodes that this attempt is done with, as bits */
byte answers[W];
byte before[W];         /* who was registered before it joined, as bits */
byte i, j, yes;         /* scratch: 0 between steps */
#define PLACE(n, w) place[(n) * W + (w)]
#define bit(x) (1 << (x))

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(x, n) { unsigned char t = (x)[n]; (x)[n] = (x)[n + 1]; (x)[n + 1] = t; }
#define ASKED(w, n) (now.asked[w] >> (n) & 1)
	static void sort_nodes(void) {
		int turn, w;
		for (turn = 0; turn < N; turn++) {
			int n = turn & 1, d = now.held[n] - now.held[n + 1];
			if (d == 0) d = now.last[n] - now.last[n + 1];
			for (w = 0; w < W && d == 0; w++) d = now.place[n * W + w] - now.place[(n + 1) * W + w];
			for (w = 0; w < W && d == 0; w++) d = ASKED(w, n) - ASKED(w, n + 1);
			if (d <= 0) continue;
			SWAP(now.held, n) SWAP(now.last, n)
			for (w = 0; w < W; w++) {
				unsigned char t = now.place[n * W + w];
				now.place[n * W + w] = now.place[(n + 1) * W + w]; now.place[(n + 1) * W + w] = t;
				if (ASKED(w, n) != ASKED(w, n + 1)) now.asked[w] ^= 3 << n;
			}
		}
	}
}
#define done i = 0; j = 0; yes = 0; c_code { sort_nodes(); }
#else
#define done i = 0; j = 0; yes = 0
#endif

/* j is the first in line at node n, NOBODY if there is none. */
inline first(n) {
	j = NOBODY;
	for (i : 0 .. W - 1) {
		if
		:: PLACE(n, i) > 0 && (j == NOBODY || rank(n, i) < rank(n, j)) -> j = i
		:: else
		fi
	}
}
inline stand(n, w) {
#ifdef HEAD_BY_LOCAL_ARRIVAL
	if :: arrival[n * W + w] == 0 -> arrived[n]++; arrival[n * W + w] = arrived[n] :: else fi;
#endif
	PLACE(n, w) = ticket[w]
}
/* yes is the number of nodes where w stands, or has the key while it tries. */
inline registered(w) {
	yes = 0;
	for (j : 0 .. N - 1) {
		if :: ticket[w] > 0 && (PLACE(j, w) > 0 || held[j] == w) -> yes++ :: else fi
	}
}

/* acquire_in_turn.lua on node n for w. */
inline turn(n, w) {
	if :: ticket[w] > last[n] -> last[n] = ticket[w] :: else fi;
	if :: ticket[w] > 0 -> stand(n, w) :: else fi;
	first(n);
	if
	:: held[n] == NOBODY && (j == NOBODY || j == w && ticket[w] > 0) -> held[n] = w; PLACE(n, w) = 0
	:: else
	fi;
	if :: last[n] > seen[w] -> seen[w] = last[n] :: else fi;
	answers[w]++; asked[w] = asked[w] | bit(n)
}
/* release.lua: with a way back into the line, or without. */
inline release(n, w) {
	if
	:: held[n] == w -> held[n] = NOBODY;
#ifndef NO_WAY_BACK
		if :: state[w] == BACK && ticket[w] > 0 -> stand(n, w) :: else fi
#endif
	:: else
	fi;
	if :: state[w] == LEAVES -> PLACE(n, w) = 0 :: else fi;
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

	:: d_step { state[w] == ASKS && !(asked[w] & 1) -> turn(0, w); done }
	:: d_step { state[w] == ASKS && !(asked[w] & 2) -> turn(1, w); done }
	:: d_step { state[w] == ASKS && !(asked[w] & 4) -> turn(2, w); done }
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
				assert(!(before[w] & bit(i)) || !alive(i)) /* somebody came first */
#ifdef REACH_HANDED_ON
				; assert(state[i] != SERVED || !(before[w] & bit(i)))
#endif
			}
#ifdef REACH_PASSED_THE_DEAD
			assert(state[0] != GONE || !(before[w] & 1));
#endif
			before[w] = 0; seen[w] = 0
		:: else ->
			state[w] = BACK;
#ifdef REACH_PARTIAL
			assert(yes == 0 || ticket[w] == 0);
#endif
			if /* the ticket that it goes on with; the way back is without */
			:: ticket[w] == 0 && answers[w] >= ENOUGH -> seen[w] = next(seen[w])
			:: else -> seen[w] = 0
			fi
		fi;
		asked[w] = 0; answers[w] = 0;
		for (i : 0 .. N - 1) { /* there is nothing to give back */
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
#define expire(n) :: d_step { state[DIES] == GONE && held[n] == DIES -> held[n] = NOBODY; done }
#ifdef DEAD_WAITER_NEVER_DROPPED
#define drop(n)
#else
#define drop(n) :: d_step { state[DIES] == GONE && PLACE(n, DIES) > 0 -> PLACE(n, DIES) = 0; done }
#endif
active proctype leases() {
end:	do
	expire(0) expire(1) expire(2) drop(0) drop(1) drop(2)
	od
}
#endif
