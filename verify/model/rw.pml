/*
 * Readers and writers on one key: no client is certain to hold the lock together with a writer, and
 * a writer that waits gets in.
 *
 * In the model: C clients. The first WRITERS of them want to be the only holder, the others want to read.
 * On each of N nodes the key is free, or it has the value of one client, or a set of readers with what is
 * left of the lease of each. A command is under way until the node carries it out, at any time, or it
 * is lost; the client decides at any time what the answers so far come to. Its validity counts from before
 * the first send. A holder may extend. A writer may become a reader, by an extension. A node that has
 * lost the holder is asked to take it again for what is left; that is a tick here, the worst case. Time
 * is the ticks of one clock, of which only what is left is kept. The last client has a TTL of SHORT. A
 * release may be lost: then the node keeps a value without an owner (DEAD), or a reader without one. So
 * it is with a client that died.
 *
 * With -DCOPIES the network keeps one copy of a command that makes a reader, which comes at any time, also
 * after the release. With -DRESTART nodes come back empty, and grant nothing for one TTL (lock.pml). Longer
 * TTLs and three clients need fewer states: with -DPROMPT a command that was not carried out when the
 * client decided is lost, with -DRELEASED no release is, and with -DPLAIN_WRITER a writer neither extends
 * nor becomes a reader.
 *
 * Not in it: clocks that differ, and other late commands; they are as with one holder (lock.pml,
 * stragglers.pml). The wait queue (queue.pml).
 *
 * Checked: whenever a client begins to hold the lock, or gets an extension, no other one is certain to
 * hold it unless both read; no extension is granted after another client was granted the lock, unless
 * both read; a reader without an owner lives no longer than its own lease; and with -DMARK an
 * extension lets no reader in where a writer has left its mark.
 *
 * With -DPROGRESS: there is no run in which each process goes on and no writer gets in any more, though
 * one waits and readers come and go (with -DOF_READERS: no reader, after the writer had the lock). There
 * nothing is lost, no lease ends, and an attempt waits for all its answers. With -DWHOLE it reaches all
 * nodes at once.
 */
#ifndef C
#define C 3
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef TTL
#define TTL 2
#endif
#ifndef SHORT
#define SHORT TTL
#endif
#define N 3
#define MAJORITY (N / 2 + 1)
#ifdef READERS_WITHOUT_MAJORITY
#define ENOUGH(c) (shared[c] -> 1 : MAJORITY)
#else
#define ENOUGH(c) MAJORITY
#endif
#ifdef PLAIN_WRITER
#define PLAIN true
#else
#define PLAIN false
#endif
#define TTLOF(c) ((c) == C - 1 -> SHORT : TTL)
#if defined(PROGRESS) && !defined(NO_MARK) && !defined(MARK)
#define MARK
#endif

mtype = { NONE, SET, JOIN, RETAKE, REJOIN, EXTEND, YES, NO }; /* under way, or how it was answered */
#define IDLE 0
#define TRIES 1
#define ENDS 2     /* releases */
#define SERVED 3
#define HOLDS 4    /* from here on it was granted the lock and has not given it up */
#define EXTENDS 5
#define UPGRADES 6

#define DEAD (C + 1)
#define OVER 9                /* a lease that has ended, of a reader that is still in the set */
byte key[N];                  /* the value of the only holder; that of client c is c + 1 */
byte ttl[N];                  /* what is left of it */
byte lease[N * (C + 1)];      /* what is left of each reader's lease; the last is one without an owner */
byte bound[N];                /* what should be left of that one's */
byte keep[N];                 /* what is left of the set, if it is not what is left of the last reader */
bool mark[N];                 /* a writer waits */
mtype call[C * N] = NONE;
byte copy[C * N];             /* what a JOIN or REJOIN asks for that is on its way once more */
byte state[C];
bool shared[C];               /* it is that of a reader */
byte left[C];                 /* of the validity of the lock, or of the attempt */
byte next[C];                 /* of that of the extension under way */
bool robbed[C];               /* a client that it excludes was granted the lock since */
bool served[C];               /* a writer that does not come again; only kept where readers are to get in after it */
byte i, j, t, yes;            /* scratch: 0 between steps */
bool others;                  /* likewise: readers live there */

#define CALL(c, n) call[(c) * N + (n)]
#define COPY(c, n) copy[(c) * N + (n)]
#define LEASE(n, c) lease[(n) * (C + 1) + (c)]
#define owns(n, c) (key[n] == c + 1 || LEASE(n, c) > 0)
#define lives(x) ((x) > 0 && (x) != OVER)

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(a, n, step) { unsigned char t = (a)[n]; (a)[n] = (a)[(n) + (step)]; (a)[(n) + (step)] = t; }
	static void sort_nodes(void) {
		int pass, c;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = now.key[n] - now.key[n + 1];
			if (d == 0) d = now.ttl[n] - now.ttl[n + 1];
			if (d == 0) d = now.bound[n] - now.bound[n + 1];
			if (d == 0) d = now.keep[n] - now.keep[n + 1];
			if (d == 0) d = now.mark[n] - now.mark[n + 1];
			for (c = 0; c <= C && d == 0; c++) d = now.lease[n * (C + 1) + c] - now.lease[(n + 1) * (C + 1) + c];
			for (c = 0; c < C && d == 0; c++) d = now.call[c * N + n] - now.call[c * N + n + 1];
			for (c = 0; c < C && d == 0; c++) d = now.copy[c * N + n] - now.copy[c * N + n + 1];
			if (d <= 0) continue;
			SWAP(now.key, n, 1) SWAP(now.ttl, n, 1) SWAP(now.bound, n, 1) SWAP(now.keep, n, 1) SWAP(now.mark, n, 1)
			for (c = 0; c <= C; c++) SWAP(now.lease, n * (C + 1) + c, C + 1)
			for (c = 0; c < C; c++) { SWAP(now.call, c * N + n, 1) SWAP(now.copy, c * N + n, 1) }
		}
	}
}
#define done i = 0; j = 0; t = 0; yes = 0; others = false; c_code { sort_nodes(); }
#else
#define done i = 0; j = 0; t = 0; yes = 0; others = false
#endif

inline ask(c, what) { for (i : 0 .. N - 1) { CALL(c, i) = what } }
inline tally(c) {
	for (i : 0 .. N - 1) { if :: CALL(c, i) == YES -> yes++ :: else fi }
}
/* Answers that nothing counts any more are as good as none. */
inline forget(c) {
	for (i : 0 .. N - 1) {
		if
		:: CALL(c, i) == YES -> CALL(c, i) = NO
#ifdef PROMPT
		:: CALL(c, i) != YES && CALL(c, i) != NO -> CALL(c, i) = NO
#endif
		:: else
		fi
	}
}
inline certain(c) {
	for (i : 0 .. C - 1) {
		if
		:: i != c && state[i] >= HOLDS && !(shared[i] && shared[c]) ->
			assert(left[i] == 0); /* two are certain to hold it */
			robbed[i] = true
		:: else
		fi
	}
}
inline begin_extension(c) {
	state[c] = EXTENDS; next[c] = TTLOF(c);
	for (i : 0 .. N - 1) { /* what is under way comes first */
		if
		:: CALL(c, i) == SET || CALL(c, i) == RETAKE -> CALL(c, i) = SET
		:: CALL(c, i) == JOIN || CALL(c, i) == REJOIN -> CALL(c, i) = JOIN
		:: else -> CALL(c, i) = EXTEND
		fi
	}
}
inline end(c) {
	state[c] = ENDS; left[c] = 0; next[c] = 0; robbed[c] = false; forget(c);
	for (i : 0 .. N - 1) { /* where nothing is to be released, that is done */
		if :: CALL(c, i) == NO && !owns(i, c) -> CALL(c, i) = NONE :: else fi
	}
}

/* What a node does. */
inline look(n, c) { /* whether readers live there; not c itself, which upgrades */
	for (j : 0 .. C) { if :: j != c && lives(LEASE(n, j)) -> others = true :: else fi }
}
inline clear(n) { for (j : 0 .. C) { LEASE(n, j) = 0 }; bound[n] = 0; keep[n] = 0 }
inline put(n, c, lasts) { clear(n); key[n] = c + 1; ttl[n] = lasts }
inline free(n) { key[n] = 0; ttl[n] = 0 }
inline join(n, c, lasts) { /* join.lua */
	LEASE(n, c) = lasts;
#ifdef KEY_LIVES_FOR_THE_LAST_WRITE
	keep[n] = lasts
#endif
}
inline renew(n, c) {
#ifdef MARK
	assert(!mark[n] || LEASE(n, c) != OVER); /* a reader comes in though a writer waits */
#endif
	join(n, c, TTLOF(c));
#ifdef PROLONG_ALL
	for (j : 0 .. C) { if :: lives(LEASE(n, j)) && LEASE(n, j) < TTLOF(c) -> LEASE(n, j) = TTLOF(c) :: else fi }
#endif
}
inline leave(n, c) { /* leave.lua; what has ended is removed with the key */
	LEASE(n, c) = 0;
#ifdef EXPIRED_READER_REVIVED
	others = false; look(n, C + 1);
	if :: !others -> clear(n) :: else fi
#endif
#ifdef KEY_LIVES_FOR_THE_LAST_WRITE
	keep[n] = 0;
	for (j : 0 .. C) { if :: LEASE(n, j) > keep[n] -> keep[n] = LEASE(n, j) :: else fi }
#endif
}
inline disown(n, lasts) { /* a reader has no owner any more */
	if :: lasts > LEASE(n, C) -> LEASE(n, C) = lasts; bound[n] = lasts :: else fi
}

#define answer(c, n, a) CALL(c, n) = ((state[c] == TRIES || state[c] >= EXTENDS) && (a) -> YES : (state[c] == ENDS && !owns(n, c) -> NONE : NO))
/* What is set for a holder counts only after an extension has found it: it may be short. */
#define life(c) t = (state[c] == TRIES -> TTLOF(c) : 1)
inline set(n, c) { /* acquire_or_flag.lua */
	look(n, c); life(c);
	yes = (key[n] == 0 && !others);
	if
	:: yes -> put(n, c, t);
#ifdef MARK
#ifdef MARK_UNTIL_TAKEN
		mark[n] = false
#endif
	:: others -> mark[n] = true
#endif
	:: else
	fi;
	if
	:: CALL(c, n) == SET && state[c] == EXTENDS -> CALL(c, n) = EXTEND /* which waited for it */
	:: else -> answer(c, n, CALL(c, n) == SET && yes) /* retaken: not in this round */
	fi
}
inline acquire_shared(n, c) {
	life(c);
	yes = (key[n] == 0 && (!mark[n] || lives(LEASE(n, c))));
	if :: yes && !lives(LEASE(n, c)) -> join(n, c, t) :: else fi;
	if
	:: CALL(c, n) == JOIN && state[c] == EXTENDS -> CALL(c, n) = EXTEND
	:: else -> answer(c, n, CALL(c, n) == JOIN && yes)
	fi
}
inline late(n, c) { /* a copy of acquire_shared.lua comes; nothing takes its answer in */
	if
	:: key[n] != 0 || mark[n] -> skip
	:: else ->
		if
		:: CALL(c, n) == NONE -> disown(n, COPY(c, n)) /* it was released */
#ifndef LATE_JOIN_SHORTENS
		:: CALL(c, n) != NONE && lives(LEASE(n, c)) -> skip
#endif
		:: else -> join(n, c, COPY(c, n))
		fi
	fi;
	COPY(c, n) = 0
}
inline extend(n, c) { /* extend.lua, extend_shared.lua */
	look(n, C + 1);
	if
	:: shared[c] && lives(LEASE(n, c)) -> renew(n, c); answer(c, n, true)
#ifdef EXPIRED_READER_REVIVED
	:: shared[c] && LEASE(n, c) == OVER -> renew(n, c); answer(c, n, true)
#endif
#ifdef DOWNGRADE_IN_TWO_STEPS
	:: shared[c] && key[n] == c + 1 -> free(n); CALL(c, n) = JOIN
#else
	:: shared[c] && key[n] == c + 1 -> free(n); join(n, c, TTLOF(c)); answer(c, n, true)
#endif
	:: !shared[c] && key[n] == c + 1 -> put(n, c, TTLOF(c)); answer(c, n, true)
	:: else ->
		if
		:: left[c] > 0 && key[n] == 0 && shared[c] -> CALL(c, n) = REJOIN
		:: left[c] > 0 && key[n] == 0 && !shared[c] && !others -> CALL(c, n) = RETAKE
		:: else -> answer(c, n, false)
		fi
	fi
}
inline release(n, c) {
	if :: key[n] == c + 1 -> free(n) :: LEASE(n, c) > 0 -> leave(n, c) :: else fi;
	CALL(c, n) = NONE
}

#ifdef PROGRESS
#define pending(c, n) (CALL(c, n) == SET || CALL(c, n) == JOIN)
#define decided(c) (!pending(c, 0) && !pending(c, 1) && !pending(c, 2))
#if defined(UPGRADE)
#define counts(c) true
#elif defined(OF_READERS)
#define counts(c) ((c) >= WRITERS)
#else
#define counts(c) ((c) < WRITERS)
#endif
#else
#define decided(c) true
#endif

#define c _pid
active [C] proctype client() {
	do
	/* The clock is read before the first command is sent. */
	:: d_step { state[c] == IDLE ->
		state[c] = TRIES; shared[c] = (c >= WRITERS);
#ifndef PROGRESS
		left[c] = TTLOF(c);
#else
		left[c] = 1;
#endif
		if :: shared[c] -> ask(c, JOIN) :: else -> ask(c, SET) fi;
#ifdef WHOLE
		for (i : 0 .. N - 1) {
			if :: shared[c] -> acquire_shared(i, c) :: else -> others = false; set(i, c) fi
		}
		yes = 0;
#endif
		done }
#ifdef WHOLE
	:: d_step { state[c] == ENDS ->
		for (i : 0 .. N - 1) { release(i, c) }
		state[c] = (served[c] -> SERVED : IDLE); shared[c] = false;
		done }
#endif
	:: d_step { state[c] == TRIES && decided(c) -> tally(c);
		if
		:: yes >= ENOUGH(c) && left[c] > 0 ->
			certain(c); state[c] = HOLDS; forget(c);
#if defined(MARK) && !defined(MARK_UNTIL_TAKEN) && !defined(MARK_STAYS)
			for (i : 0 .. N - 1) { if :: !shared[c] -> mark[i] = false :: else fi }
#endif
#ifdef REACH_TOGETHER
			for (i : 0 .. C - 1) { assert(i == c || state[i] < HOLDS || left[i] == 0) }
#endif
#ifdef REACH_AFTER_A_READER
			for (i : 0 .. C - 1) { assert(!robbed[i] || !shared[i]) }
#endif
		:: else -> end(c)
		fi; done }

#ifndef PROGRESS
#ifndef NO_EXTENSION
	:: d_step { state[c] == HOLDS && left[c] > 0 && (shared[c] || !PLAIN) -> begin_extension(c); done }
#endif
	/* A writer becomes a reader: no writer any more from here on, whatever the nodes say. */
	:: d_step { state[c] == HOLDS && left[c] > 0 && !shared[c] && !PLAIN ->
		shared[c] = true; begin_extension(c); done }
	:: d_step { state[c] == EXTENDS -> tally(c);
		if
		:: yes >= ENOUGH(c) && next[c] > 0 && left[c] > 0 ->
			certain(c);
			assert(!robbed[c]); /* it was revived */
			left[c] = next[c];
#ifdef REACH_DOWNGRADED
			for (i : 0 .. C - 1) { assert(i == c || c >= WRITERS || !shared[c] || state[i] < HOLDS || left[i] == 0) }
#endif
		:: else
		fi; state[c] = HOLDS; next[c] = 0; forget(c); done }
	:: d_step { state[c] >= HOLDS -> end(c); done } /* released, or its context has ended */
#else
#ifdef UPGRADE
	:: d_step { state[c] == HOLDS && shared[c] -> state[c] = UPGRADES; ask(c, SET); done }
	:: d_step { state[c] == UPGRADES && decided(c) -> tally(c);
		if
		:: yes >= MAJORITY -> shared[c] = false; state[c] = HOLDS; forget(c)
		:: else -> /* it stays a reader, and asks again */
			for (i : 0 .. N - 1) {
				if :: key[i] == c + 1 -> free(i); LEASE(i, c) = 1 :: else fi
			}
			ask(c, SET)
		fi; done }
#endif
	:: d_step { state[c] == HOLDS && !counts(c) ->
#ifdef OF_READERS
		served[c] = true;
#endif
		end(c); done }
	:: d_step { state[c] == HOLDS && counts(c) -> end(c); done };
progress:	skip
#endif

	:: d_step { state[c] == ENDS && CALL(c, 0) == NONE && CALL(c, 1) == NONE && CALL(c, 2) == NONE ->
		state[c] = (served[c] -> SERVED : IDLE); shared[c] = false;
		for (i : 0 .. N - 1) { COPY(c, i) = 0 }
		done }
	od
}
#undef c

/* From client c to node n: commands are carried out in order. */
#define c ((_pid - C) / N)
#define n ((_pid - C) % N)
#ifndef WHOLE
active [C * N] proctype link() {
	do
	:: d_step { CALL(c, n) == SET || CALL(c, n) == RETAKE -> set(n, c); done }
	:: d_step { CALL(c, n) == JOIN || CALL(c, n) == REJOIN -> acquire_shared(n, c); done }
	:: d_step { CALL(c, n) == EXTEND -> extend(n, c); done }
	/* The release: after what is under way, or that is lost. It may be lost itself. */
	:: d_step { state[c] == ENDS && CALL(c, n) != NONE -> release(n, c); done }
#if !defined(PROGRESS) && !defined(RELEASED)
	:: d_step { state[c] == ENDS && CALL(c, n) != NONE && (key[n] == c + 1 || lives(LEASE(n, c))) ->
		if
		:: key[n] == c + 1 -> key[n] = DEAD
		:: else -> disown(n, LEASE(n, c)); LEASE(n, c) = 0
		fi;
		CALL(c, n) = NONE; done }
#endif
#ifdef COPIES
	:: d_step { (CALL(c, n) == JOIN || CALL(c, n) == REJOIN) &&
	            COPY(c, 0) + COPY(c, 1) + COPY(c, 2) == 0 -> life(c); COPY(c, n) = t; done }
	:: d_step { COPY(c, n) > 0 && state[c] > IDLE -> late(n, c); done }
#endif
	od
}
#endif
#undef c
#undef n

#ifndef PROGRESS
active proctype time() {
	do
	:: d_step { true ->
		for (i : 0 .. N - 1) {
			if :: ttl[i] > 1 -> ttl[i]-- :: ttl[i] == 1 -> free(i) :: else fi;
			if :: bound[i] > 0 -> bound[i]-- :: else fi;
			for (j : 0 .. C) {
				if
				:: LEASE(i, j) == 1 ->
#ifdef EXPIRED_READER_REVIVED
					LEASE(i, j) = (j < C -> OVER : 0)
#else
					LEASE(i, j) = 0
#endif
				:: LEASE(i, j) > 1 && LEASE(i, j) != OVER -> LEASE(i, j)--
				:: else
				fi;
				if :: lives(LEASE(i, j)) -> others = true :: else fi
			}
			assert(LEASE(i, C) <= bound[i]); /* it lives longer than its own lease */
#ifdef KEY_LIVES_FOR_THE_LAST_WRITE
			if :: keep[i] > 0 -> keep[i]-- :: else fi;
			if :: keep[i] == 0 -> clear(i) :: else fi;
#endif
#ifdef EXPIRED_READER_REVIVED
			if :: !others -> clear(i) :: else fi; /* the key expires with the last reader */
#endif
			others = false
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
#ifdef MARK
	:: d_step { mark[n] -> mark[n] = false; done }
#endif
#ifdef RESTART
	:: d_step { true -> clear(n); key[n] = DEAD; ttl[n] = TTL; mark[n] = false; done }
#endif
	od
}
#endif
