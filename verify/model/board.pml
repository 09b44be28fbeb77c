/*
 * Published values: each path is an atomic register that many may write.
 *
 * As in internal/register: read.lua, publish.lua, if_held.lua. A read asks a majority for
 * the largest version, and writes it back where it lacks, until a majority has it.
 * Publish asks a majority, and stores its text with a larger version; a node with a
 * larger one still counts. PublishAs, of the holder of a lock, asks nobody: its version
 * is the fencing token and a number. A node stores that only if it is larger and the
 * lock is held there, and only then it counts. If all nodes have larger ones, and none
 * got the text twice, it is sent once more with a larger version. It is not otherwise.
 *
 * In the model: P writes, READS reads one after the other, and N nodes. Of the writes
 * the first AS are PublishAs, one after the other, by the first holder of a lock; the
 * last one is by its NEXT holder, if that is 1; the others are Publish, each at any time.
 * What was sent is carried out by each node at any time, any number of times, or never,
 * also after its caller has given up. An answer may be lost; then the command is sent
 * again. A node may pass to the next holder of the lock at any time: there is no clock,
 * so the first holder may be wrong about the lock for as long as it likes.
 *
 * Not in it: expiry of texts, nodes that forget, watchers (each is told what reads
 * find, and leaves out what is not larger).
 *
 * Checked whenever a read returns: it found what was acknowledged or read before it
 * began, or something larger; nothing that was written only after something larger
 * had been acknowledged or read; and no text that an earlier read found, and a later one
 * replaced (A, B, A). And whenever a write is acknowledged: it is larger than all that was
 * acknowledged or read before it began. Together: the order of the versions is one in
 * which all could have happened at once.
 *
 * Wrong ways:
 *   ONE_TRIP            a write sends some version, and a larger one where that is refused
 *   NO_WRITEBACK        a read returns the largest version of a majority
 *   SUPERSEDED_IS_STORED a read whose writing back meets a larger version counts that
 *                       node, and returns its own; right for Publish alone
 *   REPEAT_AFTER_RESEND PublishAs repeats although a node got the text twice
 */
#ifndef P
#define P 2
#endif
#ifndef AS
#define AS 0
#endif
#ifndef NEXT
#define NEXT 0
#endif
#ifndef READS
#define READS 2
#endif
#define N 3
#define MAJORITY 2

#define IDLE 0
#define ASKS 1
#define SENT 2
#define DONE 3    /* acknowledged, or given up */
#define BACK 2    /* a read that writes back */

/* A version is a number and a writer; 0 for none. */
#define larger(v, p) (((v) + P - 1) / P * P + (p) + 1)
#define writer(v) (((v) - 1) % P)
#define as(p) ((p) < AS || NEXT && (p) == P - 1)
#define holder(p) (NEXT && (p) == P - 1)
#define bit(n) (1 << (n))
#define count(x) (((x) & 1) + ((x) >> 1 & 1) + ((x) >> 2 & 1))

byte value[N];     /* the version that the node has */
byte key[N];       /* which holder has the lock there: 0 the first, 1 the next */

byte state[P];
byte version[P];   /* that is sent; while it asks, the largest seen */
byte former[P];    /* that was sent before it, and may still come */
byte asked[P];     /* nodes, as bits */
byte stored[P];    /* nodes that count */
byte refused[P];   /* nodes that had a larger version */
byte unsure[P];    /* nodes that stored it, and whose answer was lost */
byte floor[P + 1]; /* the largest that was acknowledged or read before it began; P: of the read */
byte seen[2];      /* the largest version that the holder has met */

byte reading;      /* the state of the read */
byte reads;        /* that were begun */
byte heard;        /* nodes that answered, as bits */
byte found;        /* the largest version */
byte have;         /* nodes that have it */
int spread;        /* versions that were written back, as bits */

byte confirmed;    /* the largest version that was acknowledged or read */
byte last;         /* the version that was read last */
byte before;       /* writes whose text was read, as bits */
byte i;            /* scratch: 0 between steps */

/* Nodes are interchangeable. With -DSORTED states are kept with the nodes in order,
   which leaves a sixth of them; counterexamples are easier to read without. */
#ifdef SORTED
c_code {
#define SWAP(x, n) { unsigned char t = (x)[n]; (x)[n] = (x)[n + 1]; (x)[n + 1] = t; }
#define BIT(x, n) ((x) >> (n) & 1)
#define FLIP(x, n) { if (BIT(x, n) != BIT(x, n + 1)) (x) ^= 3 << (n); }
	static void sort_nodes(void) {
		int pass, p;
		for (pass = 0; pass < N; pass++) {
			int n = pass & 1, d = now.value[n] - now.value[n + 1];
			if (d == 0) d = now.key[n] - now.key[n + 1];
			if (d == 0) d = BIT(now.heard, n) - BIT(now.heard, n + 1);
			if (d == 0) d = BIT(now.have, n) - BIT(now.have, n + 1);
			for (p = 0; p < P && d == 0; p++) {
				d = BIT(now.asked[p], n) - BIT(now.asked[p], n + 1);
				if (d == 0) d = BIT(now.stored[p], n) - BIT(now.stored[p], n + 1);
				if (d == 0) d = BIT(now.refused[p], n) - BIT(now.refused[p], n + 1);
				if (d == 0) d = BIT(now.unsure[p], n) - BIT(now.unsure[p], n + 1);
			}
			if (d <= 0) continue;
			SWAP(now.value, n) SWAP(now.key, n) FLIP(now.heard, n) FLIP(now.have, n)
			for (p = 0; p < P; p++) {
				FLIP(now.asked[p], n) FLIP(now.stored[p], n) FLIP(now.refused[p], n) FLIP(now.unsure[p], n)
			}
		}
	}
}
#define done i = 0; c_code { sort_nodes(); }
#else
#define done i = 0
#endif

inline raise(x, v) { if :: v > x -> x = v :: else fi }
inline send(p, v) {
	version[p] = v; state[p] = SENT; asked[p] = 0; stored[p] = 0; refused[p] = 0; unsure[p] = 0
}
inline finish(p) { state[p] = DONE; stored[p] = 0; refused[p] = 0; unsure[p] = 0 }
/* The call waits for the answer of node n: a later one counts no more. */
#define open(p, n, v) (state[p] == SENT && v == version[p] && !((stored[p] | refused[p]) & bit(n)))
/* Node n carries out the publication of v, and its answer is heard, or lost. */
inline publish(p, n, v, lost) {
	if
	:: as(p) && key[n] != holder(p) /* not held */
	:: else ->
		if
		:: value[n] <= v ->
			value[n] = v;
			if
			:: !open(p, n, v)
			:: else -> if :: lost -> unsure[p] = unsure[p] | bit(n) :: else -> stored[p] = stored[p] | bit(n) fi
			fi
		:: value[n] > v && open(p, n, v) && !lost ->
			refused[p] = refused[p] | bit(n);
			if :: as(p) -> raise(seen[holder(p)], value[n]) :: else fi
		:: else
		fi
	fi
}
/* The answers so far are enough. */
inline acknowledge(p) {
	assert(version[p] > floor[p]); /* it is older than what was there before it began */
	raise(confirmed, version[p]);
	finish(p)
}

#ifdef ONE_TRIP
#define taken(p) stored[p]
#else
#define taken(p) (as(p) -> stored[p] : stored[p] | refused[p])
#endif
#ifdef REPEAT_AFTER_RESEND
#define untouched(p) true
#else
#define untouched(p) (unsure[p] == 0)
#endif

#define p _pid
#define ASK(n) :: d_step { state[p] == ASKS && !(asked[p] & bit(n)) -> \
		asked[p] = asked[p] | bit(n); raise(version[p], value[n]); done }
#define PUBLISH(n) \
	:: d_step { version[p] > 0 && state[p] >= SENT -> publish(p, n, version[p], false); done } \
	:: d_step { as(p) && state[p] == SENT -> publish(p, n, version[p], true); done } \
	:: d_step { former[p] > 0 -> publish(p, n, former[p], true); done }
active [P] proctype write() {
	do
	:: d_step { state[p] == IDLE && !as(p) ->
		floor[p] = confirmed;
#ifdef ONE_TRIP
		send(p, p + 1);
#else
		state[p] = ASKS;
#endif
		done }
#ifdef ONE_TRIP /* clocks differ */
	:: d_step { state[p] == IDLE && !as(p) -> floor[p] = confirmed; send(p, P + p + 1); done }
	:: d_step { state[p] == SENT && former[p] == 0 && count(refused[p]) >= MAJORITY ->
		former[p] = version[p];
		for (i : 0 .. N - 1) { raise(version[p], value[i]) }
		send(p, larger(version[p], p)); done }
#endif
	ASK(0) ASK(1) ASK(2)
	:: d_step { state[p] == ASKS && count(asked[p]) >= MAJORITY -> send(p, larger(version[p], p)); done }

	/* The token may be smaller than what others have written, or larger. */
	:: d_step { state[p] == IDLE && as(p) && (p == 0 || p >= AS || state[p - 1] == DONE) ->
		floor[p] = confirmed;
		send(p, larger(seen[holder(p)], p)); seen[holder(p)] = version[p]; done }
	:: d_step { state[p] == IDLE && as(p) && (p == 0 || p >= AS) ->
		floor[p] = confirmed;
		send(p, P + p + 1); seen[holder(p)] = version[p]; done }
	:: d_step { state[p] == SENT && as(p) && former[p] == 0 && refused[p] == 7 && untouched(p) ->
		former[p] = version[p];
		send(p, larger(seen[holder(p)], p)); seen[holder(p)] = version[p];
#ifdef REACH_REPEATED
		assert(false);
#endif
		done }
	:: d_step { state[p] == SENT && as(p) -> finish(p); done } /* gives up: superseded, or too few answers */

	PUBLISH(0) PUBLISH(1) PUBLISH(2)
	:: d_step { state[p] == SENT && count(taken(p)) >= MAJORITY -> acknowledge(p); done }
	od
}
#undef p

/* What was found is returned. */
inline return_found() {
	assert(found >= floor[P] && found >= last); /* an older one than before */
	if
	:: found > 0 ->
		assert(found > floor[writer(found)]); /* it was written after something larger */
		if
		:: last > 0 && writer(last) != writer(found) ->
			assert(!(before & bit(writer(found)))); /* A, B, A */
#ifdef REACH_REPLACED
			assert(false);
#endif
		:: else
		fi;
		before = before | bit(writer(found))
	:: else
	fi;
	last = found; raise(confirmed, found);
	reading = IDLE; heard = 0; have = 0; found = 0; floor[P] = 0
}
#define HEAR(n) :: d_step { reading == ASKS && !(heard & bit(n)) -> \
		heard = heard | bit(n); \
		if \
		:: value[n] > found -> found = value[n]; have = bit(n) \
		:: value[n] == found -> have = have | bit(n) \
		:: else \
		fi; done }
#ifdef SUPERSEDED_IS_STORED
#define MEETS_LARGER(n) have = have | bit(n)
#else
#define MEETS_LARGER(n) found = value[n]; have = bit(n); spread = spread | (1 << found)
#endif
#define WRITE_BACK(n) \
	:: d_step { reading == BACK && !(have & bit(n)) -> \
		if \
		:: value[n] <= found -> value[n] = found; have = have | bit(n) \
		:: else -> MEETS_LARGER(n) \
		fi; done }
active proctype read() {
	do
	:: d_step { reading == IDLE && reads < READS -> reading = ASKS; reads++; floor[P] = confirmed; done }
	HEAR(0) HEAR(1) HEAR(2)
	:: d_step { reading == ASKS && count(heard) >= MAJORITY ->
		if
#ifdef NO_WRITEBACK
		:: true -> return_found()
#else
		:: count(have) >= MAJORITY -> return_found()
		:: else -> reading = BACK; heard = 0; spread = spread | (1 << found)
#endif
		fi; done }
	WRITE_BACK(0) WRITE_BACK(1) WRITE_BACK(2)
	:: d_step { reading == BACK && count(have) >= MAJORITY -> return_found(); done }
	:: d_step { reading == BACK -> /* gives up */
		reading = IDLE; heard = 0; have = 0; found = 0; floor[P] = 0; done }
	od
}

/* What a read that has ended has written back may still come. (That of Publish comes
   from its writer.) And nodes pass to the next holder of the lock. */
#define LATE(p) :: d_step { AS && (spread & (1 << version[p])) && value[n] < version[p] && as(p) -> value[n] = version[p]; done } \
	:: d_step { AS && (spread & (1 << former[p])) && value[n] < former[p] && as(p) -> value[n] = former[p]; done }
#define n (_pid - P - 1)
active [N] proctype node() {
	do
	LATE(0) LATE(1)
#if P > 2
	LATE(2)
#endif
	:: d_step { NEXT && key[n] == 0 -> key[n] = 1; done }
	od
}
#undef n
