/* SPDX-License-Identifier: MIT */
/*
 * The barriers of engine/nvme_hal.h, on a hart that reorders: nvme_queue_post(), nvme_queue_reap(),
 * nvme_quirk_check_line() and nvme_controller_disable_step().
 *
 * SPIN runs one step after the other. So each path of the hart is a window of accesses: an access
 * may run before all that stand above it, but for the barriers in its guard. Loads run ahead of
 * branches, stores do not (RISC-V orders a store behind a load that decides whether it happens). A
 * window that has loaded too early is thrown away, as a hart does.
 *
 * The hart posts and reaps COMMANDS commands in rings of one entry. It posts one more, masks the
 * line and looks whether it fell. Then it disables the controller and looks at the ring once more.
 *
 *   -DBUG_NO_BEFORE_DOORBELL    a barrier is left out
 *   -DBUG_NO_AFTER_PHASE
 *   -DBUG_NO_AFTER_MMIO_READ
 *   -DBUG_NO_ARM_BEFORE_LOOK
 *
 *   -DBUG_COMMAND_LATE   of hal_before_doorbell() a part: it does not order the command's stores
 *   -DBUG_ENTRY_LATE     the loads of an entry that is given back
 *   -DBUG_DATA_LATE      the loads of a buffer that the next command fills
 *   -DBUG_NOT_READ       of hal_arm_before_look() the read
 *   -DBUG_NOT_FENCED     the fence
 */
#ifndef COMMANDS
#define COMMANDS 3
#endif

/* What must have been done before, if the barrier is there. */
#if defined(BUG_NO_BEFORE_DOORBELL) || defined(BUG_COMMAND_LATE)
#define COMMAND_FIRST(done) true
#else
#define COMMAND_FIRST(done) (done)
#endif
#if defined(BUG_NO_BEFORE_DOORBELL) || defined(BUG_ENTRY_LATE)
#define ENTRY_FIRST(done) true
#else
#define ENTRY_FIRST(done) (done)
#endif
#if defined(BUG_NO_BEFORE_DOORBELL) || defined(BUG_DATA_LATE)
#define DATA_FIRST(done) true
#else
#define DATA_FIRST(done) (done)
#endif
#ifdef BUG_NO_AFTER_PHASE
#define AFTER_PHASE(done) true
#else
#define AFTER_PHASE(done) (done)
#endif
#ifdef BUG_NO_AFTER_MMIO_READ
#define AFTER_MMIO_READ(done) true
#else
#define AFTER_MMIO_READ(done) (done)
#endif
#if defined(BUG_NO_ARM_BEFORE_LOOK) || defined(BUG_NOT_FENCED)
#define AFTER_PUSH(done) true
#else
#define AFTER_PUSH(done) (done)
#endif
#if defined(BUG_NO_ARM_BEFORE_LOOK) || defined(BUG_NOT_READ)
#define PUSHES false
#else
#define PUSHES true
#endif

/* Registers. */
byte tail;
byte head;
bool en = true;
bool rdy = true;
bool masked;
bool mask_on_its_way; /* a posted write */

/* Memory that both see: each holds the number of the command that it is of. */
byte command;
byte data;
byte entry; /* but its phase */
byte phase;

#define HIGH (phase > head && !masked)

active proctype bus()
{
end:
    do
    :: d_step { mask_on_its_way -> masked = true; mask_on_its_way = false }
    od
}

/* Its writes arrive in order. It ends what it has begun before RDY falls. */
active proctype device()
{
    do
    :: en && tail > phase && head == phase ->
        assert(command == phase + 1);
        data = phase + 1;
        entry = phase + 1;
        phase = phase + 1
    :: !en -> break
    od;
    rdy = false
}

inline post(number)
{
    stored = false;
    rung = false;
    do
    :: d_step { !stored -> command = number; stored = true }
    :: d_step { !rung && COMMAND_FIRST(stored) -> tail = number; rung = true }
    :: stored && rung -> break
    od
}

active proctype hart()
{
    byte number = 1;
    byte seen_phase, seen_entry, seen_data;
    bool looked, loaded, read, given, stored, rung, high;

    post(number);
    do
    :: number <= COMMANDS ->
        /* The reap of a command, the doorbell of its entry, and the next command. */
        d_step { looked = false; loaded = false; read = false; given = false; stored = false;
                 rung = false };
        do
        :: d_step { !looked -> seen_phase = phase; looked = true }
        :: d_step { !loaded && AFTER_PHASE(looked) -> seen_entry = entry; loaded = true }
        :: d_step { !read && AFTER_PHASE(looked) -> seen_data = data; read = true }
        :: d_step { looked && seen_phase == number && !given && ENTRY_FIRST(loaded) ->
            head = number; given = true }
        :: d_step { looked && seen_phase == number && !stored -> command = number + 1;
            stored = true }
        /* Registers keep their order: this one after the other doorbell. */
        :: d_step { given && !rung && COMMAND_FIRST(stored) && DATA_FIRST(read) ->
            tail = number + 1; rung = true }
        :: looked && loaded && read && (seen_phase != number || rung) -> break
        od;
        if
        :: seen_phase == number ->
            assert(seen_entry == number);
            assert(seen_data == number);
            number++
        :: else -> phase >= number /* nothing yet: again, when there is something */
        fi
    :: else -> break
    od;

    /* The line: masked, the mask pushed, then the look. */
    mask_on_its_way = true;
    read = !PUSHES;
    looked = false;
    do
    :: d_step { !read && !mask_on_its_way -> read = true }
    :: d_step { !looked && AFTER_PUSH(read) -> high = HIGH; looked = true }
    :: looked && read -> break
    od;
    assert(!high);

    /* The end: RDY = 0, then the last look at the ring. */
    en = false;
    do
    :: d_step { looked = false; read = false };
        do
        :: d_step { !read -> rung = !rdy; read = true }
        :: d_step { !looked && AFTER_MMIO_READ(read) -> seen_phase = phase; looked = true }
        :: looked && read -> break
        od;
        if
        :: rung -> break
        :: else -> !rdy
        fi
    od;
    /* Nothing is written any more: the request ends as the device has ended it. */
    assert(seen_phase == phase)
}
