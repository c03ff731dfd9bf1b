#include "controller/cli/show.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/word.h"

#define STALE_MS                                                                                   \
    5000 /* a fact of a member older than this is marked, whatever the server made of it */

#define LABEL_WIDTH 12 /* "durability  " */

static bool
is(struct json_object *object, const char *name, const char *text)
{
    return strcmp(word_string(object, name), text) == 0;
}

static bool
in_use(struct json_object *connector)
{
    return is(connector, "effective", "main") || is(connector, "effective", "alternate");
}

static bool
node_is_stale(struct json_object *node)
{
    uint64_t age_ms;
    return !json_get_u64(node, "age_ms", &age_ms) || age_ms > STALE_MS;
}

/* Last heard as primary, while another is known to be: an old fact, or a node that must be looked
 * at. 'primary' is the known one, NULL for none. */
static bool
is_outdated_primary(struct json_object *node, struct json_object *primary)
{
    return primary != NULL && is(node, "role", "primary") &&
           !is(node, "name", word_string(primary, "node"));
}

static enum table_tone
role_tone(struct json_object *node, struct json_object *primary)
{
    if (is_outdated_primary(node, primary))
        return TABLE_WARN;
    if (is(node, "role", "primary") || is(node, "role", "standby"))
        return node_is_stale(node) ? TABLE_WARN : TABLE_GOOD;
    return is(node, "role", "fenced") ? TABLE_BAD : TABLE_WARN;
}

/* A probe that was never made, or has no answer, is unknown. */
static enum table_tone
probe_tone(struct json_object *probe)
{
    bool ok;
    if (!json_get_bool(probe, "ok", &ok))
        return TABLE_WARN;
    return ok ? TABLE_GOOD : TABLE_BAD;
}

/* ---- the verdict ---- */

struct tally {
    unsigned nodes_unknown;
    unsigned nodes_fenced;
    unsigned nodes_outdated; /* last heard as primary, and another is */
    unsigned nodes_different;
    unsigned nodes_unproved;   /* answers, and its digest is not known */
    const char *primary_state; /* borrowed */
    bool primary_silent;       /* the node that we hold for primary does not answer */
    unsigned servers_bad;      /* the server in use does not answer, or could not be activated */
    unsigned servers_unknown;
    unsigned latent_bad; /* the server that a standby would use */
};

static void
tally_nodes(struct json_object *status, struct tally *tally)
{
    tally->primary_silent = true;
    struct json_object *primary = json_get(status, "primary");
    for (size_t i = 0; i < word_count(status, "nodes"); i++) {
        struct json_object *node = word_item(status, "nodes", i);
        if (is(node, "digest", "different"))
            tally->nodes_different++;
        if (is(node, "role", "fenced"))
            tally->nodes_fenced++;
        else if (is_outdated_primary(node, primary))
            tally->nodes_outdated++;
        else if (role_tone(node, primary) != TABLE_GOOD)
            tally->nodes_unknown++;
        else if (is(node, "digest", "unknown") || is(node, "digest", "?"))
            tally->nodes_unproved++;
        if (is(node, "name", word_string(primary, "node"))) {
            tally->primary_silent = role_tone(node, primary) != TABLE_GOOD;
            tally->primary_state = word_string(node, "state");
        }
    }
}

static void
tally_connectors(struct json_object *status, struct tally *tally)
{
    for (size_t i = 0; i < word_count(status, "connectors"); i++) {
        struct json_object *connector = word_item(status, "connectors", i);
        struct json_object *latent = json_get(connector, "latent_probe");
        if (is(connector, "effective", "error") ||
            is(json_get(connector, "activation"), "state", "failed"))
            tally->servers_bad++;
        else if (in_use(connector) && probe_tone(json_get(connector, "probe")) == TABLE_BAD)
            tally->servers_bad++;
        else if (in_use(connector) && probe_tone(json_get(connector, "probe")) != TABLE_GOOD)
            tally->servers_unknown++;
        else if (latent != NULL && probe_tone(latent) == TABLE_BAD)
            tally->latent_bad++;
    }
}

static void judge(struct show_verdict *verdict, enum table_tone tone, bool holds,
                  const char *format, ...) PRINTF_LIKE(4, 5);

/* The gravest thing that holds decides the colour; each is added behind the one before. */
static void
judge(struct show_verdict *verdict, enum table_tone tone, bool holds, const char *format, ...)
{
    if (!holds)
        return;
    size_t used = strlen(verdict->text);
    if (used == 0 || tone == TABLE_BAD)
        verdict->tone = tone;
    if (used > 0 && used + 2 < sizeof verdict->text)
        used += (size_t)snprintf(verdict->text + used, sizeof verdict->text - used, "; ");
    va_list arguments;
    va_start(arguments, format);
    if (used < sizeof verdict->text)
        (void)vsnprintf(verdict->text + used, sizeof verdict->text - used, format, arguments);
    va_end(arguments);
}

struct show_verdict
show_status_verdict(struct json_object *status)
{
    struct show_verdict verdict = { .tone = TABLE_GOOD };
    struct tally tally = { 0 };
    tally_nodes(status, &tally);
    tally_connectors(status, &tally);
    struct json_object *durability = json_get(status, "durability");
    bool satisfied = false;
    bool satisfied_known = json_get_bool(durability, "satisfied", &satisfied);
    bool primary_known = json_get(status, "primary") != NULL;

    judge(&verdict, TABLE_BAD, !primary_known, "NO PRIMARY IS KNOWN: nothing can be written");
    judge(&verdict, TABLE_BAD, primary_known && tally.primary_silent,
          "THE PRIMARY DOES NOT ANSWER");
    judge(&verdict, TABLE_WARN,
          primary_known && !tally.primary_silent && strcmp(tally.primary_state, "PRIMARY") != 0,
          "the primary takes no writes now (%s)", tally.primary_state);
    judge(&verdict, TABLE_BAD, primary_known && satisfied_known && !satisfied,
          "WRITES WAIT: durability is not met");
    judge(&verdict, TABLE_WARN, word_or(durability, "degraded_since", "")[0] != '\0',
          "DURABILITY IS DEGRADED: the primary goes on with fewer acknowledgements");
    judge(&verdict, TABLE_BAD, tally.nodes_different > 0, "%u node%s DIFFERENT from the primary",
          tally.nodes_different, tally.nodes_different == 1 ? " is" : "s are");
    judge(&verdict, TABLE_BAD, tally.servers_bad > 0, "%u connector server%s in trouble",
          tally.servers_bad, tally.servers_bad == 1 ? "" : "s");
    judge(&verdict, TABLE_BAD, tally.nodes_fenced > 0, "%u node%s fenced", tally.nodes_fenced,
          tally.nodes_fenced == 1 ? "" : "s");
    judge(&verdict, TABLE_WARN, tally.nodes_outdated > 0, "%u old primar%s not heard since",
          tally.nodes_outdated, tally.nodes_outdated == 1 ? "y" : "ies");
    judge(&verdict, TABLE_WARN, tally.nodes_unknown > 0, "%u node%s unknown", tally.nodes_unknown,
          tally.nodes_unknown == 1 ? "" : "s");
    judge(&verdict, TABLE_WARN, primary_known && !satisfied_known, "durability is not known");
    judge(&verdict, TABLE_WARN, tally.nodes_unproved > 0, "%u node%s not proved equal",
          tally.nodes_unproved, tally.nodes_unproved == 1 ? "" : "s");
    judge(&verdict, TABLE_WARN, tally.servers_unknown > 0, "%u connector server%s not probed",
          tally.servers_unknown, tally.servers_unknown == 1 ? "" : "s");
    judge(&verdict, TABLE_WARN, tally.latent_bad > 0, "%u server%s for a promotion not reachable",
          tally.latent_bad, tally.latent_bad == 1 ? "" : "s");
    const char *mode = word_string(json_get(status, "takeover"), "mode");
    judge(&verdict, TABLE_WARN, strcmp(mode, "paused") == 0, "takeover is paused");
    judge(&verdict, TABLE_WARN, strcmp(mode, "blocked") == 0, "nobody takes over by itself now");
    judge(&verdict, TABLE_WARN, strcmp(mode, "unknown") == 0 || strcmp(mode, "?") == 0,
          "who takes over is not known");
    size_t alarms = word_count(status, "alarms");
    judge(&verdict, TABLE_WARN, alarms > 0, "%zu alarm%s", alarms, alarms == 1 ? "" : "s");
    if (verdict.text[0] == '\0')
        (void)snprintf(verdict.text, sizeof verdict.text, "all is well");
    return verdict;
}

/* ---- the screen ---- */

static void
show_primary(const struct table_look *look, struct json_object *status)
{
    struct json_object *primary = json_get(status, "primary");
    if (primary == NULL) {
        table_text(look, TABLE_BAD, "primary     none is known\n");
        table_text(look, TABLE_PLAIN,
                   "            look at the nodes below; when the old primary is surely gone:\n"
                   "            baton promote SITE --dry-run\n");
        return;
    }
    char epoch[WORD_SIZE];
    char since[WORD_SIZE];
    char age[WORD_SIZE];
    int64_t since_ms;
    int64_t now_ms;
    const char *site = word_string(primary, "site");
    table_text(look, TABLE_BOLD, "primary     %s (site %s)", word_string(primary, "node"),
               site[0] == '\0' ? "?" : site);
    table_text(look, TABLE_PLAIN, "  epoch %s\n", word_epoch(primary, "epoch", epoch));
    bool known = clock_wall_parse(word_string(primary, "since"), &since_ms) &&
                 clock_wall_parse(word_string(status, "time"), &now_ms) && now_ms >= since_ms;
    if (word_or(primary, "since", "")[0] == '\0') {
        table_text(look, TABLE_DIM, "            since when, and why, is not known here\n");
        return;
    }
    table_text(look, TABLE_PLAIN, "            since %s UTC",
               word_time(word_string(primary, "since"), since));
    if (known && now_ms - since_ms < 1000)
        table_text(look, TABLE_PLAIN, " (this second)");
    else if (known)
        table_text(look, TABLE_PLAIN, " (for %s)", word_age((uint64_t)(now_ms - since_ms), age));
    table_text(look, TABLE_PLAIN, "\n");
    table_text(look, TABLE_PLAIN, "%*s", LABEL_WIDTH, "");
    table_words(look, TABLE_PLAIN, LABEL_WIDTH, "%s", word_string(primary, "why"));
    const char *resumed = word_or(primary, "resumed_at", "");
    table_text(look, TABLE_PLAIN, "\n");
    if (resumed[0] != '\0')
        table_text(look, TABLE_DIM, "%*srestarted, and went on at %s UTC\n", LABEL_WIDTH, "",
                   word_time(resumed, since));
}

static void
show_durability(const struct table_look *look, struct json_object *status)
{
    struct json_object *durability = json_get(status, "durability");
    bool satisfied = false;
    bool known = json_get_bool(durability, "satisfied", &satisfied);
    char revision[WORD_SIZE];
    const char *text = word_or(durability, "text", "");
    table_text(look, TABLE_PLAIN, "revision    %s\n", word_u64(status, "revision", revision));
    if (!known && !is(durability, "mode", "strict") && !is(durability, "mode", "available")) {
        table_text(look, TABLE_WARN, "durability  ? not known\n");
        return;
    }
    const char *mode = word_string(durability, "mode");
    bool degraded = word_or(durability, "degraded_since", "")[0] != '\0';
    const char *met = !known       ? "? not known whether it is met"
                      : !satisfied ? "NOT MET"
                      : degraded   ? "DEGRADED"
                                   : "met";
    unsigned indent = LABEL_WIDTH + (unsigned)(strlen(mode) + strlen(", ") + strlen(met));
    table_text(look, TABLE_PLAIN, "durability  %s, ", mode);
    table_text(look,
               !known || degraded ? TABLE_WARN
               : satisfied        ? TABLE_GOOD
                                  : TABLE_BAD,
               "%s", met);
    bool fits = look->width == 0 || indent + strlen(": ") + strlen(text) <= look->width;
    if (text[0] != '\0') {
        table_text(look, TABLE_PLAIN, "%s%*s", fits ? ": " : ":\n", fits ? 0 : LABEL_WIDTH, "");
        table_words(look, TABLE_PLAIN, LABEL_WIDTH, "%s", text);
    }
    table_text(look, TABLE_PLAIN, "\n");
}

static void
show_arbiter_line(const struct table_look *look, struct json_object *status)
{
    struct json_object *arbiter = json_get(status, "arbiter");
    struct json_object *lease = json_get(arbiter, "lease");
    const char *kind = word_string(arbiter, "kind");
    const char *state = word_or(lease, "state", "?");
    char age[WORD_SIZE];
    bool answers = false;
    uint64_t ms;
    if (strcmp(kind, "manual") == 0)
        return; /* the next line says it */
    bool known = json_get_bool(arbiter, "answers", &answers);
    table_text(look, TABLE_PLAIN, "arbiter     %s, ", kind);
    table_text(look,
               !known    ? TABLE_WARN
               : answers ? TABLE_GOOD
                         : TABLE_BAD,
               "%s",
               !known    ? "? not known whether it answers"
               : answers ? "answers"
                         : "DOES NOT ANSWER");
    if (json_get_u64(arbiter, "age_ms", &ms))
        table_text(look, TABLE_DIM, " (%s)", word_age(ms, age));
    if (lease != NULL)
        table_text(look, TABLE_PLAIN, "; lease of %s: ", word_string(lease, "node"));
    else
        table_text(look, TABLE_WARN, "; the primary's lease is not known");
    if (lease != NULL)
        table_text(look, strcmp(state, "HELD") == 0 ? TABLE_GOOD : TABLE_WARN, "%s", state);
    if (json_get_u64(lease, "left_ms", &ms))
        table_text(look, TABLE_PLAIN, ", %s left", word_duration(ms, age));
    table_text(look, TABLE_PLAIN, "\n");
}

/* What happens when the primary is lost. */
static void
show_takeover_line(const struct table_look *look, struct json_object *status)
{
    struct json_object *takeover = json_get(status, "takeover");
    const char *mode = word_string(takeover, "mode");
    CLEANUP(buf_done) struct buf able = { 0 };
    bool automatic = strcmp(mode, "automatic") == 0 || strcmp(mode, "unguarded") == 0;
    bool manual = strcmp(mode, "manual") == 0;
    for (size_t i = 0; automatic && i < word_count(takeover, "able"); i++)
        buf_printf(&able, "%s%s", i == 0 ? "; ready: " : ", ",
                   json_object_get_string(word_item(takeover, "able", i)));
    table_text(look, TABLE_PLAIN, "takeover    ");
    table_text(look, automatic ? TABLE_GOOD : manual ? TABLE_PLAIN : TABLE_WARN, "%s", mode);
    table_text(look, TABLE_PLAIN, ": ");
    table_words(look, TABLE_PLAIN, LABEL_WIDTH, "%s%s", word_string(takeover, "text"),
                buf_text(&able));
    table_text(look, TABLE_PLAIN, "\n");
}

/* "standby", or with the state where that says more: "fenced (REJOINING)". */
static void
role_cell(struct table *table, struct json_object *node, struct json_object *primary)
{
    if (is_outdated_primary(node, primary)) {
        table_cell(table, TABLE_WARN, "was primary");
        return;
    }
    const char *role = word_string(node, "role");
    const char *state = word_or(node, "state", role);
    bool says_more = strcasecmp(role, state) != 0;
    table_cell(table, role_tone(node, primary), "%s%s%s%s", role, says_more ? " (" : "",
               says_more ? state : "", says_more ? ")" : "");
}

static void
digest_cell(struct table *table, struct json_object *node)
{
    if (is(node, "digest", "same"))
        table_cell(table, TABLE_GOOD, "same");
    else if (is(node, "digest", "different"))
        table_cell(table, TABLE_BAD, "DIFFERENT");
    else
        table_cell(table, TABLE_WARN, "?");
}

static void
add_node(struct table *table, struct json_object *node, struct json_object *primary,
         bool with_address)
{
    char text[WORD_SIZE];
    uint64_t number;
    bool lag_known = json_get_u64(node, "lag_revisions", &number);
    table_row(table);
    table_cell(table, TABLE_PLAIN, "%s", word_string(node, "name"));
    const char *site = word_string(node, "site");
    table_cell(table, TABLE_PLAIN, "%s", site[0] == '\0' ? "?" : site);
    role_cell(table, node, primary);
    table_cell(table, TABLE_PLAIN, "%s", word_epoch(node, "epoch", text));
    table_cell(table, TABLE_PLAIN, "%s", word_u64(node, "revision", text));
    table_cell(table, lag_known ? TABLE_PLAIN : TABLE_WARN, "%s",
               word_u64(node, "lag_revisions", text));
    digest_cell(table, node);
    if (json_get_u64(node, "age_ms", &number))
        table_cell(table, node_is_stale(node) ? TABLE_WARN : TABLE_PLAIN, "%s%s",
                   word_age(number, text), node_is_stale(node) ? " STALE" : "");
    else
        table_cell(table, TABLE_WARN, "never");
    if (!with_address)
        return;
    table_cell(table, TABLE_PLAIN, "%s", word_string(node, "address"));
    table_cell(table, TABLE_PLAIN, "%s", word_string(node, "version"));
}

static void show_line(const struct table_look *look, enum table_tone tone, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void
show_line(const struct table_look *look, enum table_tone tone, const char *format, ...)
{
    CLEANUP(freep) char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    ASSERT(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    table_text(look, TABLE_PLAIN, "  ");
    table_words(look, tone, 4, "%s", text);
    table_text(look, TABLE_PLAIN, "\n");
}

/* Behind the table, where nothing is cut: why a node is not what it should be. */
static void
show_node_table(const struct table_look *look, struct json_object *holder, bool with_address)
{
    struct json_object *primary = json_get(holder, "primary");
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "NODE", 0);
    table_column(table, "SITE", 0);
    table_column(table, "ROLE", 0);
    table_column(table, "EPOCH", TABLE_CUT);
    table_column(table, "REVISION", TABLE_RIGHT);
    table_column(table, "LAG", TABLE_RIGHT);
    table_column(table, "DIGEST", 0);
    table_column(table, "HEARD", 0);
    if (with_address) {
        table_column(table, "ADDRESS", TABLE_CUT);
        table_column(table, "VERSION", TABLE_CUT);
    }
    for (size_t i = 0; i < word_count(holder, "nodes"); i++)
        add_node(table, word_item(holder, "nodes", i), primary, with_address);
    table_print(table);
    for (size_t i = 0; i < word_count(holder, "nodes"); i++) {
        struct json_object *node = word_item(holder, "nodes", i);
        const char *reason = word_or(node, "reason", "");
        if (reason[0] != '\0')
            show_line(look, role_tone(node, primary), "%s: %s", word_string(node, "name"), reason);
    }
}

/* ---- connectors ---- */

/* Of the server in use, or of the one that a standby would use. */
static struct json_object *
probe_of(struct json_object *connector)
{
    struct json_object *probe = json_get(connector, "probe");
    return probe != NULL ? probe : json_get(connector, "latent_probe");
}

static void
probe_cell(struct table *table, struct json_object *probe)
{
    uint64_t age_ms;
    bool ok;
    char age[WORD_SIZE];
    if (!json_get_bool(probe, "ok", &ok))
        table_cell(table, TABLE_WARN, probe == NULL ? "not probed" : "?");
    else
        table_cell(table, probe_tone(probe), "%s, %s", ok ? "ok" : "FAILED",
                   json_get_u64(probe, "age_ms", &age_ms) ? word_age(age_ms, age) : "?");
}

static void
add_connector(struct table *table, struct json_object *connector)
{
    const char *state = word_or(json_get(connector, "activation"), "state", "-");
    bool none = is(connector, "effective", "none");
    table_row(table);
    table_cell(table, TABLE_PLAIN, "%s", word_string(connector, "name"));
    table_cell(table, TABLE_PLAIN, "%s", word_string(connector, "node"));
    table_cell(table,
               in_use(connector) ? TABLE_BOLD
               : none            ? TABLE_DIM
                                 : TABLE_BAD,
               "%s", word_string(connector, "effective"));
    table_cell(table, is(connector, "would_use", "error") ? TABLE_BAD : TABLE_PLAIN, "%s",
               word_string(connector, "would_use"));
    probe_cell(table, probe_of(connector));
    table_cell(table,
               strcmp(state, "failed") == 0 ? TABLE_BAD
               : strcmp(state, "done") == 0 ? TABLE_GOOD
                                            : TABLE_PLAIN,
               "%s", state);
    table_cell(table, TABLE_PLAIN, "%s", word_or(connector, "url", "-"));
}

/* What is wrong with one, in full. */
static void
show_trouble(const struct table_look *look, struct json_object *connector)
{
    struct json_object *activation = json_get(connector, "activation");
    struct json_object *probe = probe_of(connector);
    struct json_object *credential = json_get(connector, "credential");
    const char *name = word_string(connector, "name");
    const char *node = word_string(connector, "node");
    const char *hint = word_or(connector, "hint", "");
    bool ok = false;
    if (hint[0] != '\0')
        show_line(look, TABLE_WARN, "%s on %s: %s", name, node, hint);
    if (probe != NULL && (!json_get_bool(probe, "ok", &ok) || !ok))
        show_line(look, probe_tone(probe), "%s on %s: probe: %s", name, node,
                  word_string(probe, "text"));
    if (credential != NULL && !is(credential, "state", "here"))
        show_line(look, TABLE_BAD, "%s on %s: %s is %s", name, node,
                  word_string(credential, "name"), word_string(credential, "state"));
    if (is(activation, "state", "failed"))
        show_line(look, TABLE_BAD, "%s on %s: activation %s: %s", name, node,
                  word_string(activation, "action_id"), word_string(activation, "text"));
    struct json_object *fencing = json_get(connector, "fencing");
    if (in_use(connector) && json_get_bool(fencing, "fenced", &ok) && !ok)
        show_line(look, TABLE_DIM, "%s on %s: %s", name, node, word_string(fencing, "text"));
}

static void
show_connector_table(const struct table_look *look, struct json_object *holder, const char *member)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "CONNECTOR", 0);
    table_column(table, "NODE", 0);
    table_column(table, "IN USE", 0);
    table_column(table, "WOULD USE", 0);
    table_column(table, "PROBE", 0);
    table_column(table, "ACTIVATION", 0);
    table_column(table, "SERVER", TABLE_CUT);
    for (size_t i = 0; i < word_count(holder, member); i++)
        add_connector(table, word_item(holder, member, i));
    table_print(table);
    for (size_t i = 0; i < word_count(holder, member); i++)
        show_trouble(look, word_item(holder, member, i));
}

static void
show_alarms(const struct table_look *look, struct json_object *status)
{
    uint64_t kept = word_number(json_get(status, "setaside"), "count", 0);
    if (kept > 0)
        table_text(look, TABLE_WARN, "\nset aside: %llu change%s; decide: baton setaside list\n",
                   (unsigned long long)kept, kept == 1 ? " waits" : "s wait");
    if (word_count(status, "alarms") > 0)
        table_text(look, TABLE_PLAIN, "\n");
    for (size_t i = 0; i < word_count(status, "alarms"); i++) {
        struct json_object *alarm = word_item(status, "alarms", i);
        table_words(look, TABLE_WARN, 2, "alarm %s: %s", word_string(alarm, "name"),
                    word_string(alarm, "text"));
        table_text(look, TABLE_PLAIN, "\n");
    }
}

void
show_status(const struct table_look *look, struct json_object *status)
{
    char time[WORD_SIZE];
    struct show_verdict verdict = show_status_verdict(status);
    const char *name = word_string(json_get(status, "cluster"), "name");
    table_text(look, TABLE_BOLD, "%s: ", name);
    table_words(look, verdict.tone, (unsigned)strlen(name) + 2, "%s", verdict.text);
    table_text(look, TABLE_PLAIN, "\n");
    table_text(look, TABLE_DIM, "as %s sees it at %s UTC\n\n", word_string(status, "this_node"),
               word_time(word_string(status, "time"), time));
    show_primary(look, status);
    show_durability(look, status);
    show_arbiter_line(look, status);
    show_takeover_line(look, status);
    table_text(look, TABLE_PLAIN, "\n");
    show_node_table(look, status, false);
    if (word_count(status, "connectors") > 0)
        table_text(look, TABLE_PLAIN, "\n");
    show_connector_table(look, status, "connectors");
    show_instance_line(look, status);
    show_alarms(look, status);
}

void
show_nodes(const struct table_look *look, struct json_object *list)
{
    show_node_table(look, list, true);
}

void
show_sites(const struct table_look *look, struct json_object *list)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "SITE", 0);
    table_column(table, "ROLE", 0);
    table_column(table, "NODES", TABLE_CUT);
    for (size_t i = 0; i < word_count(list, "sites"); i++) {
        struct json_object *site = word_item(list, "sites", i);
        CLEANUP(buf_done) struct buf nodes = { 0 };
        for (size_t k = 0; k < word_count(site, "nodes"); k++)
            buf_printf(&nodes, "%s%s", k == 0 ? "" : " ",
                       json_object_get_string(word_item(site, "nodes", k)));
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(site, "name"));
        table_cell(table, is(site, "role", "unknown") ? TABLE_WARN : TABLE_PLAIN, "%s",
                   word_string(site, "role"));
        table_cell(table, TABLE_PLAIN, "%s", buf_text(&nodes));
    }
    table_print(table);
}

void
show_connectors(const struct table_look *look, struct json_object *list)
{
    if (word_count(list, "connectors") == 0)
        table_text(look, TABLE_PLAIN, "no connector is configured\n");
    show_connector_table(look, list, "connectors");
}

static void
show_activations(const struct table_look *look, struct json_object *detail)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    char text[WORD_SIZE];
    table_column(table, "STARTED", 0);
    table_column(table, "KIND", 0);
    table_column(table, "SERVER", 0);
    table_column(table, "DRIVER", 0);
    table_column(table, "EPOCH", 0);
    table_column(table, "STATE", 0);
    table_column(table, "OUTPUT", TABLE_CUT);
    for (size_t i = 0; i < word_count(detail, "activations"); i++) {
        struct json_object *activation = word_item(detail, "activations", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s",
                   word_time(word_string(activation, "started_at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(activation, "kind"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(activation, "server"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(activation, "driver"));
        table_cell(table, TABLE_PLAIN, "%s", word_epoch(activation, "epoch", text));
        table_cell(table,
                   is(activation, "state", "done")     ? TABLE_GOOD
                   : is(activation, "state", "failed") ? TABLE_BAD
                                                       : TABLE_WARN,
                   "%s", word_string(activation, "state"));
        const char *output = word_string(activation, "output");
        size_t size = strlen(output); /* programs end what they say with a line feed */
        while (size > 0 && output[size - 1] == '\n')
            size--;
        table_cell(table, TABLE_PLAIN, "%.*s", (int)size, output);
    }
    if (table_row_count(table) > 0)
        table_text(look, TABLE_PLAIN, "\n");
    table_print(table);
}

void
show_connector(const struct table_look *look, struct json_object *detail)
{
    show_connector_table(look, detail, "nodes");
    show_activations(look, detail);
    table_text(look, TABLE_PLAIN, "\nconfiguration, as it counts on the node asked:\n%s\n",
               json_object_to_json_string_ext(json_get(detail, "config"),
                                              JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void
add_check(struct table *table, struct json_object *check)
{
    const char *mend = word_or(check, "mend", "");
    table_row(table);
    table_cell(table, TABLE_PLAIN, "%s", word_string(check, "name"));
    table_cell(table, is(check, "state", "fail") ? TABLE_BAD : TABLE_WARN, "%s",
               word_string(check, "state"));
    table_cell(table, TABLE_PLAIN, "%s%s%s", word_string(check, "text"),
               mend[0] == '\0' ? "" : "; mend: ", mend);
}

/* What is wrong in full, the failed first; what is well is only named. */
void
show_doctor(const struct table_look *look, struct json_object *doctor)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    CLEANUP(buf_done) struct buf well = { 0 };
    size_t count = word_count(doctor, "checks");
    size_t well_count = 0;
    table_column(table, "CHECK", 0);
    table_column(table, "STATE", 0);
    table_column(table, "FOUND", TABLE_WRAP);
    for (size_t i = 0; i < count; i++) {
        struct json_object *check = word_item(doctor, "checks", i);
        if (is(check, "state", "fail"))
            add_check(table, check);
    }
    for (size_t i = 0; i < count; i++) {
        struct json_object *check = word_item(doctor, "checks", i);
        if (is(check, "state", "ok"))
            buf_printf(&well, "%s%s", well_count++ == 0 ? "" : ", ", word_string(check, "name"));
        else if (!is(check, "state", "fail"))
            add_check(table, check);
    }
    table_print(table);
    if (table_row_count(table) > 0)
        table_text(look, TABLE_PLAIN, "\n");
    table_text(look, TABLE_GOOD, "%zu of %zu checks are ok", well_count, count);
    if (well_count > 0)
        table_text(look, TABLE_DIM, ":\n  ");
    table_words(look, TABLE_DIM, 2, "%s", buf_text(&well));
    table_text(look, TABLE_PLAIN, "\n");
}
