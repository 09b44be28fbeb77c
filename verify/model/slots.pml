/*
 * K slots as K ordinary keys: at most one client is certain to hold each, so at most K hold one.
 *
 * In the model: C clients, and N nodes with K keys. An attempt begins with one slot of its choice, the
 * same on all nodes (-DONE_START: always the first), and a node gives the first slot from there on that is
 * free. A slot that a majority gave is won; what other nodes gave is given back. A command is under
 * way until the node carries it out, at any time, or it is lost; the client decides at any time what
 * the answers so far come to. Time is the ticks of one clock, of which only what is left is kept. A
 * release may be lost: then the node keeps a value without an owner (DEAD). With -DFEWER the last client
 * knows of one slot only. Three clients need fewer states: with -DPROMPT a command that was not carried out
 * when the client decided is lost, and with -DRELEASED no release is.
 *
 * Not in it: extensions, clocks that differ, late commands: a slot that is won is an ordinary lock (lock.pml,
 * stragglers.pml).
 *
 * Checked whenever a client begins to hold a slot: no other client is certain to hold it, and no more than
 * K are certain to hold one.
 */
#ifndef C
#define C 3
#endif
#ifndef K
#define K 2
#endif
#ifndef TTL
#define TTL 1
#endif
#define N 3
#ifndef MAJORITY
#define MAJORITY (N / 2 + 1)
#endif
#ifdef FEWER
#define SLOTS(c) ((c) == C - 1 -> 1 : K)
#else
#define SLOTS(c) K
#endif
#if defined(CAPACITY_PER_MASTER) || defined(SLOT_BY_COUNT)
#define ANY_SLOT /* won by grants of whatever slots */
#endif

/* Calls: under way, or how they were answered. */
#define NONE 0
#define ASK 1
#define BACK 2 /* gives back what is not the slot that was won */
#define NO 3
#define GAVE 4 /* and from here on: the slot */

#define IDLE 0
#define TRIES 1
#define ENDS 2 /* releases */
#define HOLDS 3

#define DEAD (C + 1)
byte key[N * K];  /* the value; that of client c is c + 1 */
byte ttl[N * K];
byte call[C * N];
byte state[C];
byte left[C];     /* of the validity of the slot, or of the attempt */
byte start[C];    /* the slot that the attempt begins with */
byte slot[C];     /* the one that it holds */
byte i, k, yes, most, best; /* scratch: 0 between steps */

#define KEY(n, k) key[(n) * K + (k)]
#define TTLOF(n, k) ttl[(n) * K + (k)]
#define CALL(c, n) call[(c) * N + (n)]
#define mine(c, n, k) (KEY(n, k) == c + 1)
#ifdef PROMPT
#define gone(what) true
#else
#define gone(what) ((what) != ASK)
#endif

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(a, n, step) { unsigned char t = (a)[n]; (a)[n] = (a)[(n) + (step)]; (a)[(n) + (step)] = t; }
	static void sort_nodes(void) {
		int pass, x;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = 0;
			for (x = 0; x < K && d == 0; x++) d = now.key[n * K + x] - now.key[(n + 1) * K + x];
			for (x = 0; x < K && d == 0; x++) d = now.ttl[n * K + x] - now.ttl[(n + 1) * K + x];
			for (x = 0; x < C && d == 0; x++) d = now.call[x * N + n] - now.call[x * N + n + 1];
			if (d <= 0) continue;
			for (x = 0; x < K; x++) { SWAP(now.key, n * K + x, K) SWAP(now.ttl, n * K + x, K) }
			for (x = 0; x < C; x++) SWAP(now.call, x * N + n, 1)
		}
	}
}
#define done i = 0; k = 0; yes = 0; most = 0; best = 0; c_code { sort_nodes(); }
#else
#define done i = 0; k = 0; yes = 0; most = 0; best = 0
#endif

inline tally(c) { /* best is the slot that most nodes gave, most how many */
	for (k : 0 .. K - 1) {
		yes = 0;
		for (i : 0 .. N - 1) { if :: CALL(c, i) == GAVE + k -> yes++ :: else fi }
		if :: yes > most -> most = yes; best = k :: else fi
	}
#ifdef ANY_SLOT
	most = 0;
	for (i : 0 .. N - 1) { if :: CALL(c, i) >= GAVE -> most++ :: else fi }
#endif
}
inline certain(c) {
	yes = 1;
	for (i : 0 .. C - 1) {
		if
		:: i != c && state[i] == HOLDS && left[i] > 0 -> yes++;
#ifndef CAPACITY_PER_MASTER
			assert(slot[i] != slot[c]) /* two are certain to hold it */
#endif
		:: else
		fi
	}
	assert(yes <= K); /* too many are certain to hold one */
#ifdef REACH_FULL
	assert(yes < K);
#endif
}
inline end(c) {
	state[c] = ENDS; left[c] = 0; slot[c] = 0;
	for (i : 0 .. N - 1) {
		yes = 0;
		for (k : 0 .. K - 1) { if :: mine(c, i, k) -> yes++ :: else fi }
		if
		:: yes == 0 && gone(CALL(c, i)) -> CALL(c, i) = NONE /* nothing is to be released there */
		:: else -> if :: CALL(c, i) != ASK -> CALL(c, i) = NO :: else fi
		fi
	}
}
inline drop(n, k) { KEY(n, k) = 0; TTLOF(n, k) = 0 }

#define c _pid
#define begin(s) state[c] == IDLE && s < SLOTS(c) -> \
		state[c] = TRIES; left[c] = TTL; start[c] = s; \
		for (i : 0 .. N - 1) { CALL(c, i) = ASK }
active [C] proctype client() {
	do
	/* The clock is read before the first command is sent. */
	:: d_step { begin(0); done }
#if !defined(ANY_SLOT) && !defined(ONE_START)
	:: d_step { begin(1); done }
#endif
	:: d_step { state[c] == TRIES -> tally(c);
		if
		:: most >= MAJORITY && left[c] > 0 ->
			state[c] = HOLDS; slot[c] = best; certain(c);
#ifdef REACH_GAVE_BACK
			for (i : 0 .. N - 1) { assert(CALL(c, i) < GAVE || CALL(c, i) == GAVE + best) }
#endif
			for (i : 0 .. N - 1) {
				if
				:: CALL(c, i) == GAVE + best -> CALL(c, i) = NO /* nothing counts it any more */
				:: CALL(c, i) == ASK && gone(ASK) -> CALL(c, i) = NO
#ifdef ANY_SLOT
				:: CALL(c, i) >= GAVE && CALL(c, i) != GAVE + best -> CALL(c, i) = NO
#else
				:: CALL(c, i) >= GAVE && CALL(c, i) != GAVE + best -> CALL(c, i) = BACK
#endif
				:: else
				fi
			}
		:: else -> end(c)
		fi; done }
	:: d_step { state[c] == HOLDS -> end(c); done } /* released, or its context has ended */
	:: d_step { state[c] == ENDS && CALL(c, 0) == NONE && CALL(c, 1) == NONE && CALL(c, 2) == NONE ->
		state[c] = IDLE; start[c] = 0; done }
	od
}
#undef c

/* From client c to node n: commands are carried out in order. */
#define c ((_pid - C) / N)
#define n ((_pid - C) % N)
active [C * N] proctype link() {
	do
	:: d_step { CALL(c, n) == ASK ->
		CALL(c, n) = NO;
		for (i : 0 .. SLOTS(c) - 1) {
			k = (start[c] + i) % SLOTS(c);
			if
			:: yes == 0 && KEY(n, k) == 0 -> yes = 1;
				KEY(n, k) = c + 1; TTLOF(n, k) = TTL;
				if
				:: state[c] == TRIES -> CALL(c, n) = GAVE + k
				:: state[c] == HOLDS && k != slot[c] -> CALL(c, n) = BACK
				:: else
				fi
			:: else
			fi
		}
		if :: state[c] == ENDS && yes == 0 -> CALL(c, n) = NONE :: else fi;
		done }
	:: d_step { CALL(c, n) == BACK ->
		for (k : 0 .. K - 1) { if :: k != slot[c] && mine(c, n, k) -> drop(n, k) :: else fi }
		CALL(c, n) = NO; done }
	/* The release: after what is under way, or that is lost. It may be lost itself. */
	:: d_step { state[c] == ENDS && CALL(c, n) != NONE ->
		for (k : 0 .. K - 1) { if :: mine(c, n, k) -> drop(n, k) :: else fi }
		CALL(c, n) = NONE; done }
#ifndef RELEASED
	:: d_step { state[c] == ENDS && CALL(c, n) != NONE ->
		for (k : 0 .. K - 1) { if :: mine(c, n, k) -> KEY(n, k) = DEAD :: else fi }
		CALL(c, n) = NONE; done }
#endif
	od
}
#undef c
#undef n

active proctype time() {
	do
	:: d_step { true ->
		for (i : 0 .. N * K - 1) {
			if
			:: ttl[i] > 1 -> ttl[i]--
			:: ttl[i] == 1 -> ttl[i] = 0; key[i] = 0
			:: else
			fi
		}
		for (i : 0 .. C - 1) { if :: left[i] > 0 -> left[i]-- :: else fi }
		done }
	od
}
