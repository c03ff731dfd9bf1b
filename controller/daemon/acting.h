/*
 * acting.h -- this node's connector servers: which one would it use, does that one answer, and,
 * while the node may act, making it so. Joins cache and role with sites/effective, the prober and
 * the activation manager, and keeps what was done in local.activation.
 *
 *   cache (connector/NAME, the local flag) + role -> effective_decide() -> activation_want()
 *                                                                       -> probe: in use, or latent
 *   P2: a standby's choice is computed, shown and probed, and nothing else.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "sites/effective.h"
#include "sites/epoch.h"
#include "sites/instance.h"

#define ACTING_TEXT_SIZE 256

struct acting;
struct core;

/* Needs core->{loop, home, cache, ctl, worker}, and core->registry once the loop runs. Probing
 * starts when the cache is loaded. */
struct acting *acting_new(struct core *core);
void acting_free(struct acting *acting);

/*
 * What the node is now; cheap and idempotent, called after each change and every second.
 * 'primary_site': the site of the primary, "" when unknown. 'may_act': effects on the outside are
 * allowed; false ends what runs at once. Deactivation is still done while 'may_act' is false and
 * the node was the one in use before: it gives up what it holds, with the epoch it held it under.
 */
void acting_role(struct acting *acting, enum effective_role role, const char *primary_site,
                 const struct epoch *epoch, bool may_act);

/* The latest epoch that this node has held or follows: what its probes say. Never one that was only
 * promised, which may come to nothing. */
void acting_knows(struct acting *acting, const struct epoch *epoch);

/* The instances of a connector are not those of before (registry.h). Cheap, from anywhere. */
void acting_look(struct acting *acting);

/* Gives all connector servers up and calls 'done' when every deactivation has ended, at once or
 * later; 'ok' is false when one failed ('text' says which). One at a time: an earlier 'done' that
 * still waits is called with false. */
typedef void acting_done(void *data, bool ok, const char *text);
void acting_release(struct acting *acting, acting_done *done, void *data);
/* Who waits for that is called with false, and nobody waits any more. */
void acting_unwait(struct acting *acting);

/* Whether the server that each connector would use here answers: for the check before a
 * promotion. 'text' says which does not, and why, or that all do; nothing known is not ready. */
bool acting_ready(const struct acting *acting, char text[ACTING_TEXT_SIZE]);

/*
 * What this node has proved of the server that each connector would use, were it promoted now (the
 * one in use, when it is primary): [{"connector","server","url","alternate","revision","age_ms",
 * "checks":{NAME:{"outcome","text"}}}], names as in sites/ready.h. Owned by the caller.
 */
struct json_object *acting_records(const struct acting *acting);

/* The connectors of this node as GET /v1/connectors lists them ({"name","node","effective","url",
 * "would_use","probe":{..},"latent_probe":{..},"activation":{..},"hint"}, and "repair" where there
 * was one); owned by the caller. acting_connector() gives NULL for an unknown name. */
struct json_object *acting_connectors(const struct acting *acting);
struct json_object *acting_connector(const struct acting *acting, const char *name);

/* That more instances of a connector take requests here than its proxy has places for; false: all
 * have one, or nothing is spread by this node. */
MUST_CHECK bool acting_room_alarm(const struct acting *acting, const char *connector,
                                  struct instance_alarm *ret_alarm);
