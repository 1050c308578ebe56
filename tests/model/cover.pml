/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One block that is observed: module/hit/cover.c and module/engine/cover.c, with their numbers.
 *
 * The byte of the block is the original one, our int3, or somebody else's; the last two are the
 * same to who reads the byte. A CPU may fetch any value that the byte has had since the CPU's last
 * serialising event (machine.pml says it in full). One CPU can be in a handler of the int3, and
 * out of it only by iret, which serialises.
 *
 * Somebody else registers a kprobe, enables and disables it, and unregisters it, all of it once or
 * more. To register it the kernel wants to see no int3. Its locks are those that the patcher takes.
 *
 * The patcher starts, resets twice, and stops. What may never happen:
 *
 *	nobodys		an int3 is executed that nobody serves: not we, and there is no kprobe
 *	theirs		a kprobe's int3 is taken away by us
 *	lost		the block is not done, and has no int3
 *	missed		the original instruction is executed while the block waits for its hit
 */

#ifndef CPUS
#define CPUS	2
#endif

#define ORIG	0
#define OURS	1
#define THEIRS	2
#define IS_INT3(x)	((x) != ORIG)

/* What a CPU may see, as sets. */
#define SEES_ORIG	1
#define SEES_INT3	2
#define AS_SET(x)	(IS_INT3(x) -> SEES_INT3 : SEES_ORIG)

byte mem = ORIG;
bool done = true;	/* nothing is observed yet */
bool known;		/* hits look for the block */
bool waiting;		/* its int3 stands, and everybody has synced */
byte vis[CPUS] = SEES_ORIG;
bool in_trap[CPUS];
bool locked;		/* the kernel's own patchers' locks */
bool kprobe;		/* one is registered, enabled or not */

#define WRITE(x)							\
	mem = x;							\
	for (w : 0 .. CPUS - 1) { vis[w] = vis[w] | AS_SET(x) }		\
	w = 0

/* Each CPU serialises, and is not in a handler then. */
#define SYNC								\
	for (s : 0 .. CPUS - 1) {					\
		atomic { !in_trap[s] -> vis[s] = AS_SET(mem) }		\
	}								\
	s = 0

#ifdef NO_LOCKS
#define LOCK	skip
#define UNLOCK	skip
#else
#define LOCK	atomic { !locked -> locked = true }
#define UNLOCK	locked = false
#endif

/* Put the original byte back, if an int3 stands there: whoever's it is. */
#define SWAP_OUT							\
	if								\
	:: IS_INT3(mem) ->						\
		NEVER(mem == THEIRS, theirs);				\
		WRITE(ORIG)						\
	:: else								\
	fi

/* Names in a counterexample. They are never set. */
bool nobodys, theirs, lost, missed;
#define NEVER(x, name)	assert(!(x) || name)

proctype Cpu(byte me)
{
	bool was_done;
	byte w;

end:	do
	:: atomic { (vis[me] & SEES_ORIG) && !in_trap[me] -> NEVER(waiting && !done && mem == OURS, missed) }
	:: atomic { (vis[me] & SEES_INT3) && !in_trap[me] -> in_trap[me] = true };
		if
		:: !known -> goto pass
		:: else
		fi;
#ifndef NO_CHECK_1
		if
		:: !IS_INT3(mem) -> goto back				/* (1) */
		:: else
		fi;
#endif
		was_done = done;
		if
		:: was_done ->						/* (2) */
#ifdef NO_CHECK_2
			goto pass
#else
			if
			:: IS_INT3(mem) -> goto pass
			:: else -> goto back
			fi
#endif
		:: else
		fi;
#ifdef MARK_FIRST
		done = true;
		atomic { SWAP_OUT }
#else
		atomic { SWAP_OUT };					/* (3) */
		done = true						/* (4) */
#endif
		goto back;
pass:		NEVER(!kprobe, nobodys);
back:		atomic { vis[me] = AS_SET(mem); in_trap[me] = false }
	od
}

/*
 * Who registers and enables a kprobe takes longer than a handler that has begun before. That is
 * taken for granted, and nothing enforces it: a CPU that stops between (2) and (3) for as long
 * takes the kprobe's int3 for ours.
 */
#ifdef NO_WAIT
#define WAIT	skip
#else
#define WAIT	for (s : 0 .. CPUS - 1) { (!in_trap[s]) }; s = 0
#endif

/* A kprobe comes and goes. */
proctype Other()
{
	byte w, s;

end:	do
	:: LOCK;
		if
		:: !IS_INT3(mem) -> kprobe = true
		:: else						/* -EINVAL */
		fi;
		UNLOCK;
		if
		:: kprobe ->
			if
			:: LOCK; WAIT; atomic { WRITE(THEIRS) }; UNLOCK; SYNC;
				LOCK; atomic { WRITE(ORIG) }; UNLOCK; SYNC
			:: skip					/* it stays disabled */
			fi;
			kprobe = false
		:: else
		fi
	od
}

/* (5) to (8) */
inline arm(first)
{
	LOCK;
	waiting = false;
#ifdef NO_KPROBES
	again = (first || done) && !IS_INT3(mem);			/* (5) */
#else
	again = (first || done) && !IS_INT3(mem) && !kprobe;
#endif
#ifdef AGAIN_ALL
	again = !kprobe;
#endif
	if
	:: again -> done = false					/* (6) */
	:: else
	fi;
#ifndef NO_SYNC_7
	SYNC;								/* (7) */
#endif
	if
	:: again -> atomic {						/* (8) */
		if
#ifdef NO_CHECK_8
		:: !IS_INT3(mem) -> WRITE(OURS)
#else
		:: !IS_INT3(mem) && !done -> WRITE(OURS)
#endif
		:: else
		fi }
	:: else
	fi;
#ifndef NO_SYNC_8
	SYNC;
#endif
	waiting = true;
	UNLOCK
}

active proctype Patcher()
{
	bool again;
	byte w, s, n;

	for (n : 0 .. CPUS - 1) { run Cpu(n) }
	run Other();
	known = true;
	SYNC;
	arm(true);
	for (n : 1 .. 2) {
		/* What is not done has its int3, unless a hit is between (3) and (4). */
		atomic { (!in_trap[0] && !in_trap[CPUS - 1]) -> NEVER(!done && !IS_INT3(mem), lost) }
		arm(false)
	}
	LOCK;
	waiting = false;
	if
	:: !done -> atomic { SWAP_OUT }					/* (9) */
	:: else
	fi;
#ifndef NO_SYNC_10
	SYNC;								/* (10) */
#endif
	known = false;
	UNLOCK;
	NEVER(mem == OURS, nobodys)
}
