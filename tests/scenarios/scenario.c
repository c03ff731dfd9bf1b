/*
 * Runs a story in the invented world and compares what happened with what stands below its '----'.
 *
 *     scenario FILE...              says where they differ; 1 when one does
 *     scenario --rewrite FILE...    puts what happened into the file; a person reads the diff
 *
 * A story is lines; '#' begins a comment. First the settings:
 *
 *     nodes NAME...            ascending by bytes; the first is primary of epoch 1
 *     k N                      acknowledgements that a write needs (1)
 *     voters NAME...           (all)
 *     fresh                    begin with everything started at 0 ms, not with a settled cluster
 *     arbiter witness|etcd ... there are these; the first is in use. Then nodes act on the outside,
 *                              promotions are recorded, and Baton takes over by itself:
 *     takeover WITHIN ACROSS   automatic|manual|unguarded (automatic manual)
 *     lease TTL_MS RENEW_MS    (5000 1000)
 *     cooldown MS              (60000)
 *     available MS             durability: fewer acknowledgements count after so long, once the
 *                              arbiter was told (strict)
 *     keeper                   a daemon that was killed is started again
 *     connectors               nodes act on the outside, without an arbiter too
 *     quiet node|promo|write|world|lease|act ...
 *
 * then commands, each at once, or 'at MS COMMAND', or 'on NODE STATE COMMAND': once, when the role
 * of the node, its promotion or its lease comes to that state:
 *
 *     promote NODE [accept-data-loss] [override CHECK] [dry-run] [connectors-fail]
 *     crash|start NODE [daemon|database|both]        kill NODE          SIGKILL of its daemon
 *     stop|continue NODE [daemon|database|both]      SIGSTOP, SIGCONT
 *     suspend|resume|power-off|power-on NODE         the machine
 *     cut A B | A > B [https|replication]            heal
 *     hold|release PUBLISHER SUBSCRIBER              rows wait on the way
 *     write NODE [COUNT] [direct]                    want K NAME...     the sync set to come to
 *     reopen NODE              local.node of its database says primary, by hand
 *     lock|unlock NODE         somebody has local.node, and does not let go for a fence
 *     forget NODE ROWS         its last rows, while it is crashed: an old copy is put back
 *     upgrade NODE             its schema, while it is crashed
 *     clock NODE MS            its wall clock is set forward
 *     alternate NODE           its connector is to use the alternate server from now on
 *     arbiter N on|off|stop|continue|revoke|wipe|backup|restore|cut NODE|join NODE|step MS
 *     choose NODE N|none [adopt]                     the primary is told to use another arbiter
 *     pause NODE MS            the primary is told that nobody takes over for so long
 *     show | rest              each node; whether the cluster is at rest, and all that was promised
 *                              holds
 *     run MS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/str.h"
#include "tests/world/world.h"

#define WORDS_MAX   24
#define PENDING_MAX 64

struct pending {
    bool used;
    bool timed;
    uint64_t at_ms;
    unsigned node;
    char state[32];
    char line[256];
};

struct story {
    const char *path;
    unsigned line_number;
    struct world_config config;
    char names[WORLD_NODES_MAX][NODE_NAME_SIZE];
    struct world *world; /* NULL until the first command */
    struct pending pending[PENDING_MAX];
    bool quiet[WORLD_TOPICS];
    struct buf output;
    char fault[256]; /* of the story itself */
};

static bool run_command(struct story *story, const char *line);

static bool
wrong(struct story *story, const char *text, const char *word)
{
    if (story->fault[0] == '\0')
        (void)snprintf(story->fault, sizeof story->fault, "%s:%u: %s '%s'", story->path,
                       story->line_number, text, word);
    return false;
}

static void
listen(void *data, enum world_topic topic, const char *line)
{
    struct story *story = data;
    if (!story->quiet[topic])
        buf_printf(&story->output, "%s\n", line);
}

/* ------------------------------------------------------------------ words */

static size_t
split(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " \t", &rest))
        words[count++] = word;
    return count;
}

static bool
read_node(struct story *story, const char *word, unsigned *ret_node)
{
    *ret_node = world_node(story->world, word);
    return *ret_node != WORLD_NONE || wrong(story, "no such node:", word);
}

static bool
read_number(struct story *story, const char *word, uint64_t *ret)
{
    return str_to_u64(word, 0, 100000000, ret) || wrong(story, "no number:", word);
}

static bool
read_mask(struct story *story, char *const *words, size_t count, unsigned *ret_mask)
{
    *ret_mask = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned node = WORLD_NONE;
        for (unsigned j = 0; j < story->config.count; j++) {
            if (strcmp(story->names[j], words[i]) == 0)
                node = j;
        }
        if (node == WORLD_NONE)
            return wrong(story, "no such node:", words[i]);
        *ret_mask |= 1u << node;
    }
    return true;
}

/* ------------------------------------------------------------------ commands */

static bool
do_promote(struct story *story, char **words, size_t count)
{
    struct world_order order = { 0 };
    unsigned node;
    if (count < 2 || !read_node(story, words[1], &node))
        return wrong(story, "promote NODE, not", words[0]);
    for (size_t i = 2; i < count; i++) {
        enum promo_check check;
        if (strcmp(words[i], "accept-data-loss") == 0)
            order.accept_data_loss = true;
        else if (strcmp(words[i], "dry-run") == 0)
            order.dry_run = true;
        else if (strcmp(words[i], "connectors-fail") == 0)
            order.connectors_fail = true;
        else if (strcmp(words[i], "override") == 0 && i + 1 < count &&
                 promo_check_parse(words[i + 1], &check))
            order.overrides |= 1u << check, i++;
        else
            return wrong(story, "promote does not know", words[i]);
    }
    (void)world_promote(story->world, node, &order);
    return true;
}

static bool
do_parts(struct story *story, char **words, size_t count)
{
    static const char *const names[] = { "daemon", "database", "both" };
    enum world_part parts = WORLD_BOTH;
    unsigned node;
    if (count < 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    if (count > 2) {
        size_t at = 0;
        while (at < ARRAY_COUNT(names) && strcmp(names[at], words[2]) != 0)
            at++;
        if (at == ARRAY_COUNT(names))
            return wrong(story, "no part of a node:", words[2]);
        parts = (enum world_part)(at + 1);
    }
    if (strcmp(words[0], "crash") == 0)
        world_crash(story->world, node, parts);
    else if (strcmp(words[0], "start") == 0)
        world_start(story->world, node, parts);
    else if (strcmp(words[0], "stop") == 0)
        world_stop(story->world, node, parts);
    else
        world_continue(story->world, node, parts);
    return true;
}

static bool
do_machine(struct story *story, char **words, size_t count)
{
    unsigned node;
    if (count != 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    if (strcmp(words[0], "kill") == 0)
        world_kill(story->world, node);
    else if (strcmp(words[0], "suspend") == 0)
        world_suspend(story->world, node);
    else if (strcmp(words[0], "resume") == 0)
        world_resume(story->world, node);
    else
        world_power(story->world, node, strcmp(words[0], "power-on") == 0);
    return true;
}

static bool
do_clock(struct story *story, char **words, size_t count)
{
    unsigned node;
    uint64_t by_ms;
    if (count != 3 || !read_node(story, words[1], &node) || !read_number(story, words[2], &by_ms))
        return wrong(story, "NODE MS expected after", words[0]);
    world_step_wall(story->world, node, (int64_t)by_ms);
    return true;
}

static bool
do_alternate(struct story *story, char **words, size_t count)
{
    unsigned node;
    if (count != 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    world_use_alternate(story->world, node, true);
    return true;
}

static bool
do_pause(struct story *story, char **words, size_t count)
{
    unsigned node;
    uint64_t for_ms;
    if (count != 3 || !read_node(story, words[1], &node) || !read_number(story, words[2], &for_ms))
        return wrong(story, "NODE MS expected after", words[0]);
    return world_pause(story->world, node, for_ms) || wrong(story, "not primary:", words[1]);
}

static bool
read_arbiter(struct story *story, const char *word, unsigned *ret_arbiter)
{
    uint64_t number;
    if (!str_to_u64(word, 1, story->config.arbiter_count, &number))
        return wrong(story, "no such arbiter:", word);
    *ret_arbiter = (unsigned)number - 1;
    return true;
}

static bool
do_choose(struct story *story, char **words, size_t count)
{
    unsigned node;
    unsigned arbiter = WORLD_NONE;
    if (count < 3 || !read_node(story, words[1], &node) ||
        (strcmp(words[2], "none") != 0 && !read_arbiter(story, words[2], &arbiter)))
        return wrong(story, "NODE N|none [adopt] expected after", words[0]);
    bool adopt = count > 3 && strcmp(words[3], "adopt") == 0;
    return world_choose_arbiter(story->world, node, arbiter, adopt) ||
           wrong(story, "not primary:", words[1]);
}

static bool
do_arbiter_to(struct story *story, unsigned arbiter, char **words, size_t count)
{
    unsigned node;
    uint64_t by_ms;
    if (strcmp(words[2], "step") == 0) {
        if (count != 4 || !read_number(story, words[3], &by_ms))
            return wrong(story, "MS expected after", words[2]);
        world_arbiter_step(story->world, arbiter, (int64_t)by_ms);
        return true;
    }
    bool cut = strcmp(words[2], "cut") == 0;
    if ((!cut && strcmp(words[2], "join") != 0) || count != 4 || !read_node(story, words[3], &node))
        return wrong(story, "cannot befall an arbiter:", words[2]);
    world_arbiter_cut(story->world, arbiter, node, cut, cut);
    return true;
}

static bool
do_arbiter(struct story *story, char **words, size_t count)
{
    static const struct {
        const char *name;
        void (*one)(struct world *, unsigned);
        void (*set)(struct world *, unsigned, bool);
        bool on;
    } what[] = {
        { "revoke", world_arbiter_revoke, NULL, false },
        { "wipe", world_arbiter_wipe, NULL, false },
        { "backup", world_arbiter_backup, NULL, false },
        { "restore", world_arbiter_restore, NULL, false },
        { "on", NULL, world_arbiter_power, true },
        { "off", NULL, world_arbiter_power, false },
        { "stop", NULL, world_arbiter_stop, true },
        { "continue", NULL, world_arbiter_stop, false },
    };
    unsigned arbiter;
    if (count < 3 || !read_arbiter(story, words[1], &arbiter))
        return wrong(story, "N and what befalls it expected after", words[0]);
    for (size_t i = 0; i < ARRAY_COUNT(what); i++) {
        if (strcmp(what[i].name, words[2]) != 0)
            continue;
        if (what[i].one != NULL)
            what[i].one(story->world, arbiter);
        else
            what[i].set(story->world, arbiter, what[i].on);
        return true;
    }
    return do_arbiter_to(story, arbiter, words, count);
}

static bool
do_forget(struct story *story, char **words, size_t count)
{
    unsigned node;
    uint64_t rows;
    if (count != 3 || !read_node(story, words[1], &node) || !read_number(story, words[2], &rows))
        return wrong(story, "NODE ROWS expected after", words[0]);
    if (world_is_up(story->world, node, WORLD_DATABASE))
        return wrong(story, "crash it first:", words[1]);
    world_forget(story->world, node, rows);
    return true;
}

static bool
do_reopen(struct story *story, char **words, size_t count)
{
    unsigned node;
    if (count != 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    world_reopen(story->world, node);
    return true;
}

static bool
do_upgrade(struct story *story, char **words, size_t count)
{
    unsigned node;
    if (count != 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    if (world_is_up(story->world, node, WORLD_DAEMON))
        return wrong(story, "crash it first:", words[1]);
    world_upgrade(story->world, node);
    return true;
}

static bool
do_cut(struct story *story, char **words, size_t count)
{
    enum world_line lines = WORLD_LINES;
    unsigned from;
    unsigned to;
    bool one_way = count > 2 && strcmp(words[2], ">") == 0;
    size_t at = one_way ? 3 : 2;
    if (count <= at || !read_node(story, words[1], &from) || !read_node(story, words[at], &to))
        return wrong(story, "cut A B, or A > B, not", words[0]);
    if (count > at + 1)
        lines = strcmp(words[at + 1], "https") == 0 ? WORLD_HTTPS : WORLD_REPLICATION;
    world_cut(story->world, from, to, lines);
    if (!one_way)
        world_cut(story->world, to, from, lines);
    return true;
}

static bool
do_hold(struct story *story, char **words, size_t count)
{
    unsigned publisher;
    unsigned subscriber;
    if (count != 3 || !read_node(story, words[1], &publisher) ||
        !read_node(story, words[2], &subscriber))
        return wrong(story, "PUBLISHER SUBSCRIBER expected after", words[0]);
    world_hold_stream(story->world, publisher, subscriber, strcmp(words[0], "hold") == 0);
    return true;
}

static bool
do_lock(struct story *story, char **words, size_t count)
{
    unsigned node;
    if (count != 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    world_lock(story->world, node, strcmp(words[0], "lock") == 0);
    return true;
}

static bool
do_write(struct story *story, char **words, size_t count)
{
    uint64_t times = 1;
    bool direct = false;
    unsigned node;
    if (count < 2 || !read_node(story, words[1], &node))
        return wrong(story, "NODE expected after", words[0]);
    for (size_t i = 2; i < count; i++) {
        if (strcmp(words[i], "direct") == 0)
            direct = true;
        else if (!read_number(story, words[i], &times))
            return false;
    }
    for (uint64_t i = 0; i < times; i++)
        (void)world_write(story->world, node, direct);
    return true;
}

static bool
do_want(struct story *story, char **words, size_t count)
{
    uint64_t k;
    unsigned mask;
    if (count < 3 || !read_number(story, words[1], &k) ||
        !read_mask(story, words + 2, count - 2, &mask))
        return wrong(story, "K NAME... expected after", words[0]);
    world_want(story->world, (unsigned)k, mask);
    return true;
}

static void
do_show(struct story *story)
{
    buf_printf(&story->output, "%5llu\n", (unsigned long long)world_now_ms(story->world));
    world_show(story->world, &story->output);
}

static void
do_rest(struct story *story)
{
    CLEANUP(buf_done) struct buf why = { 0 };
    bool rest = world_at_rest(story->world, &why);
    if (world_violation(story->world) == NULL)
        buf_printf(&story->output, "%5llu %s%s\n", (unsigned long long)world_now_ms(story->world),
                   rest ? "at rest" : "not at rest: ", rest ? "" : buf_text(&why));
}

/* ------------------------------------------------------------------ time */

static bool
is_due(const struct story *story, const struct pending *pending)
{
    if (!pending->used || pending->timed)
        return false;
    const struct world *world = story->world;
    return strcmp(node_state_name(world_state(world, pending->node)), pending->state) == 0 ||
           strcmp(promo_state_name(world_promo_state(world, pending->node)), pending->state) == 0 ||
           strcmp(lease_state_name(world_lease_state(world, pending->node)), pending->state) == 0;
}

static bool
fire(struct story *story, struct pending *pending)
{
    char line[sizeof pending->line];
    memcpy(line, pending->line, sizeof line);
    pending->used = false;
    return run_command(story, line);
}

static bool
run_until(struct story *story, uint64_t until_ms)
{
    for (;;) {
        struct pending *next = NULL;
        for (size_t i = 0; i < PENDING_MAX; i++) {
            struct pending *pending = &story->pending[i];
            if (is_due(story, pending) && !fire(story, pending))
                return false;
            if (pending->used && pending->timed && pending->at_ms <= until_ms &&
                (next == NULL || pending->at_ms < next->at_ms))
                next = pending;
        }
        uint64_t limit_ms = next == NULL ? until_ms : next->at_ms;
        if (world_violation(story->world) != NULL)
            return true;
        if (world_next_ms(story->world) <= limit_ms) {
            (void)world_step(story->world);
            continue;
        }
        (void)world_run(story->world, limit_ms);
        if (next == NULL)
            return true;
        if (!fire(story, next))
            return false;
    }
}

static bool
do_later(struct story *story, char **words, size_t count)
{
    struct pending *pending = story->pending;
    size_t skip = strcmp(words[0], "at") == 0 ? 2 : 3;
    while (pending < story->pending + PENDING_MAX && pending->used)
        pending++;
    if (count <= skip || pending == story->pending + PENDING_MAX)
        return wrong(story, "command expected after", words[0]);
    *pending = (struct pending){ .used = true, .timed = skip == 2 };
    if (pending->timed ? !read_number(story, words[1], &pending->at_ms)
                       : !read_node(story, words[1], &pending->node))
        return false;
    if (!pending->timed && !str_copy(pending->state, sizeof pending->state, words[2]))
        return wrong(story, "no state:", words[2]);
    size_t used = 0;
    for (size_t i = skip; i < count; i++)
        used += (size_t)snprintf(pending->line + used, sizeof pending->line - used, "%s%s",
                                 i == skip ? "" : " ", words[i]);
    return true;
}

/* ------------------------------------------------------------------ settings and dispatch */

static bool
set_nodes(struct story *story, char **words, size_t count)
{
    story->config.count = count - 1;
    for (size_t i = 1; i < count && i <= WORLD_NODES_MAX; i++) {
        if (!str_copy(story->names[i - 1], NODE_NAME_SIZE, words[i]))
            return wrong(story, "no name:", words[i]);
        story->config.names[i - 1] = story->names[i - 1];
    }
    return count > 1 && count <= WORLD_NODES_MAX + 1;
}

static bool
set_k(struct story *story, char **words, size_t count)
{
    uint64_t number;
    if (count != 2 || !read_number(story, words[1], &number))
        return false;
    story->config.k = (unsigned)number;
    return true;
}

static bool
set_voters(struct story *story, char **words, size_t count)
{
    return read_mask(story, words + 1, count - 1, &story->config.voters);
}

static bool
set_flag(struct story *story, char **words, size_t count)
{
    if (strcmp(words[0], "fresh") == 0)
        story->config.settled = false;
    else if (strcmp(words[0], "keeper") == 0)
        story->config.keeper = true;
    else
        story->config.connectors = true;
    return count == 1;
}

static bool
set_quiet(struct story *story, char **words, size_t count)
{
    static const char *const topics[WORLD_TOPICS] = { "node",  "promo", "write",
                                                      "world", "lease", "act" };
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < ARRAY_COUNT(topics); j++)
            story->quiet[j] |= strcmp(topics[j], words[i]) == 0;
    }
    return true;
}

static bool
set_arbiters(struct story *story, char **words, size_t count)
{
    struct world_config *config = &story->config;
    config->connectors = config->records = true;
    for (size_t i = 1; i < count; i++) {
        if (config->arbiter_count == WORLD_ARBITERS_MAX)
            return wrong(story, "too many:", words[i]);
        config->arbiters[config->arbiter_count++] =
            strcmp(words[i], "etcd") == 0 ? WORLD_ARBITER_ETCD : WORLD_ARBITER_WITNESS;
    }
    return count > 1;
}

static bool
set_takeover(struct story *story, char **words, size_t count)
{
    static const char *const names[] = { "automatic", "manual", "unguarded" };
    enum takeover_how *hows[] = { &story->config.takeover.within_site,
                                  &story->config.takeover.across_sites };
    story->config.records = true;
    for (size_t i = 1; i < count && i < 3; i++) {
        size_t at = 0;
        while (at < ARRAY_COUNT(names) && strcmp(names[at], words[i]) != 0)
            at++;
        if (at == ARRAY_COUNT(names))
            return wrong(story, "no way to take over:", words[i]);
        *hows[i - 1] = (enum takeover_how)at;
    }
    return count == 3;
}

static bool
set_times(struct story *story, char **words, size_t count)
{
    struct world_config *config = &story->config;
    if (strcmp(words[0], "available") == 0)
        return count == 2 && read_number(story, words[1], &config->sync_wait_ms);
    if (strcmp(words[0], "cooldown") == 0)
        return count == 2 && read_number(story, words[1], &config->takeover.cooldown_ms);
    return count == 3 && read_number(story, words[1], &config->lease.ttl_ms) &&
           read_number(story, words[2], &config->lease.renew_ms);
}

typedef bool word_fn(struct story *story, char **words, size_t count);

static bool
read_setting(struct story *story, char **words, size_t count, bool *ret_mine)
{
    static const struct {
        const char *name;
        word_fn *set;
    } settings[] = {
        { "nodes", set_nodes },       { "k", set_k },
        { "voters", set_voters },     { "fresh", set_flag },
        { "keeper", set_flag },       { "connectors", set_flag },
        { "quiet", set_quiet },       { "arbiter", set_arbiters },
        { "takeover", set_takeover }, { "lease", set_times },
        { "cooldown", set_times },    { "available", set_times },
    };
    *ret_mine = true;
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (strcmp(words[0], settings[i].name) == 0)
            return settings[i].set(story, words, count);
    }
    *ret_mine = false;
    return true;
}

static void
begin(struct story *story)
{
    if (story->world != NULL)
        return;
    story->world = world_new(&story->config);
    world_listen(story->world, listen, story);
}

static bool
do_simple(struct story *story, char **words, size_t count)
{
    uint64_t number;
    if (strcmp(words[0], "run") == 0)
        return count == 2 && read_number(story, words[1], &number) &&
               run_until(story, world_now_ms(story->world) + number);
    if (strcmp(words[0], "heal") == 0)
        world_heal(story->world);
    else if (strcmp(words[0], "show") == 0)
        do_show(story);
    else
        do_rest(story);
    return count == 1;
}

static bool
dispatch(struct story *story, char **words, size_t count)
{
    static const struct {
        const char *name;
        word_fn *run;
    } commands[] = {
        { "run", do_simple },        { "heal", do_simple },
        { "show", do_simple },       { "rest", do_simple },
        { "at", do_later },          { "on", do_later },
        { "promote", do_promote },   { "crash", do_parts },
        { "start", do_parts },       { "stop", do_parts },
        { "continue", do_parts },    { "kill", do_machine },
        { "suspend", do_machine },   { "resume", do_machine },
        { "power-off", do_machine }, { "power-on", do_machine },
        { "forget", do_forget },     { "upgrade", do_upgrade },
        { "cut", do_cut },           { "hold", do_hold },
        { "release", do_hold },      { "write", do_write },
        { "want", do_want },         { "clock", do_clock },
        { "arbiter", do_arbiter },   { "choose", do_choose },
        { "pause", do_pause },       { "alternate", do_alternate },
        { "reopen", do_reopen },     { "lock", do_lock },
        { "unlock", do_lock },
    };
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(words[0], commands[i].name) == 0)
            return commands[i].run(story, words, count);
    }
    return wrong(story, "no such command:", words[0]);
}

static bool
run_command(struct story *story, const char *line)
{
    char copy[512];
    char *words[WORDS_MAX];
    bool setting;
    if (!str_copy(copy, sizeof copy, line))
        return wrong(story, "line too long:", line);
    char *comment = strchr(copy, '#');
    if (comment != NULL)
        *comment = '\0';
    size_t count = split(copy, words);
    if (count == 0)
        return true;
    if (story->world == NULL) {
        if (!read_setting(story, words, count, &setting))
            return wrong(story, "cannot read setting", words[0]);
        if (setting)
            return true;
        begin(story);
    }
    if (world_violation(story->world) != NULL)
        return true;
    return dispatch(story, words, count);
}

/* ------------------------------------------------------------------ files */

static void
print_difference(const char *path, const char *expected, const char *got)
{
    unsigned line = 1;
    size_t at = 0;
    size_t begin_at = 0;
    for (; expected[at] != '\0' && expected[at] == got[at]; at++) {
        if (expected[at] != '\n')
            continue;
        line++;
        begin_at = at + 1;
    }
    printf("%s: line %u below ---- is different\n  expected: %.*s\n  happened: %.*s\n", path, line,
           (int)strcspn(expected + begin_at, "\n"), expected + begin_at,
           (int)strcspn(got + begin_at, "\n"), got + begin_at);
}

static bool
run_text(struct story *story, char *text)
{
    char *rest = NULL;
    story->config = world_config_story();
    story->config.settled = true;
    for (char *line = text; line != NULL; line = rest) {
        rest = strchr(line, '\n');
        if (rest != NULL)
            *rest++ = '\0';
        story->line_number++;
        if (!run_command(story, line)) {
            (void)wrong(story, "cannot run", line);
            puts(story->fault);
            return false;
        }
    }
    return true;
}

static bool
run_file(const char *path, bool rewrite)
{
    CLEANUP(buf_done) struct buf file = { 0 };
    struct err err;
    struct story story = { .path = path };
    if (file_read(path, 1024UL * 1024, &file, &err) != ERR_NONE) {
        puts(err.text);
        return false;
    }
    buf_add(&file, "", 0);
    char *text = file.data;
    char *mark = strstr(text, "\n----\n");
    const char *expected = mark == NULL ? "" : mark + strlen("\n----\n");
    if (mark != NULL)
        *mark = '\0';
    CLEANUP(freep) char *source = str_dup(text);
    bool fine = run_text(&story, text);
    if (fine && strcmp(expected, buf_text(&story.output)) != 0) {
        if (rewrite) {
            CLEANUP(freep)
            char *whole = str_printf("%s%s----\n%s", source, str_ends(source, "\n") ? "" : "\n",
                                     buf_text(&story.output));
            fine = file_write_atomic(path, whole, strlen(whole), 0644, (uid_t)-1, (gid_t)-1,
                                     &err) == ERR_NONE;
        } else {
            print_difference(path, expected, buf_text(&story.output));
            fine = false;
        }
    }
    world_free(story.world);
    buf_done(&story.output);
    return fine;
}

int
main(int count, char **arguments)
{
    bool rewrite = count > 1 && strcmp(arguments[1], "--rewrite") == 0;
    bool fine = true;
    if (count < (rewrite ? 3 : 2)) {
        fputs("usage: scenario [--rewrite] FILE...\n", stderr);
        return 2;
    }
    for (int i = rewrite ? 2 : 1; i < count; i++)
        fine &= run_file(arguments[i], rewrite);
    return fine ? 0 : 1;
}
