#include "sites/quorum.h"

#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

bool
quorum_has(const struct quorum_set *set, const char *node)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->voters[i], node) == 0)
            return true;
    }
    return false;
}

enum err_code
quorum_add(struct quorum_set *set, const char *node, struct err *err)
{
    size_t at = 0;
    if (quorum_has(set, node))
        return ERR_NONE;
    if (set->count == QUORUM_VOTERS_MAX)
        return err_set(err, ERR_LIMIT, "too_many_voters", "more than %d voters", QUORUM_VOTERS_MAX);
    while (at < set->count && strcmp(set->voters[at], node) < 0)
        at++;
    memmove(&set->voters[at + 1], &set->voters[at], (set->count - at) * sizeof set->voters[0]);
    if (!str_copy(set->voters[at], sizeof set->voters[at], node))
        return err_set(err, ERR_INVALID, "bad_name", "node name of %zu bytes", strlen(node));
    set->count++;
    return ERR_NONE;
}

void
quorum_remove(struct quorum_set *set, const char *node)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->voters[i], node) != 0)
            continue;
        set->count--;
        memmove(&set->voters[i], &set->voters[i + 1], (set->count - i) * sizeof set->voters[0]);
        return;
    }
}

bool
quorum_is_voter(const struct quorum_record *record, const char *node)
{
    return quorum_has(&record->now, node) && (!record->joint || quorum_has(&record->old, node));
}

bool
quorum_equal(const struct quorum_set *a, const struct quorum_set *b)
{
    if (a->k != b->k || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->voters[i], b->voters[i]) != 0)
            return false;
    }
    return true;
}

const struct quorum_set *
quorum_acknowledging(const struct quorum_record *record)
{
    return record->joint && !record->turned ? &record->old : &record->now;
}

size_t
quorum_needed(const struct quorum_set *set)
{
    return set->k >= set->count ? 1 : set->count - set->k;
}

static size_t
count_voters(const struct quorum_set *set, const char *const *names, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += quorum_has(set, names[i]);
    return found;
}

static bool
captured_one(const struct quorum_set *set, const char *const *captured, size_t count,
             const char *old_primary)
{
    if (set->k == 0 && old_primary != NULL && quorum_has(set, old_primary)) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(captured[i], old_primary) == 0)
                return true;
        }
    }
    return count_voters(set, captured, count) >= quorum_needed(set);
}

bool
quorum_captured(const struct quorum_record *record, const char *const *captured,
                size_t captured_count, const char *old_primary)
{
    if (record->joint && !captured_one(&record->old, captured, captured_count, old_primary))
        return false;
    return captured_one(&record->now, captured, captured_count, old_primary);
}

bool
quorum_is_all(const struct quorum_record *record, const char *const *captured,
              size_t captured_count)
{
    if (record->joint && count_voters(&record->old, captured, captured_count) < record->old.count)
        return false;
    return count_voters(&record->now, captured, captured_count) == record->now.count;
}

static bool
confirmed_one(const struct quorum_set *set, const char *self, const char *const *confirmed,
              size_t count)
{
    size_t others = set->count - (quorum_has(set, self) ? 1 : 0);
    size_t needed = set->k == 0 || set->k > others ? others : set->k;
    return count_voters(set, confirmed, count) >= needed;
}

bool
quorum_confirmed(const struct quorum_record *record, const char *self, const char *const *confirmed,
                 size_t confirmed_count)
{
    if (record->joint && !confirmed_one(&record->old, self, confirmed, confirmed_count))
        return false;
    return confirmed_one(&record->now, self, confirmed, confirmed_count);
}

void
quorum_standby_names(const struct quorum_set *set, const char *primary, struct buf *into)
{
    const char *separator = "";
    if (set->k == 0 || set->count < 2)
        return;
    buf_printf(into, "ANY %u (", set->k);
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->voters[i], primary) == 0)
            continue;
        buf_printf(into, "%s\"%s\"", separator, set->voters[i]);
        separator = ", ";
    }
    buf_add_text(into, ")");
}

enum quorum_step
quorum_next(const struct quorum_record *record, bool acknowledged,
            const struct quorum_set *names_in_force, const struct quorum_set *wanted,
            struct quorum_record *ret_record, struct quorum_set *ret_set)
{
    if (!acknowledged) {
        *ret_record = *record;
        *ret_set = *quorum_acknowledging(record);
        return quorum_equal(names_in_force, ret_set) ? QUORUM_STEP_RECORD : QUORUM_STEP_NAMES;
    }
    if (record->joint) {
        if (!quorum_equal(names_in_force, &record->now)) {
            *ret_set = record->now;
            return QUORUM_STEP_NAMES;
        }
        *ret_record = *record;
        ret_record->joint = !record->turned;
        ret_record->turned = !record->turned;
        return QUORUM_STEP_RECORD;
    }
    if (!quorum_equal(names_in_force, &record->now)) {
        *ret_set = record->now;
        return QUORUM_STEP_NAMES;
    }
    if (quorum_equal(&record->now, wanted))
        return QUORUM_STEP_NONE;
    *ret_record = *record;
    ret_record->joint = true;
    ret_record->old = record->now;
    ret_record->now = *wanted;
    return QUORUM_STEP_RECORD;
}

static enum err_code
set_from_json(struct json_object *value, struct quorum_set *ret, struct err *err)
{
    uint64_t k;
    struct json_object *voters = json_get(value, "voters");
    if (!json_get_u64(value, "k", &k) || k > QUORUM_VOTERS_MAX ||
        !json_object_is_type(voters, json_type_array))
        return err_set(err, ERR_PROTOCOL, "bad_sync_set", "sync/set: 'k' and 'voters' expected");
    *ret = (struct quorum_set){ .k = (unsigned)k };
    for (size_t i = 0; i < json_object_array_length(voters); i++) {
        struct json_object *name = json_object_array_get_idx(voters, i);
        if (!json_object_is_type(name, json_type_string) ||
            !str_is_name(json_object_get_string(name)))
            return err_set(err, ERR_PROTOCOL, "bad_sync_set", "sync/set: voters[%zu] is no name",
                           i);
        enum err_code code = quorum_add(ret, json_object_get_string(name), err);
        if (code != ERR_NONE)
            return code;
    }
    return ERR_NONE;
}

/* Each true also when it is not there. */
static bool
time_from_json(struct json_object *value, char ret[QUORUM_TIME_SIZE])
{
    const char *text;
    return json_get(value, "since") == NULL ||
           (json_get_string(value, "since", &text) && str_copy(ret, QUORUM_TIME_SIZE, text));
}

static bool
flag_from_json(struct json_object *value, const char *name, bool *ret)
{
    return json_get(value, name) == NULL || json_get_bool(value, name, ret);
}

static bool
number_from_json(struct json_object *value, const char *name, uint64_t *ret)
{
    return json_get(value, name) == NULL || (json_get_u64(value, name, ret) && *ret <= INT64_MAX);
}

enum err_code
quorum_from_json(struct json_object *value, struct quorum_record *ret, struct err *err)
{
    struct quorum_record record = { 0 };
    enum err_code code = set_from_json(json_get(value, "now"), &record.now, err);
    if (code == ERR_NONE &&
        (!number_from_json(value, "arbiter", &record.arbiter) ||
         !flag_from_json(value, "turned", &record.turned) ||
         !flag_from_json(value, "agreed", &record.agreed) ||
         !number_from_json(value, "noted", &record.noted) || !time_from_json(value, record.since)))
        code = err_set(err, ERR_PROTOCOL, "bad_sync_set",
                       "sync/set: 'arbiter' and 'noted' are numbers, 'turned' and 'agreed' are "
                       "flags, 'since' is a time");
    struct json_object *old = json_get(value, "old");
    if (code == ERR_NONE && old != NULL) {
        record.joint = true;
        code = set_from_json(old, &record.old, err);
    }
    record.turned &= record.joint;
    if (code == ERR_NONE)
        *ret = record;
    return code;
}

static struct json_object *
set_to_json(const struct quorum_set *set)
{
    struct json_object *object = json_object_new_object();
    struct json_object *voters = json_object_new_array();
    for (size_t i = 0; i < set->count; i++)
        (void)json_object_array_add(voters, json_object_new_string(set->voters[i]));
    json_add_u64(object, "k", set->k);
    json_add(object, "voters", voters);
    return object;
}

struct json_object *
quorum_to_json(const struct quorum_record *record)
{
    struct json_object *object = json_object_new_object();
    json_add(object, "old", record->joint ? set_to_json(&record->old) : NULL);
    json_add(object, "now", set_to_json(&record->now));
    if (record->turned)
        json_add_bool(object, "turned", true);
    if (record->arbiter != 0)
        json_add_u64(object, "arbiter", record->arbiter);
    if (record->agreed)
        json_add_bool(object, "agreed", true);
    if (record->noted != 0)
        json_add_u64(object, "noted", record->noted);
    if (record->since[0] != '\0')
        json_add_string(object, "since", record->since);
    return object;
}

/* ------------------------------------------------------------------ notes */

bool
quorum_note_holds(const struct quorum_note *note, const struct quorum_record *record,
                  const struct epoch *opened)
{
    return note->given_up && note->number > record->noted &&
           epoch_compare(&note->epoch, opened) >= 0;
}

const struct quorum_note *
quorum_note_named(const struct quorum_note *note, const struct quorum_record *record, uint64_t row)
{
    return record->arbiter == row ? note : NULL;
}

struct quorum_record
quorum_in_force(const struct quorum_record *record, const struct quorum_note *note,
                const struct epoch *opened)
{
    if (note == NULL || !quorum_note_holds(note, record, opened))
        return *record;
    struct quorum_record later = { .now = note->set,
                                   .arbiter = record->arbiter,
                                   .agreed = record->agreed,
                                   .noted = note->number };
    memcpy(later.since, note->since, sizeof later.since);
    return later;
}

char *
quorum_note_text(const struct quorum_note *note)
{
    char text[EPOCH_TEXT_SIZE];
    if (!note->given_up)
        return str_dup("");
    CLEANUP(json_putp) struct json_object *object = set_to_json(&note->set);
    json_add_string(object, "epoch", epoch_text(&note->epoch, text));
    json_add_u64(object, "revision", note->revision);
    json_add_string(object, "since", note->since);
    return str_dup(json_text(object));
}

struct quorum_note
quorum_note_read(uint64_t number, const char *text)
{
    struct quorum_note note = { .number = number };
    struct err err;
    CLEANUP(json_putp) struct json_object *object = NULL;
    const char *epoch;
    if (*text == '\0')
        return note;
    note.given_up = true;
    if (json_read(text, strlen(text), &object, &err) == ERR_NONE &&
        set_from_json(object, &note.set, &err) == ERR_NONE &&
        json_get_string(object, "epoch", &epoch) && epoch_parse(epoch, &note.epoch) &&
        json_get_u64(object, "revision", &note.revision) && time_from_json(object, note.since))
        return note;
    return (struct quorum_note){ .number = number,
                                 .given_up = true,
                                 .epoch = { .number = UINT64_MAX } };
}
