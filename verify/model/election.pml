/*
 * An election: a lock, and a value that only its holder may write.
 *
 * As in packages election and internal/register: fence.lua, publish.lua, if_held.lua,
 * read_led.lua. A candidate is elected when a majority granted it the lock with its token.
 * Then it reads what the leader before has left (Former), on a majority of nodes that
 * have its own key, and then it proclaims: version (token, number), stored where the
 * node has its key and a smaller version, and acknowledged when a majority has stored
 * it. It leads when the first value was acknowledged. An observer asks a majority, and
 * shows the largest version if its writer holds the lock on a majority, after
 * it has written it back.
 *
 * In the model: C candidates with one attempt each, in any order: their tokens differ, and
 * each node takes growing ones only. VALUES values each. N nodes; READS observations one
 * after the other. Every command is carried out by each node at any time, any number of
 * times, or never, also when its sender has been followed by others. A lease may end on
 * a node at any time, whatever its holder believes: by itself or by a release. So what
 * holds here does not depend on clocks. With CLOCKS a key outlives the
 * validity of the lock, as in lock.pml, and a candidate that is not certain to hold the
 * lock counts no answer. With RETAKE a leader sets its key again where it is gone.
 *
 * Not in it: the wait queue (queue.pml), rolled back attempts (stragglers.pml), nodes that
 * forget, the expiry of values.
 *
 * Checked: a leader that is shown was elected by a majority; what is shown is not
 * smaller than what was shown before the observation began, in term or in number; and what
 * a leader found (Previous) is the last value that a leader with a smaller token has
 * proclaimed with success, or something later, also if that one learns it late.
 *
 * Wrong ways:
 *   VALUE_WITH_ACQUIRE     the first value goes with the acquisition
 *   PROCLAIM_WITHOUT_NONCE a node stores what is larger, whatever key it has
 *   FORMER_OF_ANY          Former reads any majority
 *   NO_WRITEBACK           observers show the largest version of a majority
 *   RETAKE without CLOCKS
 */
#ifndef C
#define C 2
#endif
#ifndef VALUES
#define VALUES 2
#endif
#ifndef READS
#define READS 2
#endif
#define N 3
#define MAJORITY 2

/* A version is a candidate and a number; 0 for none. Tokens are in the order of the candidates. */
#define version(c, s) ((c) * VALUES + (s) + 1)
#define writer(v) (((v) - 1) / VALUES)
#define bit(n) (1 << (n))
#define count(x) (((x) & 1) + ((x) >> 1 & 1) + ((x) >> 2 & 1))

byte key[N];       /* the candidate that has it, and one; 0: it is free */
byte token[N];     /* the largest that was taken, likewise */
byte value[N];     /* a version */

bool invalid[C];   /* it has given up, or the validity of its lock is over */
bool elected[C];
byte granted[C];   /* nodes, as bits */
byte asked[C];     /* nodes that it knows the former value of */
byte former[C];    /* the largest version there */
byte sent[C];      /* how many values were sent */
byte stored[C];    /* nodes that stored the last of them */
byte acked[C];     /* how many values were acknowledged: the number of the last, and one */
byte retakes;      /* candidates that have sent their key again, as bits */

#define IDLE 0
#define ASKS 1
#define BACK 2
byte reading;
byte reads;
byte heard;        /* nodes, as bits */
byte holds[C];     /* nodes that said so of a candidate */
byte found;        /* the largest version */
byte have;         /* nodes that have it */
int spread;        /* versions that were written back, as bits */
byte shown;        /* the largest version that was shown */
byte i, j;         /* scratch: 0 between steps */

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(x, n) { unsigned char t = (x)[n]; (x)[n] = (x)[n + 1]; (x)[n + 1] = t; }
#define BIT(x, n) ((x) >> (n) & 1)
#define DIFFER(x) if (d == 0) d = BIT(x, n) - BIT(x, n + 1);
#define FLIP(x) { if (BIT(x, n) != BIT(x, n + 1)) (x) ^= 3 << (n); }
	static void sort_nodes(void) {
		int pass, c;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = now.value[n] - now.value[n + 1];
			if (d == 0) d = now.key[n] - now.key[n + 1];
			if (d == 0) d = now.token[n] - now.token[n + 1];
			DIFFER(now.heard) DIFFER(now.have)
			for (c = 0; c < C && d == 0; c++) {
				DIFFER(now.granted[c]) DIFFER(now.asked[c]) DIFFER(now.stored[c]) DIFFER(now.holds[c])
			}
			if (d <= 0) continue;
			SWAP(now.value, n) SWAP(now.key, n) SWAP(now.token, n) FLIP(now.heard) FLIP(now.have)
			for (c = 0; c < C; c++) {
				FLIP(now.granted[c]) FLIP(now.asked[c]) FLIP(now.stored[c]) FLIP(now.holds[c])
			}
		}
	}
}
#define done i = 0; j = 0; c_code { sort_nodes(); }
#else
#define done i = 0; j = 0
#endif

inline raise(x, v) { if :: v > x -> x = v :: else fi }
#define leads(c) (acked[c] > 0)
/* Each leader has found what those with smaller tokens have proclaimed. */
inline check_previous() {
	for (i : 1 .. C - 1) {
		for (j : 0 .. i - 1) {
			if
			:: leads(i) && leads(j) ->
				assert(former[i] >= version(j, acked[j] - 1)); /* a value is missing */
#ifdef REACH_SUCCEEDED
				assert(acked[j] < VALUES);
#endif
			:: else
			fi
		}
	}
}
/* Node n has stored a version of c. An answer counts if it is that to the last one. */
inline acknowledge(c, n, v) {
	if
	:: v == version(c, sent[c] - 1) && acked[c] < sent[c] && !invalid[c] ->
		stored[c] = stored[c] | bit(n);
		if :: count(stored[c]) >= MAJORITY -> acked[c] = sent[c]; stored[c] = 0; check_previous() :: else fi
	:: else
	fi
}
#ifdef PROCLAIM_WITHOUT_NONCE
#define may_write(c, n) true
#else
#define may_write(c, n) (key[n] == c + 1)
#endif
#ifdef FORMER_OF_ANY
#define mine(c, n) true
#else
#define mine(c, n) (key[n] == c + 1)
#endif
#ifdef CLOCKS
#define over(c) invalid[c]
#else
#define over(c) true
#endif

#define c _pid
#define ASK(n) :: d_step { elected[c] && count(asked[c]) < MAJORITY && !(asked[c] & bit(n)) && mine(c, n) -> \
		asked[c] = asked[c] | bit(n); raise(former[c], value[n]); done }
active [C] proctype candidate() {
end:	do
	ASK(0) ASK(1) ASK(2)
	/* The next value is sent when the one before was acknowledged, or has failed. */
	:: d_step { count(asked[c]) >= MAJORITY && sent[c] < VALUES && !invalid[c] && (sent[c] == 0 || acked[c] > 0) ->
		sent[c]++; stored[c] = 0; done }
#ifdef RETAKE
	:: d_step { leads(c) && !invalid[c] && !(retakes & bit(c)) -> retakes = retakes | bit(c); done }
#endif
#ifdef CLOCKS
	:: d_step { !invalid[c] -> invalid[c] = true; stored[c] = 0; done }
#else
	:: d_step { !invalid[c] && !elected[c] -> invalid[c] = true; done } /* gives up */
#endif
	od
}
#undef c

/* Between candidate c and node n. */
#define c ((_pid - C) / N)
#define n ((_pid - C) % N)
#define PROCLAIM(s) :: d_step { sent[c] > s && may_write(c, n) && value[n] <= version(c, s) -> \
		value[n] = version(c, s); acknowledge(c, n, value[n]); done }
active [C * N] proctype link() {
end:	do
	:: d_step { key[n] == 0 && token[n] < c + 1 ->
		key[n] = c + 1; token[n] = c + 1;
		granted[c] = granted[c] | bit(n);
#ifdef VALUE_WITH_ACQUIRE
		raise(value[n], version(c, 0));
#endif
		if :: count(granted[c]) >= MAJORITY && !invalid[c] -> elected[c] = true :: else fi;
		done }
	PROCLAIM(0)
#if VALUES > 1
	PROCLAIM(1)
#endif
	:: d_step { key[n] == c + 1 && over(c) -> key[n] = 0; done }
#ifdef RETAKE
	:: d_step { (retakes & bit(c)) && key[n] == 0 -> key[n] = c + 1; raise(token[n], c + 1); done }
#endif
	od
}
#undef c
#undef n

inline end_reading() {
	reading = IDLE; heard = 0; found = 0; have = 0;
	for (i : 0 .. C - 1) { holds[i] = 0 }
}
inline report() {
	assert(elected[writer(found)]); /* a leader that was never elected */
	assert(found >= shown);         /* an earlier one than before */
#ifdef REACH_SHOWN_TWO
	assert(shown == 0 || writer(shown) == writer(found));
#endif
	shown = found;
	end_reading()
}
/* The writer of what was found holds the lock on a majority of the answers. */
#define led (found > 0 && count(holds[writer(found)]) >= MAJORITY)
#define HEAR(n) :: d_step { reading == ASKS && !(heard & bit(n)) -> \
		heard = heard | bit(n); \
		if :: key[n] > 0 -> holds[key[n] - 1] = holds[key[n] - 1] | bit(n) :: else fi; \
		if \
		:: value[n] > found -> found = value[n]; have = bit(n) \
		:: value[n] == found -> have = have | bit(n) \
		:: else \
		fi; done }
#define WRITE_BACK(n) \
	:: d_step { reading == BACK && !(have & bit(n)) -> \
		if \
		:: value[n] <= found -> value[n] = found; have = have | bit(n) \
		:: value[n] > found && writer(value[n]) == writer(found) -> \
			found = value[n]; have = bit(n); spread = spread | (1 << found) \
		:: else -> end_reading() /* another leads by now */ \
		fi; done }
active proctype observer() {
end:	do
	:: d_step { reading == IDLE && reads < READS -> reading = ASKS; reads++; done }
	HEAR(0) HEAR(1) HEAR(2)
	:: d_step { reading == ASKS && count(heard) >= MAJORITY ->
		if
		:: !led -> end_reading()
#ifdef NO_WRITEBACK
		:: led -> report()
#else
		:: led && count(have) >= MAJORITY -> report()
		:: led && count(have) < MAJORITY -> reading = BACK; heard = 0; spread = spread | (1 << found);
			for (i : 0 .. C - 1) { holds[i] = 0 }
#endif
		fi; done }
	WRITE_BACK(0) WRITE_BACK(1) WRITE_BACK(2)
	:: d_step { reading == BACK && count(have) >= MAJORITY -> report(); done }
	od
}

/* What was written back comes late. */
#define LATE(v) :: d_step { (spread & (1 << (v))) && value[n] < (v) -> value[n] = (v); done }
#define n (_pid - C - C * N - 1)
active [N] proctype node() {
end:	do
	LATE(1) LATE(2) LATE(3) LATE(4)
	od
}
#undef n
