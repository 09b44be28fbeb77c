/*
 * Acquire, extend and release: at most one client is certain to hold the lock.
 *
 * In the model: C clients, N nodes, and a link from each client to each node. A
 * command is under way until the node carries it out, at any time, or it is lost;
 * the client decides at any time what the answers so far come to. So delays of any
 * length, lost messages and paused clients are all in it. Time is the ticks of one
 * clock, without end, of which only what is left is kept. A node's clock may gain
 * a tick in the life of a key (DRIFT); a slow clock only keeps a key longer.
 * With -DRESTART nodes come back empty, as often as they like, and grant nothing
 * for one TTL of their own clock, as if they kept a value without an owner (DEAD): the
 * delayed restart that a supervisor can do.
 *
* Not in it: commands in another order, and attempts that begin while a
 * command of the one before is under way (stragglers.pml). A release may be lost;
* then the node keeps a value without an owner (DEAD).
 *
 * Checked whenever a client begins to hold the lock, or gets an extension:
 *   - no other client is certain to hold it: was granted it, with validity left;
 *   - no other client was granted the lock since its own grant.
 */
#ifndef C
#define C 2
#endif
#define N 3
#ifdef MAJORITY_HALF
#define MAJORITY (N / 2)
#else
#define MAJORITY (N / 2 + 1)
#endif
#ifndef TTL
#define TTL 3
#endif
#ifndef DRIFT
#define DRIFT 1
#endif
#ifdef CONTEXT_ENDS_AT_TTL
#define VALIDITY TTL
#else
#define VALIDITY (TTL - DRIFT)
#endif

mtype = { NONE, SET, RETAKE, EXTEND, YES, NO }; /* under way, or how it was answered */
#define IDLE 0
#define TRIES 1
#define ENDS 2     /* releases */
#define HOLDS 3    /* from here on it was granted the lock and has not given it up */
#define EXTENDS 4

#define DEAD (C + 1)
byte key[N];       /* the value; that of client c is c + 1 */
byte ttl[N];       /* what is left of it by the node's clock */
byte gained[N];     /* that clock has gained its tick */
mtype call[C * N] = NONE;
byte state[C];
byte left[C];      /* of the validity of the lock, or of the attempt */
byte next[C];      /* of that of the extension under way */
byte robbed[C];     /* another client was granted the lock since this one */
byte last;        /* the client granted last; only kept where it is asked for */
byte denied[C * N]; /* the node was not in the majority of the grant; likewise */
byte i, yes; /* scratch: 0 between steps */

#define CALL(c, n) call[(c) * N + (n)]
inline drop(n) { key[n] = 0; ttl[n] = 0; gained[n] = 0 }
inline put(n, c) { key[n] = c + 1; ttl[n] = TTL; gained[n] = 0 }

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define rank(n) ((now.key[n] * 8 + now.ttl[n]) * 2 + now.gained[n])
#define SWAP(a, n) { unsigned char t = (a)[n]; (a)[n] = (a)[n + 1]; (a)[n + 1] = t; }
	static void sort_nodes(void) {
		int pass, c;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = rank(n) - rank(n + 1);
			for (c = 0; c < C && d == 0; c++)
				d = now.call[c * N + n] - now.call[c * N + n + 1];
			for (c = 0; c < C && d == 0; c++)
				d = now.denied[c * N + n] - now.denied[c * N + n + 1];
			if (d <= 0) continue;
			SWAP(now.key, n) SWAP(now.ttl, n) SWAP(now.gained, n)
			for (c = 0; c < C; c++) { SWAP(now.call + c * N, n) SWAP(now.denied + c * N, n) }
		}
	}
}
#define done i = 0; yes = 0; c_code { sort_nodes(); }
#else
#define done i = 0; yes = 0
#endif

/* Answers that nothing counts any more are as good as none. */
inline forget(c) {
	for (i : 0 .. N - 1) { if :: CALL(c, i) == YES -> CALL(c, i) = NO :: else fi }
	i = 0
}
inline tally(c) {
	yes = 0;
	for (i : 0 .. N - 1) { if :: CALL(c, i) == YES -> yes++ :: else fi }
}
inline certain(c) {
	for (i : 0 .. C - 1) {
		if
		:: i != c && state[i] >= HOLDS ->
			assert(left[i] == 0); /* two are certain to hold it */
			robbed[i] = 1
		:: else
		fi
	}
}
inline end(c) { state[c] = ENDS; left[c] = 0; next[c] = 0; robbed[c] = 0; forget(c) }

#define c _pid
active [C] proctype client() {
	do
	/* The clock is read before the first command is sent. */
	:: d_step { state[c] == IDLE ->
		state[c] = TRIES; left[c] = VALIDITY;
		for (i : 0 .. N - 1) { CALL(c, i) = SET }
		done }
#ifdef VALIDITY_FROM_LAST_SEND /* what was not carried out may not have been sent */
	:: d_step { state[c] == TRIES && (CALL(c, 0) == SET || CALL(c, 1) == SET || CALL(c, 2) == SET) ->
		left[c] = VALIDITY; done }
#endif
	:: d_step { state[c] == TRIES -> tally(c);
		if
#ifdef VALIDITY_FROM_REPLY
		:: yes >= MAJORITY -> left[c] = VALIDITY;
#else
		:: yes >= MAJORITY && left[c] > 0 ->
#endif
			certain(c); state[c] = HOLDS;
#ifdef REACH_HANDED_OVER
			assert(last == 0 || last == c + 1); last = c + 1;
#endif
#ifdef REACH_OUTLIVED
			for (i : 0 .. C - 1) { assert(!robbed[i]) }
#endif
#ifdef REACH_RETAKEN_COUNTS
			for (i : 0 .. N - 1) { denied[c * N + i] = (CALL(c, i) != YES) }
#endif
			forget(c)
		:: else ->
#ifdef REACH_WON_TOO_LATE
			assert(yes < MAJORITY);
#endif
			end(c)
		fi; done }
	:: d_step { state[c] == TRIES -> end(c); done } /* the caller's context ended */

#ifdef EXTEND_AFTER_EXPIRY
#define valid true
#else
#define valid (left[c] > 0)
#endif
#ifndef NO_EXTENSION
	:: d_step { state[c] == HOLDS && valid ->
		state[c] = EXTENDS; next[c] = VALIDITY;
#ifdef EXTENSION_COUNTS_WHEN_SENT
		left[c] = VALIDITY;
#endif
		for (i : 0 .. N - 1) { /* what is under way comes first */
			if :: CALL(c, i) == SET || CALL(c, i) == RETAKE -> CALL(c, i) = SET
			:: else -> CALL(c, i) = EXTEND fi
		}
		done }
	:: d_step { state[c] == EXTENDS -> tally(c);
		if
		:: yes >= MAJORITY && next[c] > 0 && valid ->
			certain(c);
			assert(!robbed[c]); /* it was revived */
			left[c] = next[c];
#ifdef REACH_EXTENDED
			assert(false);
#endif
#ifdef REACH_RETAKEN_COUNTS
			for (i : 0 .. N - 1) { assert(!(denied[c * N + i] && CALL(c, i) == YES)) }
#endif
		:: else
		fi; state[c] = HOLDS; next[c] = 0; forget(c); done }
#endif

	:: d_step { state[c] >= HOLDS -> end(c); done } /* released, or its context has ended */
	:: d_step { state[c] == ENDS && CALL(c, 0) == NONE && CALL(c, 1) == NONE && CALL(c, 2) == NONE ->
		state[c] = IDLE }
	od
}
#undef c

/* From client c to node n: commands are carried out in order. */
#define c ((_pid - C) / N)
#define n ((_pid - C) % N)
#define answer(a) CALL(c, n) = ((state[c] == TRIES || state[c] == EXTENDS) && (a) -> YES : NO)
active [C * N] proctype link() {
	do
	:: d_step { CALL(c, n) == SET || CALL(c, n) == RETAKE ->
		yes = (key[n] == 0);
		if :: yes -> put(n, c) :: else fi;
		if
		:: CALL(c, n) == SET && state[c] == EXTENDS -> CALL(c, n) = EXTEND /* which waited for it */
		:: else -> answer(CALL(c, n) == SET && yes) /* retaken: not in this round */
		fi; done }
	:: d_step { CALL(c, n) == EXTEND ->
		if
		:: key[n] == c + 1 -> put(n, c); answer(true)
#ifdef RETAKEN_COUNTS_AT_ONCE
		:: key[n] == 0 -> put(n, c); answer(true)
#else
		:: key[n] == 0 && left[c] > 0 -> CALL(c, n) = RETAKE
#endif
		:: else -> answer(false)
		fi; done }
	/* The release: after what is under way, or that is lost. It may be lost itself. */
	:: d_step { state[c] == ENDS && CALL(c, n) != NONE ->
		if :: key[n] == c + 1 -> drop(n) :: else fi; CALL(c, n) = NONE; done }
	:: d_step { state[c] == ENDS && CALL(c, n) != NONE && key[n] == c + 1 ->
		key[n] = DEAD; CALL(c, n) = NONE; done }
	od
}
#undef c
#undef n

active proctype time() {
	do
	:: d_step { true ->
		for (i : 0 .. N - 1) {
			if :: ttl[i] > 1 -> ttl[i]-- :: ttl[i] == 1 -> drop(i) :: else fi
		}
		for (i : 0 .. C - 1) {
			if :: left[i] > 0 -> left[i]-- :: else fi;
			if :: next[i] > 0 -> next[i]-- :: else fi
		}
		done }
	od
}

#define n (_pid - C - C * N - 1)
active [N] proctype node() {
	do
	:: false
#if DRIFT
	:: d_step { ttl[n] > 0 && !gained[n] ->
		if :: ttl[n] == 1 -> drop(n) :: else -> ttl[n]--; gained[n] = 1 fi; done }
#endif
#ifdef WITHOUT_QUARANTINE
	:: d_step { key[n] != 0 -> drop(n); done }
#elif defined(RESTART)
	:: d_step { true -> drop(n); key[n] = DEAD; ttl[n] = TTL; done }
#endif
	od
}
