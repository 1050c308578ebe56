/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol by which probes enter and leave live text, for spin: tests/model/run checks
 * it. The step numbers are those of module/engine/arm.c and Documentation/protocol.rst.
 *
 * The patcher arms probe 1, disarms it, maybe again; then destroys it and makes probe 2 at
 * the same site in the same slot, or keeps it and makes probe 2 in another. Each is a jump,
 * or an int3 whose copy has a second int3 behind it (int3-step-int3). An int3 that is
 * emulated or boosted is a part of these two.
 *
 * -D flags take one step away or change the order; tests/model/run has the list.
 */
#include "machine.pml"

/*
 * The steps. Numbers from 18 on are destroy_set() of module/engine/registry.c: (18) wait, (19) forget
 * the second int3, (20) plain RCU for who just looks at it, (21) free. (0) is building the
 * code out of line, and the springboard. NO_SYNC and NO_WAIT say which sync or wait is left out; NO_TASKS and
 * NO_RUDE leave out that half of a wait.
 */
#ifndef NO_SYNC
#define NO_SYNC		99
#endif
#ifndef NO_WAIT
#define NO_WAIT		99
#endif
#ifndef NO_TASKS
#define NO_TASKS	99
#endif
#ifndef NO_RUDE
#define NO_RUDE		99
#endif

/* Two syncs are one after the other, so that one @ipi serves. */
#ifdef OTHER
#define no_other_sync	(ipi == 0)
#else
#define no_other_sync	true
#endif

/* ktramp_text_sync(). cpus_read_lock() keeps out a CPU that is on its way. */
inline sync(n)
{
	atomic {
		(cpu1 != MOVING || NO_CPUS_LOCK || n == NO_SYNC) && no_other_sync ->
		SAY(("@sync %d %d\n", n, n == NO_SYNC))
		ipi = (n == NO_SYNC -> 0 : BIT(0) | (cpu1 == ONLINE -> BIT(1) : 0))
	};
	ipi == 0 || SYNC_NO_WAIT
}

#define in_trap(x)	(pc[x] >= IN_TRAP -> BIT(x) : 0)
#define inside(x)	(pc[x] != OUT -> BIT(x) : 0)

/* Who has interrupts off, or is an interrupt's handler, is an RCU reader. */
#define readers		(in_trap(TASK) | in_trap(IDLE0) | in_trap(IDLE1) | \
			 (running[0] == IRQ -> BIT(IRQ) : 0))

inline synchronize_rcu(n)
{
	hold_rcu = (n == NO_WAIT -> 0 : readers);
	hold_rcu == 0
}

/*
 * ktramp_text_wait(): tasks-RCU for the task, the rude one for the idle tasks, and plain
 * RCU, which both imply. All begin at once here, which is the least they may wait for.
 */
inline wait(n)
{
	atomic {
		/* The rude one takes cpus_read_lock() by itself. */
		cpu1 != MOVING || n == NO_WAIT || n == NO_RUDE ->
		SAY(("@wait %d %d\n", n, n == NO_WAIT))
		hold_rcu = (n == NO_WAIT -> 0 : readers);
		hold_task = (n == NO_WAIT || n == NO_TASKS -> 0 : inside(TASK)) |
			(n == NO_WAIT || n == NO_RUDE -> 0 : inside(IDLE0) | inside(IDLE1))
	};
	hold_rcu == 0 && hold_task == 0
}

/* Probe 2 is in slot 1 only if probe 1 is still in slot 0. */
inline build()
{
	if
	:: p == 1 -> write_slot(SLOT0, S0_P1)
	:: p == 2 && !slot2 -> write_slot(SLOT0, S0_P2)
	:: p == 2 && slot2 -> write_slot(SLOT1, S1_P2)
	fi
}

inline free()
{
	alive = alive & ~BIT(q);
	mech[q] = 0;
	if
	:: q == 2 && slot2 -> write_slot(SLOT1, S1_FREE)
	:: else -> write_slot(SLOT0, S0_FREE)
	fi
}

/*
 * Byte 1 is a byte of the jump, from (5) to (11), or PINNED: the int3 of a jump from (2) to
 * (13), where it goes before byte 0.
 */
#define jump_1()	atomic { write(B1, B1_JMP) }
#define old_1()		atomic { write(B1, B1_OLD) }
#if defined(PINNED) && !defined(PIN_LATE)
#define pin_2()		only_jump(jump_1())
#define pin_5()		skip
#else
#define pin_2()		skip
#define pin_5()		jump_1()
#endif
#if defined(PINNED) && !defined(UNPIN_EARLY)
#define pin_11()	skip
#define pin_13()	only_jump(atomic { tail_changed = false; write(B1, B1_OLD) })
#else
#define pin_11()	old_1()
#define pin_13()	skip
#endif

#define only_jump(s)	if :: mech[p] == JUMP -> s :: else fi

#define S1	atomic { trap = p; dones = dones | (mech[p] == STEP -> BIT(p) : 0) }; sync(1)
#define S2	atomic { write(B0, B0_INT3) }; pin_2()
#define S3	sync(3); armed = true
#ifdef SINGLE
#define S4	skip
#else
#define S4	wait(4)
#endif
#define S5	atomic { tail_changed = true; jump_to = p }; pin_5(); atomic { write(B2, B2_JMP) }
#define S6	sync(6)
#define S7	atomic { write(B0, B0_JMP) }; spring_late()
#define S8	sync(8); quiet = true

#define S9	atomic { quiet = false; write(B0, B0_INT3) }
#define S10	sync(10)
#define S11	pin_11(); atomic { write(B2, B2_OLD) }
#define S12	sync(12)
#define S13	pin_13(); atomic { armed = false; tail_changed = false; write(B0, B0_OLD) }
#define S14	sync(14)
#define S15	atomic { trap = 0; jump_to = 0 }

/* Before anything leads there; again padding when nobody is at the jump any more. */
#ifdef SPRINGBOARD
#define spring()	only_jump(atomic { write_slot(BOARD, (p == 1 -> B_P1 : B_P2)) })
#define S16	only_jump(wait(16))
#define S17	only_jump(atomic { write_slot(BOARD, B_PAD) })
#else
#define spring()	skip
#define S16	skip
#define S17	skip
#endif
#ifdef SPRING_LATE
#define S0	skip
#define spring_late()	spring()
#else
#define S0	spring()
#define spring_late()	skip
#endif

#define S18	wait(18)
#define S19	if :: dones & BIT(q) -> dones = dones & ~BIT(q); synchronize_rcu(20) :: else fi
#define S21	atomic { free() }

/* Their order, and wrong ones. What is only for a jump stands apart. */
#if defined(BUILD_LATE)
#define ARM		S1; S2; atomic { build() }; S3
#elif defined(HASH_LATE)
#define ARM		S2; S1; S3
#elif defined(WAIT_FIRST)
#define ARM		S4; S1; S2; S3
#elif defined(TAIL_FIRST)
#define ARM		only_jump(S5); S1; S2; S3
#else
#define ARM		S0; S1; S2; S3
#endif

#if defined(WAIT_FIRST)
#define ARM_JUMP	S5; S6; S7; S8
#elif defined(TAIL_FIRST)
#define ARM_JUMP	S4; S6; S7; S8
#elif defined(HEAD_FIRST)
#define ARM_JUMP	S4; S7; S6; S5; S8
#else
#define ARM_JUMP	S4; LOCK(B0_INT3); S5; S6; S7; S8; UNLOCK
#endif

#if defined(NO_INT3_9)
#define DISARM_JUMP	S10; S11; S12
#elif defined(RESTORE_HEAD_FIRST)
#define DISARM_JUMP	S9; S10; S13; S12; S11
#else
#define DISARM_JUMP	S9; S10; S11; S12
#endif

#if defined(UNHASH_BEFORE_13)
#define DISARM		S15; S13; S14
#elif defined(UNHASH_BEFORE_14)
#define DISARM		S13; S15; S14
#else
#define DISARM		S13; S14; S15; UNLOCK; S16; S17
#endif

/*
 * What is done under the kernel's locks begins with a comparison of byte 0 and a look at the
 * kernel's table. Who finds something else waits here until it has gone: refused, or stuck.
 */
#if !defined(OTHER)
#define LOCK(byte0)	skip
#define UNLOCK		skip
#elif defined(NO_LOCKS)
#define LOCK(byte0)	!theirs && (mem & B0) == (byte0)
#define UNLOCK		skip
#else
#define LOCK(byte0)	atomic { !locked && !theirs && (mem & B0) == (byte0) -> locked = true }
#define UNLOCK		locked = false
#endif

#if defined(UNHASH_DONE_EARLY)
#define DESTROY		S19; S18; S21
#else
#define DESTROY		S18; S19; S21
#endif

proctype patcher()
{
	byte p = 1;	/* the probe that is armed and disarmed */
	byte q;		/* and the one that is destroyed */

create:	atomic {
		alive = alive | BIT(p);
		if
		:: mech[p] = JUMP
		:: mech[p] = STEP
		fi;
#ifndef BUILD_LATE
		build()
#endif
	};
arm:	LOCK(B0_OLD);
	ARM;
	UNLOCK;
	only_jump(ARM_JUMP);
	LOCK((mech[p] == JUMP -> B0_JMP : B0_INT3));
	only_jump(DISARM_JUMP);
	DISARM;
	if
	:: goto arm
	:: p == 1 -> slot2 = 1; p = 2; goto create
	:: q = p
	fi;
destroy:
	DESTROY;
	if
	:: p == 1 -> p = 2; goto create
	:: q == 2 && slot2 -> q = 1; goto destroy
	:: else
	fi
}

#ifdef OTHER
#ifdef NO_LOCKS
#define OTHER_LOCK	skip
#define OTHER_UNLOCK	skip
#else
#define OTHER_LOCK	atomic { !locked -> locked = true }
#define OTHER_UNLOCK	locked = false
#endif

/* register_kprobe(), which refuses to stand on an int3, and unregister_kprobe(). */
proctype other()
{
	OTHER_LOCK;
	if
	:: (mem & B0) == B0_INT3
	:: else ->
		atomic { saved = mem & B0; theirs = true };
		atomic { write(B0, B0_OTHER) };
		sync(98);
		OTHER_UNLOCK;
		OTHER_LOCK;
		atomic { write(B0, saved) };
		sync(98);
		atomic { theirs = false; saved = 0 }
	fi;
	OTHER_UNLOCK
}
#endif

init
{
	atomic {
		running[0] = IDLE0;
		running[1] = IDLE1;
		run cpu(0, IDLE0);
		run cpu(1, IDLE1);
#ifdef OTHER
		run other();
#endif
		run patcher()
	}
}
