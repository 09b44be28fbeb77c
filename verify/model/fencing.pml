/*
 * Fencing tokens over independent nodes: unique, and growing in real time.
 *
 * As in fence.lua and internal/fanout/fence.go. An attempt proposes a token with
 * the acquisition. A node keeps the largest it has accepted, c, and
 * accepts another only if it is larger. The attempt has the token once a majority
 * accepted it. Nothing else decides: not whether the lock was free, not time. So
 * what holds here survives expiry, pauses, and two holders at once.
 *
 * In the model: A proposers that make one attempt after the other, and N nodes. A
 * proposal may be any number (clocks may be as wrong as they like), is carried out
 * by each node at any time or never, and is given up at any time. A proposer that
 * has given up and has a proposal under way is one that makes no further attempt.
 * Nodes 0 .. FORGETS - 1 may forget what they accepted, again and again.
 *
 * Checked at every grant: the token was never granted before, and is larger than
 * all that were granted before the attempt began.
 *
 * Other ways to draw a token, which all fail:
 *   MAX_OF_INCR             a node counts; the token is the largest of a majority
 *   READ_THEN_WRITE_ANY_ACK read from a majority, write back one more; a node
 *                           acknowledges every write
 *   HANDED_OUT_BEFORE_STORED read from a majority, and use one more at once
 * and one that holds, in two rounds:
 *   READ_THEN_RAISE         as the second, but a node acknowledges only a raise
 */
#ifndef A
#define A 3
#endif
#ifndef N
#define N 3
#endif
#ifndef MAJORITY
#define MAJORITY (N / 2 + 1)
#endif
#ifndef TOP
#define TOP 4 /* the largest token */
#endif
#ifndef FORGETS
#define FORGETS 0
#endif
#if defined(READ_THEN_WRITE_ANY_ACK) || defined(HANDED_OUT_BEFORE_STORED) || defined(READ_THEN_RAISE)
#define READS_FIRST
#endif

mtype = { NONE, READ, WRITE, YES, NO }; /* under way, or how it was answered */
#define IDLE 0
#define READING 1
#define WRITING 2

byte c[N];        /* the largest token that the node accepted */
mtype call[A * N] = NONE;
byte state[A];
byte token[A];    /* proposed; while reading, the largest seen */
byte floor[A];    /* the largest granted before the attempt began */
byte largest;     /* granted so far */
bool granted[TOP + 1];
byte i, yes;      /* scratch: 0 between steps */
#define CALL(p, n) call[(p) * N + (n)]

/* Nodes that do not forget are interchangeable. With -DSORTED states are kept with
   these nodes in order; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(x, n) { unsigned char t = (x)[n]; (x)[n] = (x)[n + 1]; (x)[n + 1] = t; }
	static void sort_nodes(void) {
		int end, n, p, d;
		for (end = N - 1; end > FORGETS; end--)
			for (n = FORGETS; n < end; n++) {
				d = now.c[n] - now.c[n + 1];
				for (p = 0; p < A && d == 0; p++)
					d = now.call[p * N + n] - now.call[p * N + n + 1];
				if (d <= 0) continue;
				SWAP(now.c, n)
				for (p = 0; p < A; p++) SWAP(now.call + p * N, n)
			}
	}
}
#define done i = 0; yes = 0; c_code { sort_nodes(); }
#else
#define done i = 0; yes = 0
#endif

inline tally(p) {
	for (i : 0 .. N - 1) { if :: CALL(p, i) == YES -> yes++ :: else fi }
	i = 0
}
inline begin(p, as, what) {
	for (i : 0 .. N - 1) { if :: CALL(p, i) != NONE -> yes++ :: else fi }
	if
	:: yes == 0 ->
		state[p] = as; floor[p] = largest;
		for (i : 0 .. N - 1) { CALL(p, i) = what }
	:: else
	fi
}
/* What is under way stays so. */
inline end(p) {
	state[p] = IDLE; floor[p] = 0; yes = 0;
	for (i : 0 .. N - 1) { if :: CALL(p, i) == WRITE -> yes++ :: else -> CALL(p, i) = NONE fi }
	if :: yes == 0 -> token[p] = 0 :: else fi
}
inline grant(p) {
	assert(!granted[token[p]]);  /* two have the same token */
	assert(token[p] > floor[p]); /* it is smaller than one granted before */
	granted[token[p]] = true;
#ifdef REACH_TWO
	assert(largest == 0);
#endif
#ifdef REACH_OUT_OF_ORDER /* of two attempts at once the smaller may end last */
	assert(token[p] > largest);
#endif
	if :: token[p] > largest -> largest = token[p] :: else fi
}

#define p _pid
#define PROPOSE(t) :: d_step { state[p] == IDLE && t <= TOP -> begin(p, WRITING, WRITE); \
		if :: yes == 0 -> token[p] = t :: else fi; done }
active [A] proctype proposer() {
	do
#ifdef READS_FIRST
	:: d_step { state[p] == IDLE -> begin(p, READING, READ); done }
	:: d_step { state[p] == READING -> tally(p);
		if
		:: yes >= MAJORITY && token[p] < TOP ->
			token[p]++; state[p] = WRITING;
			for (i : 0 .. N - 1) { CALL(p, i) = WRITE }
#ifdef HANDED_OUT_BEFORE_STORED
			grant(p)
#endif
		:: else -> for (i : 0 .. N - 1) { CALL(p, i) = NONE } end(p)
		fi; done }
#elif defined(MAX_OF_INCR)
	:: d_step { state[p] == IDLE -> begin(p, WRITING, WRITE); done }
#else
	PROPOSE(1) PROPOSE(2) PROPOSE(3) PROPOSE(4) PROPOSE(5)
#endif
	:: d_step { state[p] == WRITING -> tally(p);
#ifndef HANDED_OUT_BEFORE_STORED
		if :: yes >= MAJORITY -> grant(p) :: else fi;
#endif
		end(p); done }
	:: d_step { state[p] == WRITING -> end(p); done } /* gives up, though it may have been granted */
	od
}
#undef p

/* Between proposer p and node n. */
#define p ((_pid - A) / N)
#define n ((_pid - A) % N)
active [A * N] proctype link() {
	do
	:: d_step { CALL(p, n) == READ ->
		CALL(p, n) = YES;
		if :: c[n] > token[p] -> token[p] = c[n] :: else fi; done }
	:: d_step { CALL(p, n) == WRITE ->
		CALL(p, n) = YES;
#if defined(MAX_OF_INCR)
		if :: c[n] < TOP -> c[n]++ :: else -> CALL(p, n) = NO fi;
		if :: c[n] > token[p] -> token[p] = c[n] :: else fi;
#elif defined(READ_THEN_WRITE_ANY_ACK)
		if :: token[p] > c[n] -> c[n] = token[p] :: else fi;
#else
		if :: token[p] > c[n] -> c[n] = token[p] :: else -> CALL(p, n) = NO fi;
#endif
		if :: state[p] == IDLE -> end(p) :: else fi; done }
	:: d_step { CALL(p, n) == WRITE && state[p] == IDLE -> CALL(p, n) = NONE; end(p); done } /* lost */
	od
}
#undef p
#undef n

#if FORGETS
active [FORGETS] proctype node() {
	do
	:: d_step { c[_pid - A - A * N] > 0 -> c[_pid - A - A * N] = 0; done }
	od
}
#endif
