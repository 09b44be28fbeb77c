/*
 * Several names at once: a node grants all of them or none. At most one client is certain to
 * hold each name.
 *
 * In the model: two names, N nodes, and C clients. The first client wants both names. The others
 * want the second one, or with -DFIRST the first one, or with -DBOTH both. A command is under way
 * until the node carries it out, at any time; it, or its reply, may be lost. A client decides at any
 * time what the answers so far come to. Time is the ticks of one clock, of which only what is left is kept.
 * With -DFORCED somebody deletes the second name anywhere, once on each node, whoever has it: then
 * another client may get it while the first one holds it: such nodes forget, and nothing is promised
 * but that a release leaves nothing.
 *
 * Not in it: clocks that differ, and attempts that begin while a command of the one before is under
 * way; they are as with one name (lock.pml, stragglers.pml).
 *
 * Checked: whenever a client begins to hold its names, no other one is certain to hold one of them
 * (not with -DFORCED); no extension is granted after another client was granted one of the names
 * (likewise); when all nodes have answered a release, nothing of the client is left on them.
 */
#ifndef C
#define C 2
#endif
#ifndef TTL
#define TTL 2
#endif
#define N 3
#define K 2
#define MAJORITY (N / 2 + 1)

mtype = { NONE, SET, EXTEND, RELEASE, YES, NO, LOST };
#define IDLE 0
#define TRIES 1
#define SECOND 2  /* takes the second name, one after the other */
#define ENDS 3
#define HOLDS 4
#define EXTENDS 5

byte key[N * K]; /* the value; that of client c is c + 1 */
byte ttl[N * K];
mtype call[C * N] = NONE;
byte state[C];
byte left[C];   /* of the validity */
byte next[C];   /* of that of the extension under way */
bool robbed[C]; /* another client was granted one of the names since this one */
byte i, k, yes, mine, other, lacks; /* scratch: 0 between steps */

#define KEY(n, k) key[(n) * K + (k)]
#define TTLOF(n, k) ttl[(n) * K + (k)]
#define CALL(c, n) call[(c) * N + (n)]
#ifdef BOTH
#define WANTS(c, k) true
#elif defined(FIRST)
#define WANTS(c, k) ((c) == 0 || (k) == 0)
#else
#define WANTS(c, k) ((c) == 0 || (k) == 1)
#endif
#ifdef ONE_AFTER_THE_OTHER
#define ASKS(c, k) (WANTS(c, k) && ((c) != 0 || (k) == (state[c] == SECOND)))
#else
#define ASKS(c, k) WANTS(c, k)
#endif
#define done i = 0; k = 0; yes = 0; mine = 0; other = 0; lacks = 0

inline tally(c) {
	for (i : 0 .. N - 1) { if :: CALL(c, i) == YES -> yes++ :: else fi }
}
inline ask(c, what) { for (i : 0 .. N - 1) { CALL(c, i) = what } }
inline put(n, k, c) { KEY(n, k) = c + 1; TTLOF(n, k) = TTL }
inline drop(n, k) { KEY(n, k) = 0; TTLOF(n, k) = 0 }
inline count(n, c) { /* of the names that are wanted */
	for (k : 0 .. K - 1) {
		if
		:: ASKS(c, k) && KEY(n, k) == c + 1 -> mine++
		:: ASKS(c, k) && KEY(n, k) != c + 1 && KEY(n, k) != 0 -> other++
		:: else
		fi;
		if :: WANTS(c, k) && KEY(n, k) != c + 1 -> lacks++ :: else fi
	}
}
inline grant(c) {
	for (i : 0 .. C - 1) {
		if
		:: i != c && state[i] >= HOLDS -> /* every two clients want one name */
#ifndef FORCED
			assert(left[i] == 0); /* two are certain to hold it */
#endif
			robbed[i] = true
		:: else
		fi
	}
	state[c] = HOLDS; robbed[c] = false
}
inline end(c) { state[c] = ENDS; left[c] = 0; next[c] = 0; robbed[c] = false; ask(c, RELEASE) }

#define c _pid
active [C] proctype client() {
	do
	:: d_step { state[c] == IDLE -> state[c] = TRIES; left[c] = TTL; ask(c, SET); done }
	:: d_step { state[c] == TRIES -> tally(c);
		if
#ifdef ONE_AFTER_THE_OTHER
		:: c == 0 && yes >= MAJORITY && left[c] > 0 ->
			state[c] = SECOND; ask(c, SET);
#ifdef LAST_VALIDITY
			left[c] = TTL
#endif
		:: c != 0 && yes >= MAJORITY && left[c] > 0 -> grant(c)
#else
		:: yes >= MAJORITY && left[c] > 0 -> grant(c)
#endif
		:: else -> end(c)
		fi; done }
	:: d_step { state[c] == SECOND -> tally(c);
		if
		:: yes >= MAJORITY && left[c] > 0 -> grant(c)
		:: else -> end(c)
		fi; done }
	:: d_step { state[c] == HOLDS && left[c] > 0 && CALL(c, 0) != SET && CALL(c, 1) != SET && CALL(c, 2) != SET ->
		state[c] = EXTENDS; next[c] = TTL; ask(c, EXTEND); done }
	:: d_step { state[c] == EXTENDS -> tally(c);
		if
		:: yes >= MAJORITY && next[c] > 0 ->
#ifndef FORCED
			assert(!robbed[c]); /* an extension of what another was granted */
#endif
			left[c] = next[c]; state[c] = HOLDS
		:: else -> end(c)
		fi; next[c] = 0; done }
	:: d_step { state[c] >= HOLDS -> end(c); done }
	:: d_step { state[c] == ENDS ->
		for (i : 0 .. N - 1) {
			if
			:: CALL(c, i) == YES -> yes++
			:: CALL(c, i) == RELEASE -> other++
			:: else
			fi
		}
		if
		:: other > 0 -> skip
		:: else ->
			if
			:: yes == N ->
				for (i : 0 .. N * K - 1) { assert(key[i] != c + 1) } /* something is left */
			:: else
			fi;
			state[c] = IDLE; ask(c, NONE)
		fi; done }
	od
}

#undef c

/* From client c to node n. */
#define c ((_pid - C) / N)
#define n ((_pid - C) % N)
active [C * N] proctype link() {
	do
	:: d_step { CALL(c, n) == SET -> count(n, c);
		if
#ifdef PARTIAL_GRANT /* it sets what is free, and counts */
		:: true ->
			for (k : 0 .. K - 1) {
				if
				:: ASKS(c, k) && KEY(n, k) == 0 -> put(n, k, c); mine++
				:: else
				fi
			}
			CALL(c, n) = (mine > 0 -> YES : NO)
#else
		:: other == 0 ->
			for (k : 0 .. K - 1) { if :: ASKS(c, k) -> put(n, k, c) :: else fi }
			CALL(c, n) = YES
		:: else -> CALL(c, n) = NO
#endif
		fi; done }
	:: d_step { CALL(c, n) == EXTEND -> count(n, c);
		if
		:: mine > 0 && lacks == 0 ->
			for (k : 0 .. K - 1) { if :: KEY(n, k) == c + 1 -> put(n, k, c) :: else fi }
			CALL(c, n) = YES
		:: else -> CALL(c, n) = NO
		fi; done }
	:: d_step { CALL(c, n) == RELEASE -> count(n, c);
		if
#ifdef RELEASE_ALL_OR_NOTHING
		:: lacks > 0 -> skip
#endif
		:: else ->
			for (k : 0 .. K - 1) { if :: KEY(n, k) == c + 1 -> drop(n, k) :: else fi }
		fi;
		CALL(c, n) = YES; done }
	/* It is lost, or its reply. */
	:: d_step { CALL(c, n) == SET || CALL(c, n) == EXTEND || CALL(c, n) == RELEASE || CALL(c, n) == YES -> CALL(c, n) = LOST }
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
		for (i : 0 .. C - 1) {
			if :: left[i] > 0 -> left[i]-- :: else fi;
			if :: next[i] > 0 -> next[i]-- :: else fi
		}
		done }
	od
}

#ifdef FORCED
#define n (_pid - C - C * N - 1)
active [N] proctype hand() {
	d_step { KEY(n, 1) == 1 -> drop(n, 1); done }
}
#undef n
#endif
