#include "sites/effective.h"

#include "controller/base/own.h"

static const char *const effective_server_names[] = {
    [EFFECTIVE_NONE] = "none",
    [EFFECTIVE_MAIN] = "main",
    [EFFECTIVE_ALTERNATE] = "alternate",
    [EFFECTIVE_ERROR] = "error",
};

static const char *const effective_role_names[] = {
    [EFFECTIVE_ROLE_PRIMARY] = "primary",
    [EFFECTIVE_ROLE_STANDBY] = "standby",
    [EFFECTIVE_ROLE_FENCED] = "fenced",
};

/* Which server the settings choose, and what to say of it: every combination stands here. */
static const struct {
    enum effective_server server;
    const char *hint;
} choices[2][2][2] = {
    /* [main set][alternate set][use_alternate] */
    [0][0][0] = { EFFECTIVE_NONE, "no server is configured" },
    [0][0][1] = { EFFECTIVE_ERROR, "use_alternate_server is set, but no alternate is configured: "
                                   "configure one or unset it" },
    [0][1][0] = { EFFECTIVE_NONE, "no main server is configured, but an alternate is: configure "
                                  "main or set use_alternate_server" },
    [0][1][1] = { EFFECTIVE_ALTERNATE, "" },
    [1][0][0] = { EFFECTIVE_MAIN, "" },
    [1][0][1] = { EFFECTIVE_ERROR, "use_alternate_server is set, but no alternate is configured: "
                                   "configure one or unset it" },
    [1][1][0] = { EFFECTIVE_MAIN, "" },
    [1][1][1] = { EFFECTIVE_ALTERNATE, "" },
};

struct effective_choice
effective_decide(const struct effective_facts *facts)
{
    enum effective_server server =
        choices[facts->main_set][facts->alternate_set][facts->use_alternate].server;
    struct effective_choice choice = {
        .in_use = EFFECTIVE_NONE,
        .would_use = server,
        .hint = choices[facts->main_set][facts->alternate_set][facts->use_alternate].hint,
    };
    switch (facts->role) {
    case EFFECTIVE_ROLE_PRIMARY:
        if (facts->site_primary || facts->single_site)
            choice.in_use = server;
        break;
    case EFFECTIVE_ROLE_STANDBY:
        break;
    case EFFECTIVE_ROLE_FENCED:
        choice.refuses_work = true;
        choice.hint = "this node is fenced and may not act";
        break;
    }
    return choice;
}

const char *
effective_server_name(enum effective_server server)
{
    return effective_server_names[server];
}

const char *
effective_role_name(enum effective_role role)
{
    return effective_role_names[role];
}
