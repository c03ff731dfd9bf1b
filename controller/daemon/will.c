#include "controller/daemon/will.h"

#include <ev.h>
#include <string.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/json.h"
#include "controller/base/own.h"
#include "controller/daemon/home.h"

#define WILL_ASK_MS (KEEPER_RELEASE_MS - 500) /* sooner than we are ended */

struct will_case {
    struct ev_loop *loop;
    bool done;
};

static void
on_reply(void *data, const struct arbiter_reply *reply)
{
    struct will_case *one = data;
    char epoch[EPOCH_TEXT_SIZE];
    one->done = reply->result == ARBITER_DONE;
    log_info("keeper.released", "result=%s epoch=%s text=\"%s\"",
             arbiter_result_name(reply->result), epoch_text(&reply->epoch, epoch), reply->err.text);
    ev_break(one->loop, EVBREAK_ALL);
}

static enum err_code
ask(const struct home *home, const struct keeper_will *will, const char *document, bool *ret_done,
    struct err *err)
{
    struct will_case one = { .loop = ev_default_loop(EVFLAG_AUTO) };
    struct arbiter_config config = { 0 };
    struct arbiter *arbiter = NULL;
    CLEANUP(freep) char *cert = home_path(home, "node.crt");
    CLEANUP(freep) char *key = home_path(home, "node.key");
    CLEANUP(json_putp) struct json_object *value = NULL;
    enum err_code code = json_read(document, strlen(document), &value, err);
    if (code == ERR_NONE)
        code = arbiter_config_read(value, &config, err);
    struct arbiter_options options = { .loop = one.loop,
                                       .config = &config,
                                       .cluster_id = home->cluster_id,
                                       .node = home->node,
                                       .cert = cert,
                                       .key = key };
    if (code == ERR_NONE)
        code = arbiter_open(&options, &arbiter, err);
    if (code == ERR_NONE) {
        struct arbiter_ask release = { .op = ARBITER_OP_RELEASE,
                                       .epoch = will->epoch,
                                       .known = will->known,
                                       .grant = will->grant,
                                       .deadline_ms = WILL_ASK_MS };
        (void)arbiter_start(arbiter, &release, on_reply, &one);
        (void)ev_run(one.loop, 0);
    }
    arbiter_close(arbiter);
    arbiter_config_done(&config);
    *ret_done = one.done;
    return code;
}

int
will_carry_out(const char *folder, enum log_level level, const struct keeper_will *will,
               const char *arbiter)
{
    CLEANUP(home_freep) struct home *home = NULL;
    struct err err;
    bool done = false;
    enum err_code code = home_load(folder, &home, &err);
    if (code == ERR_NONE) {
        log_init(home->node, level);
        code = ask(home, will, arbiter, &done, &err);
    }
    if (code != ERR_NONE)
        log_warn("keeper.released", "result=none reason=\"%s\"", err.text);
    return code == ERR_NONE && done ? 0 : 1;
}
