/*
 * degrade.h -- durability "available": when fewer acknowledgements count than were promised, and
 * how it comes back. Pure: what is known comes in, the next step comes out.
 *
 *                  a COMMIT has waited sync.wait_ms, and too few acknowledge
 *     whole -- NOTE to the arbiter -- names of who is left -- record of that ------> degraded
 *       ^                                                                               |
 *       |      the arbiter is told           enough have caught up                      |
 *       '------- NOTE: taken back --- record --- names --- record of both, old and new -'
 *
 * Who comes after must not count on acknowledgements that were not waited for. The log cannot tell:
 * a COMMIT that waits holds the row that every other row waits for, and nobody but us would get it.
 * So the arbiter is told first, and only then is the promise given up.
 *
 *   D1  Names that ask for less are set only after the arbiter has the note that says so (I5). It
 *       takes it from the holder of the lease alone, and not once a later epoch was promised.
 *   D2  Who is captured under the record that holds without the note knows that there may be one:
 *       'arbiter' of the record says whom to ask, and nothing is given up before that was
 *       acknowledged, and no other is being written.
 *   D3  A record written after a note knows its number, and is the later one wherever it arrives.
 *       So the way back is that of every change of the set: both count, names, the new one counts.
 *       Once it is being written, names go by no note that it knows of: a new one is told.
 *   D4  The note is taken back when every member has such a record: until then it spares those who
 *       have not from a capture that would miss what was acknowledged, and is told again to an
 *       arbiter that has forgotten it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sites/epoch.h"
#include "sites/quorum.h"
#include "sites/setting.h"

#define DEGRADE_TEXT_SIZE 160

struct degrade_view {
    const char *self;                   /* borrowed, as all pointers here */
    struct epoch epoch;                 /* that we opened */
    const struct quorum_record *record; /* in our log, and seen there */
    bool acknowledged;                  /* it is */
    const struct quorum_set *names;     /* that PostgreSQL has read back */
    const struct quorum_set *wanted;    /* the set to come to, were all of it there */
    bool writing;                       /* a row of the sync set is being written ... */
    uint64_t writing_arbiter;           /* ... that names this arbiter */
    uint64_t recorded; /* the newest note that a record knows of which we began to write, whatever
                          has become of it */
    /* who acknowledges, and does anybody wait for it? */
    const struct quorum_set *acking; /* members that have all we had flushed a while ago */
    uint64_t waited_ms;              /* the COMMIT that waits longest; 0: none */
    uint64_t wait_ms;                /* sync.wait_ms */
    /* the arbiter */
    uint64_t arbiter;      /* that may be told, by the settings as they are; 0: nobody, and 'why' */
    const char *why;       /* 'arbiter' 0, for people */
    uint64_t agreed;       /* 'arbiter' of the newest acknowledged record; 0: another is begun */
    bool leased;           /* it has granted us the lease of our epoch, and we hold it */
    struct epoch promised; /* that it will hear of next */
    const struct quorum_note *note; /* that it has; NULL: not known */
    bool everywhere;                /* every member has the record, and follows us */
    /* of a note that is made now */
    uint64_t revision;
    const char *time;
};

enum degrade_step {
    DEGRADE_STEP_NONE,
    DEGRADE_STEP_RECORD, /* write 'record', wait for its acknowledgement */
    DEGRADE_STEP_NAMES,  /* set synchronous_standby_names for 'set', read them back; now, whatever
                            else is under way */
    DEGRADE_STEP_NOTE,   /* tell the arbiter 'note' */
};

struct degrade_action {
    enum degrade_step step;
    struct quorum_record record;
    struct quorum_set set;
    struct quorum_note note;
    char obstacle[DEGRADE_TEXT_SIZE]; /* a COMMIT waits, and must go on waiting; "" else: why */
};

void degrade_next(const struct degrade_view *view, struct degrade_action *ret);

struct degrade_member {
    const char *name; /* of another than 'self'; borrowed */
    bool streams;     /* it receives from us now */
};

/*
 * The set to come to, were all of it there. A member counts once it has streamed, and then until it
 * is removed: its absence makes writes wait rather than the promise weaker. While fewer count than
 * were promised, those who stream are as many as can be hoped for. k 0 when nobody is waited for,
 * and all members then.
 */
struct quorum_set degrade_wanted(const char *self, const struct degrade_member *members,
                                 size_t count, const struct quorum_record *record,
                                 const struct setting_durability *durability);

/*
 * No arbiter can be chosen now: what it would have to know is just being changed. 'known': as
 * below; 'opened': the epoch of the primary. A change of the set holds nobody up before anything
 * was ever given up: there is nothing to carry, and when the arbiter has forgotten while nobody
 * acknowledges the change would not end before it is chosen anew.
 */
bool degrade_is_telling(const struct quorum_record *record, const struct quorum_note *known,
                        const struct epoch *opened);

/*
 * What an arbiter that is chosen now has to know, by the holder of 'at': not every member may have
 * heard what counts since a note was made, so that it stands in this one until that is taken back.
 * 'known': of the arbiter before; NULL: none, or it was never heard. Number 0: nothing was ever
 * given up.
 */
struct quorum_note degrade_note_to_carry(const struct quorum_record *record,
                                         const struct quorum_note *known, const struct epoch *epoch,
                                         uint64_t revision);
