/*
 * effective.h -- which server of a connector is in use at a node: a pure function.
 *
 *     node                     main set  alternate set  use_alternate   in use
 *     primary                  yes       any            off             main
 *     primary                  any       yes            on              alternate
 *     primary                  any       no             on              error, never a silent main
 *     primary                  no        yes            off             none, with a hint
 *     primary                  no        no             off             none
 *     standby, secondary site  any       any            any             none; what it would use
 *     fenced                   any       any            any             none, refuses work
 *
 * With a single site the site role says nothing: its primary node acts by the primary's rows.
 * P1: servers are shared, the flag is local. P2: a secondary's flag waits for the promotion.
 */
#pragma once

#include <stdbool.h>

enum effective_server {
    EFFECTIVE_NONE,
    EFFECTIVE_MAIN,
    EFFECTIVE_ALTERNATE,
    EFFECTIVE_ERROR, /* the flag asks for an alternate that is not configured */
};

enum effective_role { EFFECTIVE_ROLE_PRIMARY, EFFECTIVE_ROLE_STANDBY, EFFECTIVE_ROLE_FENCED };

struct effective_facts {
    bool site_primary; /* the node's site is the primary site */
    bool single_site;  /* the cluster has one site; then site_primary is not looked at */
    enum effective_role role;
    bool main_set;
    bool alternate_set;
    bool use_alternate;
};

struct effective_choice {
    enum effective_server in_use;
    enum effective_server would_use; /* were this node the primary now; equals in_use when it is */
    bool refuses_work;               /* fenced */
    const char *hint;                /* static, "" when there is nothing to say */
};

struct effective_choice effective_decide(const struct effective_facts *facts);
/* "none", "main", "alternate", "error" */
const char *effective_server_name(enum effective_server server);
const char *effective_role_name(enum effective_role role);
