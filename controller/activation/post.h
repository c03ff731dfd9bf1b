/*
 * post.h -- one signed JSON document to one HTTPS receiver, posted until it is answered: what the
 * webhook driver (action.h) and notices (daemon/notices.h) have in common.
 *
 * All tries have one delivery id, so a receiver that has carried it out can say so without doing it
 * twice; that is why a try whose outcome is unknown may be followed by another. Of an answer only
 * the status, the proof of the epoch (sign.h) and whether the validators hold go on: a receiver's
 * text is not shown to anybody.
 *
 * The rules against requests that go where they should not (server side request forgery): HTTPS
 * only, to the address that was checked, no redirect, no proxy, bounded in time and size.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/activation/action.h"
#include "controller/activation/sign.h"
#include "controller/base/err.h"
#include "sites/connector.h"
#include "sites/epoch.h"

/* All borrowed, and only for the call. */
struct post_order {
    const struct connector_webhook *wanted; /* the receiver, the key, and what a good answer is */
    const char *cluster;                    /* id of the cluster */
    const char *node;
    const char *delivery;   /* the same for all tries, never for two documents */
    const char *body;       /* JSON */
    struct epoch epoch;     /* that the request says */
    uint64_t timeout_ms;    /* of all tries together */
    sign_secret_fn *secret; /* NULL: no secrets here */
    void *secret_data;      /* borrowed until the call returns */
};

struct post_result {
    enum action_end end;
    const char *text; /* one line for people; borrowed for the callback */
    bool proved;      /* the receiver has proved that it refuses lower epochs */
};

struct post;

typedef void post_done_fn(void *data, const struct post_result *result);

/*
 * '*ret' is ours, and gone when 'done' was called: once, from the loop (the default one), never
 * from inside the call. On error nothing was started: an address that no request goes to, a key
 * that cannot be read, a CA that is none.
 */
MUST_CHECK enum err_code post_start(const struct post_order *order, post_done_fn *done, void *data,
                                    struct post **ret, struct err *err);
/* 'done' comes soon, with ACTION_CANCELLED: perhaps it has arrived, perhaps not. */
void post_cancel(struct post *post);
/* 'done' is not called. Accepts NULL. */
void post_abandon(struct post *post);
