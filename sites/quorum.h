/*
 * quorum.h -- which acknowledgements count, and which promises a promotion needs (I5).
 *
 * V voters, one of them primary; a write is acknowledged when k of the other V-1 have it. A
 * promotion captures voters: their durable promise to apply nothing older. Any k of V-1 must meet
 * the captured ones, whoever was primary, and that is so exactly when V-k voters are captured: a
 * primary that is not among them can reach at most k-1 others, and one that is among them has told
 * its last revision. With k = 0 nothing is promised to anybody, and only the old primary itself
 * knows what it wrote: it has to be captured, and must not have promised anything later before
 * (else somebody may have been primary after it), or every voter.
 *
 * While the set changes, the record in the shared log names the old and the new set; then a capture
 * must satisfy both ("joint"). Order of a change:
 *
 *   joint           the old set acknowledges; then the new synchronous_standby_names, read back
 *   joint, turned   the new set acknowledges
 *   the new alone   the new set acknowledges
 *
 * and never back: who becomes primary in the middle goes on from the record that he finds. The new
 * set counts alone only when nobody can become primary who has not seen that it acknowledges: else
 * its record, written by a primary that was cut off, would let that one be captured alone, while
 * the old set acknowledges for its successor.
 *
 * Where the promise may be given up (degrade.h), the arbiter hears of it first, as a note. Notes
 * are numbered, and a record says which it knows of. So who comes after finds out which of the two,
 * the record in its log or the note, is the later one: quorum_in_force().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controller/base/err.h"
#include "sites/epoch.h"

#define QUORUM_VOTERS_MAX 16
#define QUORUM_TIME_SIZE  32 /* of a wall clock, as text, for people */

struct quorum_set {
    unsigned k;                                     /* acknowledgements a write needs; 0: async */
    size_t count;                                   /* voters, the primary included */
    char voters[QUORUM_VOTERS_MAX][NODE_NAME_SIZE]; /* sorted by bytes */
};

struct quorum_record {
    bool joint;            /* 'old' counts as well as 'now' */
    bool turned;           /* joint: 'now' acknowledges, not 'old' any more */
    struct quorum_set old; /* meaningless unless joint */
    struct quorum_set now;
    uint64_t arbiter; /* that is told before fewer count: revision of its row; 0: never fewer */
    bool agreed;      /* an acknowledged record before this one named the same arbiter */
    uint64_t noted;   /* number of the newest note that it knows of */
    char since[QUORUM_TIME_SIZE]; /* fewer count than were promised, since then; "": not so */
};

/* What a primary has told the arbiter. */
struct quorum_note {
    uint64_t number;    /* higher than that of every note before; 0: there was none yet */
    bool given_up;      /* the promise: what follows holds. Else taken back */
    struct epoch epoch; /* of who said it */
    uint64_t revision;  /* that it had then, at least */
    char since[QUORUM_TIME_SIZE];
    struct quorum_set set; /* whose acknowledgements count, from then on */
};

bool quorum_has(const struct quorum_set *set, const char *node);
/* Adds in order; a name that is there already is left. ERR_LIMIT beyond QUORUM_VOTERS_MAX. */
MUST_CHECK enum err_code quorum_add(struct quorum_set *set, const char *node, struct err *err);
void quorum_remove(struct quorum_set *set, const char *node);
/* A voter of the set, and of both sets while it changes: only such a node may be primary, or what
 * it acknowledges would not meet every capture of the set that it is not in. */
bool quorum_is_voter(const struct quorum_record *record, const char *node);
bool quorum_equal(const struct quorum_set *a, const struct quorum_set *b);

/* The set whose members acknowledge for a new primary: while the set changes, at first the old one,
 * because a candidate that has not seen the change counts only on that. */
const struct quorum_set *quorum_acknowledging(const struct quorum_record *record);

/* How many voters a promotion must capture under this one set. */
size_t quorum_needed(const struct quorum_set *set);

/*
 * Whether 'captured' (names, with or without voters, no name twice) is enough under the whole
 * record. 'old_primary' is the holder of the newest opened epoch that any answer showed, the
 * arbiter's included, if that very epoch was still its promise when it was captured; else NULL.
 */
bool quorum_captured(const struct quorum_record *record, const char *const *captured,
                     size_t captured_count, const char *old_primary);

/* Whether they are all voters there are, of both sets while it changes. Then whoever was primary is
 * among them, and so is all that was ever acknowledged, by whatever set. */
bool quorum_is_all(const struct quorum_record *record, const char *const *captured,
                   size_t captured_count);

/*
 * Whether a restarted holder of an epoch may go on under it, when the 'confirmed' other nodes have
 * answered that they promised nothing later: its own row proves nothing (I11). No capture can have
 * passed by k others; without acknowledgements (k = 0) every other voter has to be heard.
 */
bool quorum_confirmed(const struct quorum_record *record, const char *self,
                      const char *const *confirmed, size_t confirmed_count);

/*
 * The value of synchronous_standby_names for 'primary' under this set: "ANY k (a, b)" with quoted
 * names, or "" for none.
 */
struct buf;
void quorum_standby_names(const struct quorum_set *set, const char *primary, struct buf *into);

/* What the primary does next to come from the record in force to the wanted set. */
enum quorum_step {
    QUORUM_STEP_NONE,   /* record and names are as wanted */
    QUORUM_STEP_RECORD, /* write '*ret_record' and wait for its acknowledgement */
    QUORUM_STEP_NAMES,  /* set synchronous_standby_names for '*ret_set' and read it back */
};

/*
 * 'acknowledged': the record's row was, not only written: a COMMIT that was cancelled leaves it in
 * our log alone, and a capture by the old set would not learn of the change. 'names_in_force' is
 * the set whose names PostgreSQL has read back.
 */
enum quorum_step quorum_next(const struct quorum_record *record, bool acknowledged,
                             const struct quorum_set *names_in_force,
                             const struct quorum_set *wanted, struct quorum_record *ret_record,
                             struct quorum_set *ret_set);

/* Whether the note is later than the record: 'opened' is the newest epoch in the log that has the
 * record, or that this node opened itself. Who opened it has gone by the notes of earlier ones, and
 * his record came with its first row. That somebody else has opened one says nothing: nobody may
 * have heard of it. */
bool quorum_note_holds(const struct quorum_note *note, const struct quorum_record *record,
                       const struct epoch *opened);
/* 'note', of the arbiter that the row 'row' chose, when the record names that one; else NULL, as
 * for NULL. While it changes, who is promoted elsewhere asks another one: to go by what this one
 * was told, without asking anybody, would be to count on fewer than he has to meet. */
const struct quorum_note *quorum_note_named(const struct quorum_note *note,
                                            const struct quorum_record *record, uint64_t row);
/* The later of the two. 'note' may be NULL. */
struct quorum_record quorum_in_force(const struct quorum_record *record,
                                     const struct quorum_note *note, const struct epoch *opened);

/* As the arbiter keeps it: JSON, or "" when it is taken back. The caller's. */
char *quorum_note_text(const struct quorum_note *note);
/* What makes no sense excludes everybody, later than every epoch. */
struct quorum_note quorum_note_read(uint64_t number, const char *text);

/* JSON of the key 'sync/set': {"old":null|{"k":1,"voters":[..]},"now":{..},"turned":true,
 * "arbiter":12,"agreed":true,"noted":3,"since":TIME}; the last five are left out when 0, false or
 * "". */
struct json_object;
MUST_CHECK enum err_code quorum_from_json(struct json_object *value, struct quorum_record *ret,
                                          struct err *err);
struct json_object *quorum_to_json(const struct quorum_record *record); /* owned by the caller */
