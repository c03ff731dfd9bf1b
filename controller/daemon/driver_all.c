/*
 * One question to every member, for people: each answers for itself, and one that does not stands
 * in the answer with the cause.
 *
 *   {"nodes": [{"node", "site", "error": null, "answer": {...}},
 *              {"node", "site", "error": "connect to ...: refused", "answer": null}]}
 */
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/daemon/driver_inner.h"

struct round {
    struct json_object *nodes; /* owned */
    size_t pending;            /* without an answer, and one for who asks */
    driver_answer *done;
    void *data;
};

struct turn {
    struct round *round;
    char node[NODE_NAME_SIZE];
    char site[SITE_NAME_SIZE];
};

static int
by_name(const void *left, const void *right)
{
    struct json_object *const *a = left;
    struct json_object *const *b = right;
    return strcmp(json_object_get_string(json_get(*a, "node")),
                  json_object_get_string(json_get(*b, "node")));
}

static void
settle(struct round *round)
{
    if (--round->pending > 0)
        return;
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    json_object_array_sort(round->nodes, by_name);
    json_add(document, "nodes", round->nodes);
    round->done(round->data, document, NULL);
    free(round);
}

static void
on_answer(void *context, struct json_object *document, const struct err *err)
{
    struct turn *turn = context;
    struct json_object *node = json_object_new_object();
    json_add_string(node, "node", turn->node);
    json_add_string(node, "site", turn->site);
    json_add_string(node, "error", err == NULL ? NULL : err->text);
    json_add(node, "answer", err != NULL ? NULL : json_object_get(document));
    (void)json_object_array_add(turn->round->nodes, node);
    settle(turn->round);
    free(turn);
}

static struct turn *
take_turn(struct round *round, const char *node, const char *site)
{
    struct turn *turn = mem_zero(1, sizeof *turn);
    *turn = (struct turn){ .round = round };
    (void)snprintf(turn->node, sizeof turn->node, "%s", node);
    (void)snprintf(turn->site, sizeof turn->site, "%s", site);
    round->pending++;
    return turn;
}

void
driver_ask_all(struct driver *driver, const struct driver_question *question, driver_answer *done,
               void *data)
{
    const struct home *home = driver->core->home;
    const char *only = question->only;
    struct round *round = mem_zero(1, sizeof *round);
    *round = (struct round){
        .nodes = json_object_new_array(), .pending = 1, .done = done, .data = data
    };
    if (only == NULL || strcmp(only, home->node) == 0)
        question->self(driver, question->body, on_answer, take_turn(round, home->node, home->site));
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        if (only == NULL || strcmp(only, peer->name) == 0)
            driver_ask(driver, peer->name, question->path, question->body, question->timeout_ms,
                       on_answer, take_turn(round, peer->name, peer->site));
    }
    settle(round);
}
