/*
 * What the arbiter is told and asked beside the lease: the note of a primary whose promise is given
 * up (sites/degrade.h), and the promise that a candidate asks for (sites/promo.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/driver_inner.h"

/* ------------------------------------------------------------------ what is known of it */

void
driver_note_heard(struct driver *driver, const struct arbiter_reply *reply)
{
    bool believed = reply->has_record && reply->result != ARBITER_EMPTY &&
                    reply->result != ARBITER_RESTORED && reply->result != ARBITER_UNCLEAR;
    /* the answers of two questions at once may come in the wrong order */
    bool old = driver->note_known && reply->number < driver->note.number &&
               reply->sent_ms < driver->note_ms;
    if (!believed || old)
        return;
    bool same = driver->note_known && reply->number == driver->note.number &&
                epoch_equal(&reply->promised, &driver->arbiter_promised);
    driver->note = quorum_note_read(reply->number, reply->note);
    driver->arbiter_promised = reply->promised;
    driver->note_ms = reply->answered_ms;
    driver->note_known = true;
    if (same)
        return;
    log_info("arbiter.note", "number=%llu text=\"%s\"", (unsigned long long)reply->number,
             reply->note);
    driver_touch(driver);
}

const struct quorum_note *
driver_note(const struct driver *driver)
{
    return driver->note_known ? &driver->note : NULL;
}

struct arbiter_call *
driver_note_tell(struct driver *driver, const struct quorum_note *note, arbiter_done_fn *done)
{
    CLEANUP(freep) char *text = quorum_note_text(note);
    struct arbiter_ask ask = { .op = ARBITER_OP_NOTE,
                               .epoch = driver->node.own.epoch,
                               .known = driver->lease.memory.seen,
                               .grant = driver->lease.grant,
                               .number = note->number,
                               .note = text,
                               .deadline_ms = (uint32_t)driver->lease.config.renew_ms };
    return driver->arbiter == NULL ? NULL : arbiter_start(driver->arbiter, &ask, done, driver);
}

/* ------------------------------------------------------------------ a candidate asks */

struct driver_inquiry {
    struct driver *driver; /* borrowed */
    struct arbiter_call *call;
    uint64_t number; /* of the promotion that asks */
    struct epoch epoch;
    uint64_t row;
};

static void
end_inquiry(struct driver *driver)
{
    if (driver->inquiry == NULL)
        return;
    arbiter_cancel(driver->inquiry->call);
    free(driver->inquiry);
    driver->inquiry = NULL;
}

static void
tell_promo(struct driver *driver, enum arbiter_op op, uint64_t row, bool ok,
           const struct quorum_note *note, const struct epoch *promised, const char *text)
{
    driver_post_promo(
        driver,
        &(struct promo_event){ .kind = op == ARBITER_OP_PROMISE ? PROMO_EV_PROMISED : PROMO_EV_TOLD,
                               .ok = ok,
                               .note = note,
                               .arbiter = row,
                               .promised = *promised,
                               .text = text });
}

static void
on_answer(void *data, const struct arbiter_reply *reply)
{
    struct driver_inquiry inquiry = *(struct driver_inquiry *)data;
    struct driver *driver = inquiry.driver;
    struct quorum_note note = quorum_note_read(reply->number, reply->note);
    struct epoch promised = { 0 };
    char text[PROMO_TEXT_SIZE];
    free(driver->inquiry);
    driver->inquiry = NULL;
    driver_note_heard(driver, reply);
    log_info("promo.arbiter", "op=%s result=%s text=\"%s\"", arbiter_op_name(reply->op),
             arbiter_result_name(reply->result), reply->err.text);
    if (!driver->running || !promo_awaits(&driver->promo, inquiry.number, &inquiry.epoch))
        return;
    if (reply->result == ARBITER_STALE || (reply->op == ARBITER_OP_READ && reply->has_record))
        promised = *epoch_max(&reply->epoch, &reply->promised);
    (void)snprintf(text, sizeof text, "the arbiter: %.200s",
                   reply->result == ARBITER_RESTORED ? "it was restored from a copy"
                   : reply->result == ARBITER_EMPTY  ? "it has no record of this cluster"
                   : reply->err.text[0] == '\0'      ? arbiter_result_name(reply->result)
                                                     : reply->err.text);
    tell_promo(driver, reply->op, inquiry.row, reply->result == ARBITER_DONE, &note, &promised,
               text);
}

void
driver_note_inquire(struct driver *driver, const struct promo_effect *effect)
{
    enum arbiter_op op = effect->kind == PROMO_DO_PROMISE ? ARBITER_OP_PROMISE : ARBITER_OP_READ;
    struct arbiter_ask ask = { .op = op,
                               .epoch = effect->epoch,
                               .known = driver->lease.memory.seen,
                               .deadline_ms = (uint32_t)driver->promo.limits.call_ms };
    uint64_t row = driver->arbiter_revision;
    end_inquiry(driver);
    if (driver->arbiter == NULL) {
        tell_promo(driver, op, row, false, &(struct quorum_note){ 0 }, &(struct epoch){ 0 },
                   driver->arbiter_kind == ARBITER_MANUAL
                       ? "the arbiter was just being given up"
                       : "the arbiter is not known here, or cannot be opened");
        return;
    }
    struct driver_inquiry *inquiry = mem_zero(1, sizeof *inquiry);
    *inquiry = (struct driver_inquiry){
        .driver = driver, .number = driver->promo.number, .epoch = driver->promo.epoch, .row = row
    };
    driver->inquiry = inquiry;
    inquiry->call = arbiter_start(driver->arbiter, &ask, on_answer, inquiry);
}

/* ------------------------------------------------------------------ life */

void
driver_note_stop(struct driver *driver)
{
    end_inquiry(driver);
    arbiter_cancel(take_ptr(&driver->note_call));
    driver->note = (struct quorum_note){ 0 };
    driver->note_known = false;
    driver->note_ms = 0;
    driver->arbiter_promised = (struct epoch){ 0 };
}
