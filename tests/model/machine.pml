/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine that protocol.pml writes text on: memory, CPUs, and who runs on them.
 *
 * The text. Three bytes stand for the five of the jump, each written on its own:
 *
 *	        b0        b1        b2
 *	old     [ A ............. ] [ B ]	two instructions, the displaced region
 *	armed   int3      -         -		(SINGLE: A is all three bytes, there is no B)
 *	jump    [ jmp .................]
 *
 * PINNED: something else branches to B, so an int3 stands there from the first to the last
 * step, and is a byte of the jump (plan.c, "pins"). B is two bytes, one of which changes
 * under whoever still sees its first:
 *
 *	old     [ A ]     [ B ............. ]
 *	armed   int3      int3      -
 *	jump    [ jmp     int3 ............ ]
 *
 * OTHER: somebody else's kprobe comes and goes once. Its int3 is served by the kernel, which then
 * executes the copy that it keeps of what stood there: A, or the jump.
 *
 * SPRINGBOARD: the jump leads to another one, in padding that nobody else executes.
 *
 * Stale fetch. A CPU may execute any mix of the values a byte has had since the CPU's last
 * serialising event. vis[] is, per CPU, the set of those values. An instruction is fetched
 * and executed in one step of the model: bytes fetched earlier are in the set as well.
 *
 * Contexts. One ordinary task, preempted anywhere and resumed on any CPU; the idle task of
 * each CPU, never preempted, whom synchronize_rcu_tasks() does not look at and for whom
 * plain RCU is not watching; an interrupt handler on CPU 0. All run the same function.
 * CPU 1 comes and goes (hotplug). The patcher runs elsewhere.
 *
 * Not here: NMIs, which to a sync are interrupt handlers; stores that become visible out of
 * order, which x86 does not do; two probes armed at a time, which share no byte.
 */

/* What is taken for granted, and may be taken away. */
#ifndef NO_CPUS_LOCK
#define NO_CPUS_LOCK	false
#endif
#ifndef SYNC_NO_WAIT
#define SYNC_NO_WAIT	false
#endif
#ifndef NO_IRET
#define NO_IRET		false
#endif

/* For a reader who follows one way through all this: tests/model/run --story. */
#ifdef STORY
#define SAY(x)		printf x;
#else
#define SAY(x)
#endif

/* Contexts, and as bits of the hold_ masks. */
#define TASK		0
#define IDLE0		1
#define IDLE1		2
#define IRQ		3
#define BIT(x)		(1 << (x))

/* What a byte of the site is; memory, and what a CPU may see, are sets of these. */
#define B0_OLD		1
#define B0_INT3		2
#define B0_JMP		4
#define B1_OLD		8
#define B1_JMP		16
#define B2_OLD		32
#define B2_JMP		64
#define B0_OTHER	128	/* somebody else's int3 */
#define B0		(B0_OLD | B0_INT3 | B0_JMP | B0_OTHER)
#define B1		(B1_OLD | B1_JMP)
#define B2		(B2_OLD | B2_JMP)

/* What is in slot memory: nobody's bytes (int3), or a probe's. Probe 1 is always in slot 0. */
#define S0_FREE		1
#define S0_P1		2
#define S0_P2		4
#define S1_FREE		8
#define S1_P2		16
#define SLOT0		(S0_FREE | S0_P1 | S0_P2)
#define SLOT1		(S1_FREE | S1_P2)
/* And in the padding: what was there, or the jump to a probe's detour. */
#define B_PAD		32
#define B_P1		64
#define B_P2		128
#define BOARD		(B_PAD | B_P1 | B_P2)

/* Where a context is. From IN_TRAP on it is in a #BP handler, with interrupts off. */
#define OUT		0	/* outside, or at b0: may schedule() */
#define MIDDLE		1	/* at B */
#define DETOUR		2	/* calls the handler */
#define COPY_A		3	/* the detour's relocated copy */
#define COPY_B		4
#define BACK		5	/* the detour's jump back */
#define STEP_A		6	/* the copy in a slot */
#define STEP_INT3	7	/* the int3 behind it */
#define AT_BOARD	8	/* at the springboard's jump */
#define IN_TRAP		9
#define TRAP		9	/* hit the int3 at the site; not looked up yet */
#define HANDLER		10	/* found; the handler runs */
#define DONE		11	/* hit the int3 behind the copy; not looked up yet */
#define RETURN		12	/* found; will return behind A */
#define WALK		13	/* looks for someone else's int3, and is at a trap of ours */
#define PIN		14	/* hit the int3 inside the jump; not looked up yet */
#define PIN_FOUND	15	/* found; goes on in the copy of B */

/* What a pass did: the handler, A, B. Each exactly once. */
#define DID_HANDLER	1
#define DID_A		2
#define DID_B		4

#define JUMP		0
#define STEP		1

mtype = { DEAD, MOVING, ONLINE };

byte mem = B0_OLD | B1_OLD | B2_OLD;
byte smem = S0_FREE | S1_FREE | B_PAD;
byte vis[2] = B0_OLD | B1_OLD | B2_OLD;
byte svis[2] = S0_FREE | S1_FREE | B_PAD;

byte pc[4] = OUT;
byte probe[4];			/* whose code or trap the context is in */
byte did[4];

byte running[2];		/* the context on each CPU */
byte below;			/* what IRQ interrupted */
mtype cpu1 = DEAD;

byte ipi;			/* CPUs that have not answered the sync */
byte hold_task;			/* contexts a tasks-RCU grace period waits for */
byte hold_rcu;			/* and those plain RCU waits for */

/* The trap table, and which probes' memory is not freed. */
byte trap;			/* the probe that serves the site, or 0 */
byte dones;			/* bits: probes whose second int3 is known */
byte alive;
bit mech[3];
bit slot2;			/* the slot of probe 2 */
byte jump_to;			/* where the bytes of the jump lead */

/* The other patcher's kprobe, and text_mutex with kprobe_mutex, which are taken together. */
bit theirs;			/* in the kernel's table */
byte saved;			/* what stood at b0 */
bit locked;

/*
 * Promises of the protocol, checked where it is whole. A test that takes a step away
 * switches them off: then only what a CPU executes counts (NO_PROMISES).
 */
bool armed;			/* every hit is handled */
bool tail_changed;		/* nobody is in the middle */

/* Kept by (8) alone, so it is checked everywhere: an armed jump costs nobody a trap. */
bool quiet;

/* Never set: they give the failed assertion a name. */
bit torn, in_the_middle, lost_hit, not_once, unknown_int3, stale_slot, stale_springboard,
	freed_probe, slow_hit;

#ifdef NO_PROMISES
#define promise(x)	skip
#else
#define promise(x)	assert(x)
#endif

#define irqs_on(c)	(running[c] != IRQ && pc[running[c]] < IN_TRAP && \
			 (c == 0 || cpu1 == ONLINE))

inline serialise(c)
{
	vis[c] = mem;
	svis[c] = smem;
}

/* One store, seen by other CPUs at once, later, or not before they serialise. */
inline write(which, value)
{
	mem = (mem & ~which) | value;
	vis[0] = vis[0] | value;
	vis[1] = (cpu1 == DEAD -> mem : vis[1] | value);
	SAY(("@write %d %d %d %d %d\n", which, mem, vis[0], vis[1], cpu1 == DEAD))
}

inline write_slot(which, value)
{
	smem = (smem & ~which) | value;
	svis[0] = svis[0] | value;
	svis[1] = (cpu1 == DEAD -> smem : svis[1] | value)
}

/* The slot's bytes must be those of the probe that @x was led there by, and nothing else. */
inline fetch_slot(c, x)
{
	if
	:: probe[x] == 1 -> assert((svis[c] & SLOT0) == S0_P1 || stale_slot)
	:: probe[x] == 2 && !slot2 -> assert((svis[c] & SLOT0) == S0_P2 || stale_slot)
	:: probe[x] == 2 && slot2 -> assert((svis[c] & SLOT1) == S1_P2 || stale_slot)
	fi
}

/* So must those in the padding. */
inline fetch_board(c, x)
{
	assert((svis[c] & BOARD) == (probe[x] == 1 -> B_P1 : B_P2) || stale_springboard)
}

inline handle(x)
{
	assert(!(did[x] & DID_HANDLER) || not_once);
	SAY(("@handle %d\n", x))
	did[x] = did[x] | DID_HANDLER
}

inline do_A(x)
{
	assert(!(did[x] & DID_A) || not_once);
	did[x] = did[x] | DID_A
}

inline do_B(x)
{
	assert((did[x] & (DID_A | DID_B)) == DID_A || not_once);
	did[x] = did[x] | DID_B
}

/* Behind the region. From here @x may schedule(), which is what tasks-RCU waits for. */
inline leave(x)
{
#ifdef SINGLE
	assert((did[x] & DID_A) || not_once);
#else
	assert((did[x] & (DID_A | DID_B)) == (DID_A | DID_B) || not_once);
#endif
	did[x] = 0;
	probe[x] = 0;
	pc[x] = OUT;
	hold_task = hold_task & ~BIT(x)
}

/* The end of a #BP handler, or of an interrupt that preempted. IRET serialises. */
inline iret(c)
{
	vis[c] = (NO_IRET -> vis[c] : mem);
	svis[c] = (NO_IRET -> svis[c] : smem)
}

/* An interrupt's handler stays an RCU reader behind a #BP. */
inline end_trap(c, x)
{
	iret(c);
	if
	:: x != IRQ -> hold_rcu = hold_rcu & ~BIT(x)
	:: else
	fi
}

/* Behind A, in the original text. */
inline after_A(x)
{
#ifdef SINGLE
	leave(x)
#else
	probe[x] = 0;
	pc[x] = MIDDLE
#endif
}

/* One instruction, or one part of a #BP handler, of context @x on CPU @c. */
inline execute(c, x)
{
	if
	:: pc[x] == OUT && trap -> probe[x] = trap; pc[x] = WALK
	:: pc[x] == OUT && (dones & BIT(1)) -> probe[x] = 1; pc[x] = WALK
	:: pc[x] == OUT && (dones & BIT(2)) -> probe[x] = 2; pc[x] = WALK
#ifdef PINNED
	/* The branch to B: what it did before is as good as A. */
	:: pc[x] == OUT && !did[x] -> did[x] = DID_A; pc[x] = MIDDLE
#endif
	:: pc[x] == OUT && (vis[c] & B0_INT3) ->
		SAY(("@run %d %d int3 %d\n", c, x, vis[c]))
		assert(!quiet || slow_hit); pc[x] = TRAP
	:: pc[x] == OUT && (vis[c] & B0_JMP) ->
		SAY(("@run %d %d jmp %d\n", c, x, vis[c]))
		assert((vis[c] & (B1 | B2)) == (B1_JMP | B2_JMP) || torn);
		probe[x] = jump_to;
#ifdef SPRINGBOARD
		pc[x] = AT_BOARD
	:: pc[x] == AT_BOARD -> SAY(("@run %d %d springboard 0\n", c, x)) fetch_board(c, x);
#endif
		pc[x] = DETOUR
#ifdef OTHER
	:: pc[x] == OUT && (vis[c] & B0_OTHER) ->
		SAY(("@run %d %d other %d\n", c, x, vis[c]))
		assert(theirs || unknown_int3);
		if
		:: saved == B0_JMP -> probe[x] = jump_to; pc[x] = DETOUR
		:: else -> promise(!armed || lost_hit); do_A(x); after_A(x)
		fi
#endif
	:: pc[x] == OUT && (vis[c] & B0_OLD) ->
		SAY(("@run %d %d A %d\n", c, x, vis[c]))
		promise(!armed || lost_hit);
#ifndef PINNED
		assert((vis[c] & B1) == B1_OLD || torn);
#endif
		do_A(x);
#ifdef SINGLE
		assert((vis[c] & B2) == B2_OLD || torn);
#endif
		after_A(x)
#ifdef PINNED
	:: pc[x] == MIDDLE && (vis[c] & B1_JMP) -> pc[x] = PIN
	:: pc[x] == MIDDLE && (vis[c] & B1_OLD) ->
		SAY(("@run %d %d B %d\n", c, x, vis[c]))
		promise(!tail_changed || in_the_middle);
		assert((vis[c] & B2) == B2_OLD || torn);
		do_B(x);
		leave(x)
	:: pc[x] == PIN ->
		assert(trap || unknown_int3);
		probe[x] = trap;
		pc[x] = PIN_FOUND
	:: pc[x] == PIN_FOUND ->
		assert((alive & BIT(probe[x])) || freed_probe);
		pc[x] = COPY_B;
		end_trap(c, x)
#endif
#ifndef SINGLE
#ifndef PINNED
	:: pc[x] == MIDDLE ->
		SAY(("@run %d %d B %d\n", c, x, vis[c]))
		promise(!tail_changed || in_the_middle);
		assert((vis[c] & B2) == B2_OLD || torn);
		do_B(x);
		leave(x)
#endif
	:: pc[x] == COPY_B -> SAY(("@run %d %d copy-B 0\n", c, x)) fetch_slot(c, x); do_B(x); pc[x] = BACK
#endif
	:: pc[x] == DETOUR -> SAY(("@run %d %d detour 0\n", c, x)) fetch_slot(c, x); handle(x); pc[x] = COPY_A
	:: pc[x] == COPY_A -> SAY(("@run %d %d copy-A 0\n", c, x)) fetch_slot(c, x); assert(did[x] == DID_HANDLER || not_once); do_A(x);
#ifdef SINGLE
		pc[x] = BACK
#else
		pc[x] = COPY_B
#endif
	:: pc[x] == BACK -> SAY(("@run %d %d back 0\n", c, x)) fetch_slot(c, x); leave(x)
	:: pc[x] == STEP_A -> SAY(("@run %d %d step-A 0\n", c, x)) fetch_slot(c, x); assert(did[x] == DID_HANDLER || not_once); do_A(x);
		pc[x] = STEP_INT3
	:: pc[x] == STEP_INT3 -> SAY(("@run %d %d int3-behind 0\n", c, x)) fetch_slot(c, x); pc[x] = DONE
	:: pc[x] == TRAP ->
		SAY(("@find %d %d\n", c, x))
		assert(trap || unknown_int3);
		probe[x] = trap;
		pc[x] = HANDLER
	:: pc[x] == HANDLER ->
		assert((alive & BIT(probe[x])) || freed_probe);
		handle(x);
		pc[x] = (mech[probe[x]] == JUMP -> COPY_A : STEP_A);
		end_trap(c, x)
	:: pc[x] == DONE ->
		SAY(("@find %d %d\n", c, x))
		assert((dones & BIT(probe[x])) || unknown_int3);
		pc[x] = RETURN
	:: pc[x] == RETURN ->
		assert((alive & BIT(probe[x])) || freed_probe);
		end_trap(c, x);
		after_A(x)
	:: pc[x] == WALK ->
		assert((alive & BIT(probe[x])) || freed_probe);
		probe[x] = 0;
		pc[x] = OUT;
		end_trap(c, x)
	fi
}

#define task_runs	(running[0] == TASK || running[1] == TASK || \
			 (running[0] == IRQ && below == TASK))

proctype cpu(byte c; byte idle)
{
end:	do
	:: atomic { c == 0 || cpu1 != DEAD -> execute(c, running[c]) }
	/*
	 * Preempted, or gone of its own will if it is OUT. Who was preempted by an interrupt
	 * comes back by its IRET; the bytes of a new slot rely on that until (3) is over.
	 */
	:: atomic { running[c] == TASK && irqs_on(c) -> SAY(("@off %d %d\n", c, TASK))
		running[c] = idle }
#ifdef SLEEP_IN_REGION
	:: atomic { running[c] == TASK && pc[TASK] == MIDDLE ->
		hold_task = hold_task & ~BIT(TASK);
		running[c] = idle }
#endif
	:: atomic { running[c] == idle && pc[idle] == OUT && irqs_on(c) && !task_runs ->
		running[c] = TASK;
		SAY(("@on %d %d\n", c, TASK))
		if
		:: pc[TASK] != OUT -> iret(c)
		:: else
		fi }
	:: atomic { c == 0 && irqs_on(0) -> SAY(("@irq 0 %d\n", running[0]))
		below = running[0];
		running[0] = IRQ }
	:: atomic { c == 0 && running[0] == IRQ && pc[IRQ] == OUT ->
		running[0] = below;
		below = 0;
		hold_rcu = hold_rcu & ~BIT(IRQ);
		SAY(("@eoi 0 %d\n", running[0]))
		iret(0) }
	:: atomic { (ipi & BIT(c)) && irqs_on(c) -> SAY(("@serialise %d 0\n", c))
		serialise(c);
		ipi = ipi & ~BIT(c) }
	/* Between DEAD and ONLINE, either way, it runs with interrupts off and gets no IPI. */
	:: atomic { c == 1 && cpu1 == DEAD -> SAY(("@up 1 0\n")) cpu1 = MOVING; serialise(1) }
	:: atomic { c == 1 && cpu1 == MOVING && pc[IDLE1] == OUT ->
		if
		:: cpu1 = ONLINE
		:: cpu1 = DEAD; serialise(1)
		fi }
	:: atomic { c == 1 && irqs_on(1) && running[1] == IDLE1 && pc[IDLE1] == OUT &&
		!(ipi & BIT(1)) -> cpu1 = MOVING }
	od
}
