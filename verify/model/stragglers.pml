/*
 * Stragglers: what a late SET or a late release of one attempt does to others.
 *
 * In the model: CLIENTS clients that make ATTEMPTS attempts each, one after the
 * other, on N nodes. Every SET may be carried out at any time after it was sent, or
 * be lost, also long after its attempt was given up and the next one was made. Every
 * release may be carried out at any time after the attempt ended, any number of
 * times, also before its SET, as on another connection. (That a connection
 * keeps order is one of these cases.) There is no clock: keys live until they are
 * deleted, and the client that was granted the lock holds it until it releases it.
 *
 * A node is settled for an attempt when it answered a release that came after the
 * SET. If the SET was answered, every release does. If it was given up, only time
 * helps: the library repeats the release until a SET that is still under way would
 * be too old for a server that has been answering. That time is the guard that the
 * SET is not under way.
 *
 * Not in it: extensions and expiry (lock.pml).
 *
 * Checked: no attempt is granted the lock while another one holds it, and no SET
 * leaves a key on a node that is settled for its attempt.
 */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#define ALL (CLIENTS * ATTEMPTS)
#define N 3
#define MAJORITY (N / 2 + 1)

/* Where the SET of an attempt is. SETTLED_EARLY is what must not be: the node
   counts as settled, and the SET is under way. */
mtype = { UNSENT, UNDER_WAY, GRANTED, DENIED, SETTLED, SETTLED_EARLY };
#define WAITS 0
#define TRIES 1
#define HOLDS 2
#define ENDED 3 /* released, or given up */

mtype set[ALL * N] = UNSENT;
byte state[ALL];
byte key[N]; /* the value; 0 for none */
byte holder; /* the last client that held it; only kept where it is asked for */
byte i, yes; /* scratch: 0 between steps */
#define SET(a, n) set[(a) * N + (n)]
#ifdef ONE_NONCE
#define value(a) (1 + (a) / ATTEMPTS)
#else
#define value(a) (1 + (a))
#endif

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(x, n) { unsigned char t = (x)[n]; (x)[n] = (x)[n + 1]; (x)[n + 1] = t; }
	static void sort_nodes(void) {
		int pass, a;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = now.key[n] - now.key[n + 1];
			for (a = 0; a < ALL && d == 0; a++)
				d = now.set[a * N + n] - now.set[a * N + n + 1];
			if (d <= 0) continue;
			SWAP(now.key, n)
			for (a = 0; a < ALL; a++) SWAP(now.set + a * N, n)
		}
	}
}
#define done i = 0; yes = 0; c_code { sort_nodes(); }
#else
#define done i = 0; yes = 0
#endif

/* Attempt a is over. */
inline end(a) {
	state[a] = ENDED;
#ifdef ROLLBACK_ON_GRANTED_ONLY
	for (i : 0 .. N - 1) {
		if
		:: SET(a, i) == UNDER_WAY -> SET(a, i) = SETTLED_EARLY
		:: SET(a, i) == DENIED -> SET(a, i) = SETTLED
		:: else
		fi
	}
#endif
}

#define a (_pid)
active [ALL] proctype attempt() {
	do
	:: d_step { state[a] == WAITS && (a % ATTEMPTS == 0 || state[a - 1] == ENDED) ->
		state[a] = TRIES;
		for (i : 0 .. N - 1) { SET(a, i) = UNDER_WAY }
		done }
	:: d_step { state[a] == TRIES ->
		for (i : 0 .. N - 1) { if :: SET(a, i) == GRANTED -> yes++ :: else fi }
		if
		:: yes >= MAJORITY ->
			state[a] = HOLDS;
			for (i : 0 .. ALL - 1) { assert(i == a || state[i] != HOLDS) } /* two hold it */
#ifdef REACH_HANDED_OVER
			assert(holder == 0 || holder == 1 + a / ATTEMPTS); holder = 1 + a / ATTEMPTS;
#endif
		:: else -> end(a)
		fi; done }
	:: d_step { state[a] == TRIES || state[a] == HOLDS -> end(a); done }
	od
}
#undef a

/* Between attempt a and node n. */
#define a ((_pid - ALL) / N)
#define n ((_pid - ALL) % N)
active [ALL * N] proctype link() {
	do
	:: d_step { SET(a, n) == UNDER_WAY || SET(a, n) == SETTLED_EARLY ->
		if
		:: key[n] == 0 || key[n] == value(a) -> /* its own value is a grant: the answer was lost */
			key[n] = value(a);
			assert(SET(a, n) == UNDER_WAY); /* an orphan: it will not be released */
#ifdef REACH_LATE_SET
			assert(state[a] != ENDED);
#endif
			SET(a, n) = GRANTED
		:: else -> SET(a, n) = DENIED
		fi; done }
	:: d_step { SET(a, n) == UNDER_WAY -> SET(a, n) = DENIED; done } /* lost */
	/* A release. It may come at any time once the attempt has ended, and again. */
	:: d_step { state[a] == ENDED ->
		if
#ifdef RELEASE_WITHOUT_OWNER_CHECK
		:: key[n] != 0 ->
#else
		:: key[n] == value(a) ->
#endif
			key[n] = 0
		:: else
		fi;
		if
		:: SET(a, n) == GRANTED || SET(a, n) == DENIED -> SET(a, n) = SETTLED
#ifdef STRAGGLER_NOT_SETTLED
		:: SET(a, n) == UNDER_WAY -> SET(a, n) = SETTLED_EARLY
#endif
		:: else
		fi; done }
	od
}
#undef a
#undef n
