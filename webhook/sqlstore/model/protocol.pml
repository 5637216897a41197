/*
 * How deliveries are claimed and settled, by two processes that share a SQL store, while processes
 * crash, pause and are slow, and calls fail with and without having taken effect. README.md says
 * which function of the code each step stands for, and how to run the checker.
 *
 * With a name of a bug defined (spin -DNO_TOKEN ...), the model has that bug, and the checker has
 * to find it.
 */

/* How often something goes wrong, and how often an attempt fails: a bound of the search. */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef FAILURES
#define FAILURES 1
#endif

#define P 2 /* processes */
#define D 2 /* deliveries */

#define of(p, d) ((p) * D + (d)) /* arrays have one dimension */

/* ------------------------------ What the database holds: TABLES.md ------------------------------ */

/* Table deliveries. A claim compares due_at with now: it is ahead, or it is past. */
mtype = { absent, pending, inflight, succeeded };
mtype = { null, ahead, past };
mtype state[D] = absent;
mtype due[D] = null;
byte token[D];

/* Table leases: row r has first_id = r. It does not exist while its end is null. */
mtype rowEnds[D] = null;
byte last[D];

/* Locks of rows, by the process whose transaction holds them, plus 1. 0 if there is none. */
byte locked[D], rowLocked[D];

/* ---------------------------------- What each process remembers --------------------------------- */

bool paused[P];
mtype = { none, claiming, settling };
mtype tx[P] = none; /* its open transaction */

/* heldLeases of dispatch: the token of its lease on a delivery, and whether that has not ended. */
byte lease[P * D];
bool fresh[P * D];
/* The result of an attempt that is to be settled. A result on an earlier lease has token late. */
mtype = { success, failure };
mtype result[P * D] = none, lateResult[P * D] = none;
byte late[P * D];
/* The settlement of the open transaction. */
byte settled[P], settledToken[P];

/* leases of sqlstore: under which row it was given a delivery (plus 1), which rows have nothing left
 * and are to be removed, and past which rows its claims do not look any more. */
byte under[P * D];
bool ended[P * D];
bool passed[P * D];
/* Of a claim's transaction: rows that it keeps, and rows that it cannot see, as others lock them. */
mtype = { kept, unseen };
mtype seen[P * D] = none;

/* -------------------------------------- For the checker only ------------------------------------ */

byte faults = FAULTS, failures = FAILURES;
byte counted[D]; /* results that were stored as the final one */
#ifdef EXACTLY_ONCE
byte received[D]; /* how often the endpoint has accepted it */
#endif

/* ------------------------------------------ Properties ------------------------------------------ */

/* The process may begin an attempt: heldLeases.owns. */
#define owns(p, d) (lease[of(p, d)] > 0 && fresh[of(p, d)] && result[of(p, d)] == none)
#define under_row(d, r) (rowEnds[r] != null && r <= d && d <= last[r])
#define orphan(d) (state[d] == inflight && due[d] == null && !under_row(d, 0) && !under_row(d, 1))

/* Hold after every step. */
inline check() {
	assert(!(owns(0, 0) && owns(1, 0)) && !(owns(0, 1) && owns(1, 1))); /* ONE OWNER */
	assert(!orphan(0) && !orphan(1));                                   /* COVERED */
}

/* DELIVERED: once the faults are over, every delivery succeeds and no row of leases stays. */
ltl delivered {
	<> (state[0] == succeeded && state[1] == succeeded && rowEnds[0] == null && rowEnds[1] == null)
}

/* --------------------------------------- Steps of a process ------------------------------------- */

/* A row of leases is removed. What the processes know of it does not matter any more. */
inline removeRow(r) {
	rowEnds[r] = null; last[r] = 0;
	forgetRow(0, r);
	forgetRow(1, r)
}

inline forgetRow(p, r) {
	ended[of(p, r)] = false; passed[of(p, r)] = false;
	if
	:: under[of(p, 0)] == r + 1 -> under[of(p, 0)] = 0
	:: else
	fi;
	if
	:: under[of(p, 1)] == r + 1 -> under[of(p, 1)] = 0
	:: else
	fi
}

/* A call whose reply is lost has taken effect, and the caller learns nothing. */
inline lose() { faults > 0 -> faults--; printf("process %d: the reply of that call is lost\n", p) }

/* Enqueue, with a prefetch: the caller takes some of the deliveries from..to. They get one row. */
inline enqueue(from, to) {
	printf("process %d stores deliveries %d to %d\n", p, from, to);
	d = from;
	r = D;
	do
	:: d > to -> break
	:: d <= to ->
		if
		:: state[d] = inflight; due[d] = null; token[d] = 1;
			if
			:: r == D -> r = d; rowEnds[r] = ahead
			:: else
			fi;
			last[r] = d;
		:: state[d] = pending; due[d] = past; token[d] = 0;
		fi;
		d++
	od;
	if
	:: lose()
	:: d = from;
		do
		:: d > to -> break
		:: d <= to ->
			if
			:: state[d] == inflight ->
				lease[of(p, d)] = 1; fresh[of(p, d)] = 1; under[of(p, d)] = r + 1
			:: else
			fi;
			d++
		od
	fi
}

#ifdef EARLY_CLAIM
#define is_due(d) ((state[d] == pending && due[d] == past || \
	state[d] == inflight && due[d] != null) && !locked[d])
#else
#define is_due(d) ((state[d] == pending || state[d] == inflight) && due[d] == past && !locked[d])
#endif

#ifdef NO_END
#define to_look(p, r) false
#else
#define to_look(p, r) (rowEnds[r] == past && !passed[of(p, r)])
#endif

/* The transaction of Claim until its commit. It waits for no lock. */
inline beginClaim() {
	printf("process %d begins a claim\n", p);
	tx[p] = claiming;
	r = 0;
	do /* endLeases */
	:: r == D -> break
	:: r < D ->
		if
		:: to_look(p, r) && !rowLocked[r] ->
			rowLocked[r] = p + 1;
#ifdef KEEP_EMPTY
			seen[of(p, r)] = kept;
#endif
			d = r;
			do
			:: d > last[r] -> break
			:: d <= last[r] ->
				if
				:: state[d] == inflight && due[d] == null && !locked[d] ->
#ifdef KEEP_EMPTY
					seen[of(p, r)] = none;
#endif
					locked[d] = p + 1
				:: state[d] == inflight && due[d] == null && locked[d] && locked[d] != p + 1 ->
#ifndef ROW_UNSEEN
					seen[of(p, r)] = kept
#else
					skip
#endif
				:: else
				fi;
				d++
			od
		:: to_look(p, r) && rowLocked[r] -> seen[of(p, r)] = unseen
		:: else
		fi;
		r++
	od;
	d = 0;
	do /* claimIn */
	:: d == D -> break
	:: d < D ->
		if
		:: is_due(d) -> locked[d] = p + 1
		:: else
		fi;
		d++
	od
}

/* The commit. What is locked is the caller's now. */
inline commitClaim() {
	printf("process %d commits the claim\n", p);
	r = 0;
	do
	:: r == D -> break
	:: r < D ->
		if
		:: rowLocked[r] == p + 1 ->
			rowLocked[r] = 0;
			if
			:: seen[of(p, r)] == none -> removeRow(r)
			:: else
			fi
		:: else
		fi;
		r++
	od;
	if
	:: lose(); lost = true
	:: lost = false
	fi;
	d = 0;
	do
	:: d == D -> break
	:: d < D ->
		if
		:: locked[d] == p + 1 ->
			locked[d] = 0;
			state[d] = inflight; due[d] = ahead; token[d]++;
			if
			:: lost
			:: !lost -> hold(d)
			fi
		:: else
		fi;
		if
		:: !lost && seen[of(p, d)] == unseen && rowEnds[d] != null -> passed[of(p, d)] = true /* leases.end */
		:: else
		fi;
		seen[of(p, d)] = none;
		d++
	od;
	lost = false;
	tx[p] = none
}

/* heldLeases.hold. If an attempt under an earlier lease has a result, that is still to come. */
inline hold(d) {
	if
	:: result[of(p, d)] != none ->
		late[of(p, d)] = lease[of(p, d)]; lateResult[of(p, d)] = result[of(p, d)];
		result[of(p, d)] = none
	:: else
	fi;
	lease[of(p, d)] = token[d];
	fresh[of(p, d)] = true
}

/* Prune ends all leases whose time is over, also those that no claim looks at any more. */
#if defined(NO_PRUNE) || defined(NO_END)
#define to_prune(r) false
#elif defined(KEEP_EMPTY)
#define to_prune(r) (rowEnds[r] == past && !rowLocked[r] && (to_end(0, r) || to_end(1, r)))
#else
#define to_prune(r) (rowEnds[r] == past && !rowLocked[r] && \
	(to_end(0, r) || to_end(1, r) || !held_under(0, r) && !held_under(1, r)))
#endif
#define held_under(d, r) (r <= d && d <= last[r] && state[d] == inflight && due[d] == null)
#define to_end(d, r) (held_under(d, r) && !locked[d])

inline prune(r) {
	printf("process %d prunes row %d\n", p, r);
	left = false;
	d = r;
	do
	:: d > last[r] -> break
	:: d <= last[r] ->
		if
		:: state[d] == inflight && due[d] == null && !locked[d] -> due[d] = past
		:: state[d] == inflight && due[d] == null && locked[d] -> left = true
		:: else
		fi;
		d++
	od;
	if
	:: left
	:: !left -> removeRow(r)
	fi;
	left = false
}

/* leases.release: the process holds one delivery less under its row. */
inline release(d) {
	if
	:: under[of(p, d)] > 0 ->
		r = under[of(p, d)] - 1;
		under[of(p, d)] = 0;
		if
#ifndef ROW_EARLY
		:: under[of(p, 1 - d)] == r + 1
#endif
		:: else -> ended[of(p, r)] = true
		fi
	:: else
	fi
}

#ifdef EXTEND_STALE
#define extends(p, d) (state[d] == inflight)
#else
#define extends(p, d) (state[d] == inflight && token[d] == lease[of(p, d)])
#endif

/* Extend. A lease under a row becomes one of the delivery's own. */
inline extend(d) {
	printf("process %d extends its lease on %d\n", p, d);
	if
	:: extends(p, d) ->
		due[d] = ahead;
		if
		:: lose()
		:: fresh[of(p, d)] = true; detach(d)
		fi
	:: else -> /* lost: it is not attempted any more, and a result will be refused */
		detach(d);
		if
		:: result[of(p, d)] != none ->
			late[of(p, d)] = lease[of(p, d)]; lateResult[of(p, d)] = result[of(p, d)];
			result[of(p, d)] = none
		:: else
		fi;
		lease[of(p, d)] = 0; fresh[of(p, d)] = false
	fi
}

inline detach(d) {
	if
	:: lease[of(p, d)] == 1 -> release(d) /* only what was prefetched has token 1 and a row */
	:: else
	fi
}

/* An attempt, which Run makes only while it owns the lease. */
#ifdef NO_OWNS
#define to_attempt(p, d) (lease[of(p, d)] > 0 && result[of(p, d)] == none)
#else
#define to_attempt(p, d) owns(p, d)
#endif

inline attempt(d) {
	assert(state[d] == inflight && token[d] == lease[of(p, d)] && due[d] != past); /* LEASED */
	if
	:: result[of(p, d)] = success;
		printf("process %d attempts %d: accepted\n", p, d);
#ifdef EXACTLY_ONCE
		received[d]++;
		assert(received[d] == 1) /* ONCE AT THE ENDPOINT, which is not promised */
#endif
	:: failures > 0 -> failures--; result[of(p, d)] = failure;
		printf("process %d attempts %d: refused\n", p, d)
	fi
}

#ifdef NO_TOKEN
#define matches(d, t) (state[d] == inflight)
#elif defined(NO_STATE)
#define matches(d, t) (token[d] == t)
#else
#define matches(d, t) (state[d] == inflight && token[d] == t)
#endif

#define rows_free(p) (!(ended[of(p, 0)] && rowLocked[0]) && !(ended[of(p, 1)] && rowLocked[1]))

/* The transaction of Settle until its commit. It locks the rows that it changes and removes. */
inline beginSettle(d, t) {
	printf("process %d begins to settle %d with token %d\n", p, d, t);
	tx[p] = settling;
	settled[p] = d; settledToken[p] = t;
	if
	:: matches(d, t) -> locked[d] = p + 1
	:: else /* refused */
	fi;
	r = 0;
	do /* leases.takeEnded */
	:: r == D -> break
	:: r < D ->
		if
		:: ended[of(p, r)] -> rowLocked[r] = p + 1
		:: else
		fi;
		r++
	od
}

inline commitSettle() {
	printf("process %d commits the result of %d\n", p, settled[p]);
	d = settled[p];
	isLate = settledToken[p] == late[of(p, d)];
	if
	:: locked[d] == p + 1 ->
		locked[d] = 0;
		assert(token[d] == settledToken[p]); /* FENCED */
		if
		:: (isLate && lateResult[of(p, d)] == success) || (!isLate && result[of(p, d)] == success) ->
			state[d] = succeeded; due[d] = null;
			counted[d]++;
			assert(counted[d] == 1) /* ONCE */
		:: else ->
			assert(state[d] == inflight);
			state[d] = pending; due[d] = ahead
		fi
	:: else
	fi;
	r = 0;
	do /* removeLeases */
	:: r == D -> break
	:: r < D ->
		if
		:: rowLocked[r] == p + 1 -> rowLocked[r] = 0; removeRow(r)
		:: else
		fi;
		r++
	od;
	if
	:: lose() /* it will settle the same again */
	:: ended[of(p, 0)] = false; ended[of(p, 1)] = false;
		forget()
	fi;
	isLate = false;
	settled[p] = 0; settledToken[p] = 0;
	tx[p] = none
}

/* leases.forget of sqlstore, and heldLeases.release. */
inline forget() {
	d = settled[p];
	if
	:: settledToken[p] == 1 -> release(d)
	:: else
	fi;
	if
	:: settledToken[p] == late[of(p, d)] -> late[of(p, d)] = 0; lateResult[of(p, d)] = none
	:: else -> lease[of(p, d)] = 0; fresh[of(p, d)] = false; result[of(p, d)] = none
	fi
}

/* The server rolls the transaction back. */
inline rollBack(p) {
	d = 0;
	do
	:: d == D -> break
	:: d < D ->
		if
		:: locked[d] == p + 1 -> locked[d] = 0
		:: else
		fi;
		if
		:: rowLocked[d] == p + 1 -> rowLocked[d] = 0
		:: else
		fi;
		seen[of(p, d)] = none;
		d++
	od;
	settled[p] = 0; settledToken[p] = 0;
	tx[p] = none
}

/* A call fails because the connection broke. */
inline fail() {
	printf("a call of process %d fails\n", p);
#ifdef FORGET_FAILED
	if
	:: tx[p] == settling -> forget()
	:: else
	fi;
#endif
	rollBack(p)
}

/* The process dies, and starts again with an empty memory. */
inline crash() {
	printf("process %d crashes\n", p);
	rollBack(p);
	d = 0;
	do
	:: d == D -> break
	:: d < D ->
		lease[of(p, d)] = 0; fresh[of(p, d)] = false; result[of(p, d)] = none;
		late[of(p, d)] = 0; lateResult[of(p, d)] = none;
		under[of(p, d)] = 0; ended[of(p, d)] = false; passed[of(p, d)] = false;
		d++
	od
}

#define to_extend(p, d) (lease[of(p, d)] > 0 && !locked[d] && \
	(!fresh[of(p, d)] || lease[of(p, d)] == 1 && under[of(p, d)] > 0))
#define to_settle(p, d) (tx[p] == none && !locked[d] && rows_free(p))
#define to_drop(p, d) (lease[of(p, d)] > 0 && !fresh[of(p, d)] && result[of(p, d)] == none)

/* Whether it makes a difference what becomes of the process. */
#define matters(p) (tx[p] != none || lease[of(p, 0)] > 0 || lease[of(p, 1)] > 0)

/* done ends a step: nothing is left in the variables of its computation. */
inline done() { d = 0; r = 0; check() }

active [P] proctype process() {
	byte p = _pid, d, r;
	bool left, lost, isLate;
end:
	do
	:: atomic { !paused[p] && state[0] == absent && state[1] == absent && p == 0 -> enqueue(0, 1); done() }
	:: atomic { !paused[p] && state[0] == absent && p == 0 -> enqueue(0, 0); done() }
	:: atomic { !paused[p] && state[1] == absent && state[0] != absent -> enqueue(1, 1); done() }

	:: atomic { !paused[p] && tx[p] == none &&
			(is_due(0) || is_due(1) || to_look(p, 0) || to_look(p, 1)) -> beginClaim(); done() }
	:: atomic { !paused[p] && tx[p] == claiming -> commitClaim(); done() }
	:: atomic { !paused[p] && to_prune(0) -> prune(0); done() }
	:: atomic { !paused[p] && to_prune(1) -> prune(1); done() }

	:: atomic { !paused[p] && to_extend(p, 0) -> extend(0); done() }
	:: atomic { !paused[p] && to_extend(p, 1) -> extend(1); done() }
	:: atomic { !paused[p] && to_attempt(p, 0) -> attempt(0); done() }
	:: atomic { !paused[p] && to_attempt(p, 1) -> attempt(1); done() }
	:: atomic { !paused[p] && to_drop(p, 0) -> lease[of(p, 0)] = 0; done() }
	:: atomic { !paused[p] && to_drop(p, 1) -> lease[of(p, 1)] = 0; done() }

	:: atomic { !paused[p] && result[of(p, 0)] != none && to_settle(p, 0) ->
		beginSettle(0, lease[of(p, 0)]); done() }
	:: atomic { !paused[p] && result[of(p, 1)] != none && to_settle(p, 1) ->
		beginSettle(1, lease[of(p, 1)]); done() }
	:: atomic { !paused[p] && late[of(p, 0)] > 0 && to_settle(p, 0) ->
		beginSettle(0, late[of(p, 0)]); done() }
	:: atomic { !paused[p] && late[of(p, 1)] > 0 && to_settle(p, 1) ->
		beginSettle(1, late[of(p, 1)]); done() }
	:: atomic { !paused[p] && tx[p] == settling -> commitSettle(); done() }

	/* The connection breaks, the process dies, or it is paused: by a debugger, or a virtual machine
	 * that moves. Another process goes on. */
	:: atomic { !paused[p] && tx[p] != none && faults > 0 -> faults--; fail(); done() }
	:: atomic { !paused[p] && matters(p) && faults > 0 -> faults--; crash(); done() }
	:: atomic { !paused[p] && !paused[1 - p] && matters(p) && faults > 0 -> faults--; paused[p] = true;
		printf("process %d is paused\n", p) }
	od
}

/* ---------------------------------------- What is around ---------------------------------------- */

/* A lease of a running process ends only if that is too slow to extend it, which is a fault. */
#define running(p, d, t) (!paused[p] && lease[of(p, d)] == t)
#define running_under(p, d, r) (running(p, d, 1) && under[of(p, d)] == r + 1)
#define in_time(r) (running_under(0, 0, r) || running_under(0, 1, r) || \
	running_under(1, 0, r) || running_under(1, 1, r))

inline late_for(yes) {
	if
	:: yes -> faults > 0 -> faults--
	:: else
	fi
}

inline endOfRow(r) {
	printf("row %d of leases ends\n", r);
	late_for(in_time(r));
	rowEnds[r] = past;
	p = 0;
	do
	:: p == P -> break
	:: p < P ->
		d = 0;
		do
		:: d == D -> break
		:: d < D ->
			if
			:: under[of(p, d)] == r + 1 && lease[of(p, d)] == 1 -> fresh[of(p, d)] = false
			:: else
			fi;
			d++
		od;
		p++
	od;
	p = 0; d = 0
}

inline endOfLease(d) {
	printf("the lease on %d ends\n", d);
	late_for(running(0, d, token[d]) || running(1, d, token[d]));
	due[d] = past;
	p = 0;
	do
	:: p == P -> break
	:: p < P ->
		if
		:: lease[of(p, d)] == token[d] -> fresh[of(p, d)] = false
		:: else
		fi;
		p++
	od;
	p = 0
}

#define can_end(yes) (!(yes) || faults > 0)

/* Time passes. */
active proctype time() {
	byte p, d;
end:
	do
	:: atomic { rowEnds[0] == ahead && can_end(in_time(0)) -> endOfRow(0) }
	:: atomic { rowEnds[1] == ahead && can_end(in_time(1)) -> endOfRow(1) }
	:: atomic { state[0] == inflight && due[0] == ahead &&
			can_end(running(0, 0, token[0]) || running(1, 0, token[0])) -> endOfLease(0) }
	:: atomic { state[1] == inflight && due[1] == ahead &&
			can_end(running(0, 1, token[1]) || running(1, 1, token[1])) -> endOfLease(1) }
	:: atomic { state[0] == pending && due[0] == ahead -> due[0] = past }
	:: atomic { state[1] == pending && due[1] == ahead -> due[1] = past }
	od
}

/* PostgreSQL ends the transaction of a process that says nothing for 10 seconds. */
active proctype server() {
	byte d;
end:
	do
#ifndef NO_IDLE_TIMEOUT
	:: atomic { paused[0] && tx[0] != none -> rollBack(0); d = 0; printf("the server ends the transaction of process 0\n") }
	:: atomic { paused[1] && tx[1] != none -> rollBack(1); d = 0; printf("the server ends the transaction of process 1\n") }
#else
	:: false
#endif
	od
}

/* A paused process goes on, or stays so for ever. */
active proctype operator() {
end:
	do
	:: atomic { paused[0] -> paused[0] = false; printf("process 0 goes on\n") }
	:: atomic { paused[1] -> paused[1] = false; printf("process 1 goes on\n") }
	:: paused[0] || paused[1] -> break
	od
}
