/* Driver haproxy: what it says, as text, and on a real HAProxy. */
#include "haproxy_world.h"

#include "controller/activation/action.h"
#include "controller/activation/haproxy.h"

#define PATIENT_MS 20000

/* ---- what it says ---- */

#define HEAD                                                                                       \
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "        \
    "srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health "   \
    "srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord "  \
    "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
#define ROW(name, address, op, admin, port)                                                        \
    "3 pam 1 " name " " address " " op " " admin " 1 1 3 1 0 0 14 0 0 0 - " port " - 0 0 - - 0\n"
#define MARK(text) "proc.baton_pam: type=str value=<" text ">\n"

static const struct haproxy_goal to_main = { .backend = "pam",
                                             .main = "main",
                                             .alternate = "alternate",
                                             .server = EFFECTIVE_MAIN,
                                             .address = "192.0.2.1",
                                             .port = 8443,
                                             .epoch = { .number = 3, .holder = "west-1" } };

struct told {
    const char *answer; /* before HEAD: what 'get var' gives; after it: the rows */
    enum effective_server server;
    uint64_t drain_ms;
    const char *line;
    const char *why;
    uint64_t again_ms;
};

#define NOW_MS 1000000

static const struct told tells[] = {
    /* a HAProxy that was just started: nobody has what is behind it before Baton says so */
    { "Variable not found.\n\n" HEAD ROW("main", "127.0.0.1", "0", "5", "1")
          ROW("alternate", "127.0.0.1", "0", "5", "2"),
      EFFECTIVE_MAIN, 0,
      "experimental-mode on;set var proc.baton_pam str(3:west-1:main:1000000:192.0.2.1);"
      "set server pam/main addr 192.0.2.1 port 8443;set server pam/main state ready",
      "main was at 127.0.0.1 port 1, main was in maint", 0 },
    /* as it has to be */
    { MARK("3:west-1:main:5:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "4", "8443")
          ROW("alternate", "127.0.0.1", "0", "5", "2"),
      EFFECTIVE_MAIN, 0, "", "", 0 },
    /* P3: ticking the box; cut: the other is gone before this one comes */
    { MARK("3:west-1:alternate:5:192.0.2.2") HEAD ROW("main", "192.0.2.1", "0", "5", "8443")
          ROW("alternate", "192.0.2.2", "2", "4", "8443"),
      EFFECTIVE_MAIN, 0,
      "experimental-mode on;set var proc.baton_pam str(3:west-1:main:1000000:192.0.2.1);"
      "set server pam/alternate state maint;shutdown sessions server pam/alternate;"
      "set server pam/main state ready",
      "alternate was ready, main was in maint", 0 },
    /* S11: a grace; the other one goes after this one came */
    { MARK("3:west-1:alternate:5:192.0.2.2") HEAD ROW("main", "192.0.2.1", "0", "5", "8443")
          ROW("alternate", "192.0.2.2", "2", "4", "8443"),
      EFFECTIVE_MAIN, 5000,
      "experimental-mode on;set var proc.baton_pam str(3:west-1:main:1000000:192.0.2.1);"
      "set server pam/main state ready;set server pam/alternate state drain",
      "main was in maint, alternate was ready", 5000 },
    /* S11: while it lasts, and when it is over */
    { MARK("3:west-1:main:999000:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "2", "8", "8443"),
      EFFECTIVE_MAIN, 5000, "", "", 4000 },
    { MARK("3:west-1:main:995000:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "2", "8", "8443"),
      EFFECTIVE_MAIN, 5000,
      "set server pam/alternate state maint;shutdown sessions server pam/alternate", "", 0 },
    /* whose clock is ahead drains no longer than it may */
    { MARK("3:west-1:main:1999000:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "2", "8", "8443"),
      EFFECTIVE_MAIN, 5000, "", "", 5000 },
    /* somebody let the other one in, long after: no grace for that */
    { MARK("3:west-1:main:5:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "2", "0", "8443"),
      EFFECTIVE_MAIN, 5000,
      "set server pam/alternate state maint;shutdown sessions server pam/alternate",
      "alternate was ready", 0 },
    /* the document has another address: the old place is cut off before */
    { MARK("3:west-1:main:5:192.0.2.7") HEAD ROW("main", "192.0.2.7", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "0", "1", "8443"),
      EFFECTIVE_MAIN, 0,
      "experimental-mode on;set var proc.baton_pam str(3:west-1:main:5:192.0.2.1);"
      "set server pam/main state maint;shutdown sessions server pam/main;"
      "set server pam/main addr 192.0.2.1 port 8443;set server pam/main state ready",
      "main was at 192.0.2.7 port 8443", 0 },
    /* nothing in use, at once and with a grace */
    { MARK("3:west-1:main:5:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "0", "1", "8443"),
      EFFECTIVE_NONE, 0,
      "experimental-mode on;set var proc.baton_pam str(3:west-1:none:1000000:);"
      "set server pam/main state maint;shutdown sessions server pam/main",
      "main was ready", 0 },
    { MARK("3:west-1:main:5:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "0", "8443")
          ROW("alternate", "192.0.2.2", "0", "1", "8443"),
      EFFECTIVE_NONE, 700,
      "experimental-mode on;set var proc.baton_pam str(3:west-1:none:1000000:);"
      "set server pam/main state drain",
      "main was ready", 700 },
    /* a mark that is none, and a backend without alternate */
    { MARK("3:west-1:somewhere:5:") HEAD ROW("main", "192.0.2.1", "2", "0", "8443"), EFFECTIVE_MAIN,
      0, "experimental-mode on;set var proc.baton_pam str(3:west-1:main:1000000:192.0.2.1)", "",
      0 },
};

static void
each_state_has_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(tells); i++) {
        const struct told *told = &tells[i];
        struct haproxy_goal goal = to_main;
        struct haproxy_view view;
        struct haproxy_plan plan;
        struct err err;
        goal.server = told->server;
        goal.drain_ms = told->drain_ms;
        assert_int_equal(haproxy_read(told->answer, &goal, &view, &err), ERR_NONE);
        assert_int_equal(haproxy_plan(&view, &goal, NOW_MS, &plan, &err), ERR_NONE);
        assert_string_equal(buf_text(&plan.line), told->line);
        assert_string_equal(buf_text(&plan.why), told->why);
        assert_int_equal(plan.again_ms, told->again_ms);
        assert_int_equal(plan.different, told->why[0] != '\0');
        assert_false(plan.refused);
        haproxy_plan_done(&plan);
    }
}

/* ---- instances ---- */

#define PLACE(number, address, op, admin, since, port)                                             \
    "3 pam 1 instance" number " " address " " op " " admin " 1 1 " since                           \
    " 1 0 0 14 0 0 0 localhost " port " - 0 0 - - 0\n"
#define IN_USE      MARK("3:west-1:main:5:192.0.2.1") HEAD ROW("main", "192.0.2.1", "2", "4", "8443")
#define OUT(number) PLACE(number, "127.0.0.1", "0", "5", "9", "9")

struct spread_told {
    const char *answer;
    const char *targets[4]; /* with '!' behind: takes no requests */
    enum effective_server server;
    enum connector_instances instances;
    uint64_t drain_ms;
    bool news;
    const char *line;
    const char *why;
    uint64_t again_ms;
    size_t placed, up_count, left_out;
};

#define IN(number, address)                                                                        \
    "set server pam/instance" number " addr " address " port 80;set server pam/instance" number    \
    " state ready"
#define CUT(name) "set server pam/" name " state maint;shutdown sessions server pam/" name

static const struct spread_told spreads[] = {
    { .answer = IN_USE OUT("1") OUT("2") OUT("3"),
      .targets = { "192.0.2.3:80", "[2001:db8::7]:80", "192.0.2.9:80!" },
      .server = EFFECTIVE_MAIN,
      .news = true,
      .line = IN("1", "192.0.2.3") ";" IN("2", "2001:db8::7"),
      .placed = 2 },
    /* as it has to be; the server in use has no second place; one is down for HAProxy */
    { .answer = IN_USE PLACE("1", "192.0.2.3", "0", "4", "0", "80")
          PLACE("2", "2001:db8::7", "2", "4", "0", "80"),
      .targets = { "192.0.2.3:80", "[2001:db8::7]:80", "192.0.2.1:8443" },
      .server = EFFECTIVE_MAIN,
      .line = "",
      .placed = 2,
      .up_count = 1 },
    /* cut: who goes is gone before anybody comes, main and alternate included */
    { .answer = MARK("3:west-1:main:5:192.0.2.1") HEAD ROW("main", "192.0.2.1", "0", "5", "8443")
          ROW("alternate", "192.0.2.2", "2", "4", "8443")
              PLACE("1", "192.0.2.3", "2", "4", "0", "80") OUT("2"),
      .targets = { "192.0.2.3:80!", "192.0.2.4:80" },
      .server = EFFECTIVE_MAIN,
      .line = CUT("alternate") ";" CUT("instance1") ";set server pam/main state ready;" IN(
          "2", "192.0.2.4"),
      .why = "2 places of instances were different, alternate was ready, main was in maint",
      .placed = 1 },
    /* grace: who comes is there before anybody goes */
    { .answer = IN_USE PLACE("1", "192.0.2.3", "2", "4", "0", "80") OUT("2"),
      .targets = { "192.0.2.3:80!", "192.0.2.4:80" },
      .server = EFFECTIVE_MAIN,
      .drain_ms = 3000,
      .news = true,
      .line = IN("2", "192.0.2.4") ";set server pam/instance1 state drain",
      .placed = 1,
      .again_ms = 3000 },
    { .answer = IN_USE PLACE("1", "192.0.2.3", "2", "12", "2", "80"),
      .server = EFFECTIVE_MAIN,
      .drain_ms = 3000,
      .line = "",
      .again_ms = 1000 },
    { .answer = IN_USE PLACE("1", "192.0.2.3", "2", "12", "3", "80"),
      .server = EFFECTIVE_MAIN,
      .drain_ms = 3000,
      .line = CUT("instance1") },
    /* another's place is emptied first */
    { .answer = IN_USE PLACE("1", "192.0.2.3", "2", "4", "0", "80"),
      .targets = { "192.0.2.4:80", "192.0.2.5:80" },
      .server = EFFECTIVE_MAIN,
      .news = true,
      .line = CUT("instance1") ";" IN("1", "192.0.2.4"),
      .placed = 1,
      .left_out = 1 },
    /* only they: main and alternate get nothing, and need not be there */
    { .answer = IN_USE PLACE("1", "192.0.2.3", "2", "4", "0", "80"),
      .targets = { "192.0.2.3:80" },
      .server = EFFECTIVE_MAIN,
      .instances = CONNECTOR_INSTANCES_ONLY,
      .line = "experimental-mode on;set var proc.baton_pam str(3:west-1:main:5:);" CUT("main"),
      .why = "main was ready",
      .placed = 1,
      .up_count = 1 },
    { .answer = MARK("3:west-1:main:5:") HEAD PLACE("1", "192.0.2.3", "2", "4", "0", "80"),
      .targets = { "192.0.2.3:80" },
      .server = EFFECTIVE_MAIN,
      .instances = CONNECTOR_INSTANCES_ONLY,
      .line = "",
      .placed = 1,
      .up_count = 1 },
    /* none of them; and nothing in use here (P2) */
    { .answer = IN_USE PLACE("1", "192.0.2.3", "2", "4", "0", "80"),
      .targets = { "192.0.2.3:80" },
      .server = EFFECTIVE_MAIN,
      .instances = CONNECTOR_INSTANCES_NONE,
      .line = CUT("instance1"),
      .why = "1 place of an instance was different" },
    { .answer = MARK("3:west-1:none:5:") HEAD ROW("main", "192.0.2.1", "0", "5", "8443")
          PLACE("1", "192.0.2.3", "2", "4", "0", "80"),
      .targets = { "192.0.2.3:80" },
      .line = CUT("instance1"),
      .why = "1 place of an instance was different" },
    /* names that are no places */
    { .answer = IN_USE PLACE("", "192.0.2.3", "2", "4", "0", "80")
          PLACE("0", "192.0.2.3", "2", "4", "0", "80") PLACE("s1", "192.0.2.3", "2", "4", "0", "80")
              PLACE("01", "192.0.2.3", "2", "4", "0", "80"),
      .targets = { "192.0.2.3:80" },
      .server = EFFECTIVE_MAIN,
      .line = "",
      .left_out = 1 },
};

static size_t
read_targets(const char *const *texts, struct spread_target targets[4])
{
    size_t count = 0;
    for (; count < 4 && texts[count] != NULL; count++) {
        char *text = str_dup(texts[count]);
        targets[count].takes = !str_ends(text, "!");
        text[strcspn(text, "!")] = '\0';
        assert_null(spread_address_read(text, &targets[count].at));
        free(text);
    }
    return count;
}

/* A1, A10, S11 */
static void
instances_have_their_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(spreads); i++) {
        const struct spread_told *told = &spreads[i];
        struct haproxy_goal goal = to_main;
        struct spread_target targets[4];
        struct haproxy_view view;
        struct haproxy_plan plan;
        struct err err;
        goal.server = told->server;
        goal.drain_ms = told->drain_ms;
        goal.instances = told->instances;
        goal.news = told->news;
        goal.spread = (struct spread_goal){ .targets = targets,
                                            .target_count = read_targets(told->targets, targets),
                                            .settled = true };
        assert_int_equal(haproxy_read(told->answer, &goal, &view, &err), ERR_NONE);
        assert_int_equal(haproxy_plan(&view, &goal, NOW_MS, &plan, &err), ERR_NONE);
        assert_string_equal(buf_text(&plan.line), told->line);
        assert_string_equal(buf_text(&plan.why), told->why == NULL ? "" : told->why);
        assert_int_equal(plan.again_ms, told->again_ms);
        assert_int_equal(plan.spread.placed, told->placed);
        assert_int_equal(plan.spread.left_out, told->left_out);
        assert_int_equal(plan.up_count, told->up_count);
        assert_int_equal(plan.in_count, told->placed);
        assert_false(plan.more);
        haproxy_plan_done(&plan);
    }
}

/* R2: who is not heard yet keeps his place, and gets requests like the others. */
static void
who_is_not_heard_yet_is_counted(void **state)
{
    (void)state;
    struct haproxy_goal goal = to_main;
    struct haproxy_view view;
    struct haproxy_plan plan;
    struct err err;
    goal.instances = CONNECTOR_INSTANCES_ONLY;
    goal.spread.settled = false;
    assert_int_equal(haproxy_read(MARK("3:west-1:main:5:")
                                      HEAD PLACE("1", "192.0.2.3", "2", "4", "0", "80"),
                                  &goal, &view, &err),
                     ERR_NONE);
    assert_int_equal(haproxy_plan(&view, &goal, NOW_MS, &plan, &err), ERR_NONE);
    assert_int_equal(plan.spread.placed, 0);
    assert_int_equal(plan.in_count, 1);
    assert_int_equal(plan.up_count, 1);
    haproxy_plan_done(&plan);
}

static void
fill_targets(struct spread_target targets[SPREAD_COUNT_MAX])
{
    for (unsigned i = 0; i < SPREAD_COUNT_MAX; i++) {
        targets[i] = (struct spread_target){ .at.port = 80, .takes = true };
        (void)snprintf(targets[i].at.host, sizeof targets[i].at.host, "192.0.2.%u", i);
    }
}

/* Many come in several lines, each of which HAProxy takes. */
static void
many_instances_need_several_lines(void **state)
{
    (void)state;
    struct buf answer = { 0 };
    static struct spread_target targets[SPREAD_COUNT_MAX];
    struct haproxy_goal goal = to_main;
    struct haproxy_view view;
    size_t told = 0;
    struct err err;
    buf_add_text(&answer, IN_USE);
    for (unsigned i = 0; i < SPREAD_COUNT_MAX + 9; i++) /* more than are looked at */
        buf_printf(&answer,
                   "3 pam 1 instance%u 127.0.0.1 0 5 1 1 9 1 0 0 14 0 0 0 - 9 - 0 0 - - 0\n",
                   i + 1);
    fill_targets(targets);
    goal.news = true;
    goal.spread = (struct spread_goal){ .targets = targets, .target_count = SPREAD_COUNT_MAX };
    assert_int_equal(haproxy_read(buf_text(&answer), &goal, &view, &err), ERR_NONE);
    assert_int_equal(view.place_count, SPREAD_COUNT_MAX);
    for (bool more = true; more; told++) {
        struct haproxy_plan plan;
        assert_int_equal(haproxy_plan(&view, &goal, NOW_MS, &plan, &err), ERR_NONE);
        assert_in_range(plan.line.size, 1, HAPROXY_LINE_SIZE + 300);
        for (size_t i = 0; i < view.place_count; i++) { /* as HAProxy does it */
            char *ready = str_printf("/instance%u state ready", view.numbers[i]);
            if (strstr(buf_text(&plan.line), ready) != NULL)
                view.places[i] = (struct spread_place){ .state = SPREAD_IN, .at = targets[i].at };
            free(ready);
        }
        more = plan.more;
        haproxy_plan_done(&plan);
    }
    assert_in_range(told, 2, 5);
    struct haproxy_plan plan;
    assert_int_equal(haproxy_plan(&view, &goal, NOW_MS, &plan, &err), ERR_NONE);
    assert_int_equal(plan.line.size, 0);
    assert_int_equal(plan.spread.placed, SPREAD_COUNT_MAX);
    haproxy_plan_done(&plan);
    buf_done(&answer);
}

/* So do many who go: with a cut nobody comes before the last of them is gone, with a grace nobody
 * goes before the last has come. */
static void
several_lines_are_in_the_order_of_one(void **state)
{
    static const uint64_t drains[] = { 0, 5000 };
    static struct spread_target targets[SPREAD_COUNT_MAX];
    (void)state;
    fill_targets(targets);
    for (size_t i = 0; i < ARRAY_COUNT(drains); i++) {
        struct haproxy_goal goal = to_main;
        struct haproxy_view view;
        struct haproxy_plan plan;
        struct err err;
        bool cut = drains[i] == 0;
        assert_int_equal(haproxy_read("\n" HEAD ROW("main", "192.0.2.1", "0", "5", "8443")
                                          ROW("alternate", "192.0.2.2", "2", "4", "8443"),
                                      &goal, &view, &err),
                         ERR_NONE);
        view.place_count = SPREAD_COUNT_MAX;
        for (unsigned place = 0; place < SPREAD_COUNT_MAX; place++) {
            view.places[place] = (struct spread_place){ .state = cut ? SPREAD_IN : SPREAD_OUT };
            view.numbers[place] = place + 1;
        }
        goal.drain_ms = drains[i];
        goal.spread = (struct spread_goal){ .targets = targets,
                                            .target_count = cut ? 0 : SPREAD_COUNT_MAX,
                                            .settled = true };
        assert_int_equal(haproxy_plan(&view, &goal, NOW_MS, &plan, &err), ERR_NONE);
        assert_true(plan.more);
        assert_null(
            strstr(buf_text(&plan.line), cut ? "pam/main state ready" : "pam/alternate state"));
        haproxy_plan_done(&plan);
    }
}

/* I10, as far as HAProxy can: the later epoch left a mark. */
static void
a_mark_of_a_later_epoch_refuses(void **state)
{
    (void)state;
    static const char *const marks[] = { "4:east-1:main:5:192.0.2.1", "3:west-2:none:5:" };
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        struct haproxy_view view;
        struct haproxy_plan plan;
        struct err err;
        char *answer = str_printf("proc.baton_pam: type=str value=<%s>\n%s", marks[i],
                                  HEAD ROW("main", "192.0.2.9", "0", "1", "8443")
                                      ROW("alternate", "192.0.2.2", "2", "0", "8443"));
        assert_int_equal(haproxy_read(answer, &to_main, &view, &err), ERR_NONE);
        assert_int_equal(haproxy_plan(&view, &to_main, NOW_MS, &plan, &err), ERR_NONE);
        assert_true(plan.refused);
        assert_int_equal(plan.line.size, 0);
        haproxy_plan_done(&plan);
        free(answer);
    }
}

static void
no_two_backends_share_a_variable(void **state)
{
    (void)state;
    static const char *const names[] = { "a-b", "a.b", "a_b", "a_2db", "ab" };
    char *lines[ARRAY_COUNT(names)];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct buf line = { 0 };
        haproxy_question(names[i], &line);
        *strchr(line.data, ';') = '\0';
        lines[i] = buf_take(&line);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(lines[i], lines[j]);
    }
    assert_string_equal(lines[0], "get var proc.baton_a_2db");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        free(lines[i]);
}

static void
senseless_answers_are_refused(void **state)
{
    (void)state;
    static const char *const answers[] = { "", "\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
                                           "1\n# be_id be_name\n3 pam\n" };
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct haproxy_view view;
        struct err err;
        assert_int_equal(haproxy_read(answers[i], &to_main, &view, &err), ERR_PROTOCOL);
        assert_non_null(strstr(err.mend, "stats socket"));
    }
}

/* ---- on a real HAProxy ---- */

struct call {
    unsigned answers;
    enum action_end end;
    bool changed;
    uint64_t again_ms;
    char text[1600];
};

static void
on_done(void *data, const struct action_result *result)
{
    struct call *call = data;
    call->answers++;
    call->end = result->end;
    call->changed = result->changed;
    call->again_ms = result->again_ms;
    (void)snprintf(call->text, sizeof call->text, "%s", result->text);
}

static bool
is_answered(void *data)
{
    return ((struct call *)data)->answers > 0;
}

struct wish {
    const char *socket; /* name in the folder */
    const char *more;   /* members of the action */
    const char *url;    /* of main; NULL: the usual one */
    enum effective_server server;
    uint64_t epoch;
    bool check;
    uint64_t timeout_ms;
    bool cancel;
    const struct spread_target *targets;
    size_t target_count;
};

static struct call
run(struct proxy *proxy, const struct wish *wish)
{
    struct call call = { 0 };
    struct connector *connector;
    struct action *action;
    struct err err = { 0 };
    char *json = str_printf("{\"driver\":\"haproxy\",\"socket\":\"%s/%s\"%s}", proxy->world->folder,
                            wish->socket == NULL ? "admin" : wish->socket,
                            wish->more == NULL ? "" : wish->more);
    struct json_object *document = world_document(json);
    free(json);
    json_object_object_add(document, "main", json_object_new_object());
    json_add_string(json_get(document, "main"), "url",
                    wish->url == NULL ? "https://127.0.0.1:8443/" : wish->url);
    json_object_object_add(document, "alternate", json_object_new_object());
    json_add_string(json_get(document, "alternate"), "url", "https://localhost:8444");
    if (connector_read("pam", document, &connector, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    json_object_put(document);
    static const struct connector_server none = { .url = "" };
    struct action_order order = {
        .action = &connector->actions[0],
        .epoch = epoch_make(wish->epoch == 0 ? 3 : wish->epoch, "west-1"),
        .timeout_ms = wish->timeout_ms == 0 ? PATIENT_MS : wish->timeout_ms,
        .server = wish->server == EFFECTIVE_MAIN        ? &connector->main
                  : wish->server == EFFECTIVE_ALTERNATE ? &connector->alternate
                                                        : &none,
        .which = wish->server,
        .check = wish->check,
        .spread = { .targets = wish->targets, .target_count = wish->target_count },
        .news = !wish->check, /* as of the manager */
    };
    for (size_t i = 0; i < TEMPLATE_COUNT; i++)
        order.values.text[i] = i == TEMPLATE_CONNECTOR ? "pam" : "";
    if (action_start(proxy->world->worker, &order, on_done, &call, &action, &err) != ERR_NONE) {
        call.end = ACTION_FAILED;
        (void)snprintf(call.text, sizeof call.text, "%s; %s", err.text, err.mend);
    } else {
        if (wish->cancel)
            action_cancel(action);
        assert_int_equal(call.answers, 0); /* never from inside */
        assert_true(world_until(proxy->world, is_answered, &call));
    }
    connector_free(connector);
    return call;
}

static void
expect(struct call call, enum action_end end, const char *part)
{
    if (call.end != end || strstr(call.text, part) == NULL)
        fail_msg("%s: %s", action_end_name(call.end), call.text);
}

/* P3: main and alternate; the document's address, by number and by name. */
static void
a_server_is_switched(void **state)
{
    struct proxy *proxy = *state;
    struct call call = run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN });
    expect(call, ACTION_OK, "backend 'pam' uses 'main', 127.0.0.1 port 8443");
    assert_true(call.changed);
    says(proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
    call = run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN });
    expect(call, ACTION_OK, "uses 'main'");
    assert_false(call.changed);

    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_ALTERNATE }), ACTION_OK, "'alternate'");
    says(proxy, "main 127.0.0.1 0 5 ", " 2 4 1 1 ");
    /* P2: nothing in use, under the epoch of what is undone */
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_NONE }), ACTION_OK, "uses no server");
    says(proxy, "main 127.0.0.1 0 5 ", " 0 5 1 1 ");
}

/* HAProxy has one way to write an address, people have several. */
static void
an_address_of_ipv6_is_known_again(void **state)
{
    struct proxy *proxy = *state;
    struct wish wish = { .server = EFFECTIVE_MAIN, .url = "https://[2001:DB8:0:0::7]:8443" };
    expect(run(proxy, &wish), ACTION_OK, "uses 'main', 2001:db8::7 port 8443");
    wish.check = true;
    assert_false(run(proxy, &wish).changed);
}

static void
a_lower_epoch_is_refused(void **state)
{
    struct proxy *proxy = *state;
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_ALTERNATE, .epoch = 7 }), ACTION_OK, "");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN, .epoch = 6 }), ACTION_REFUSED,
           "was switched under epoch 7/west-1, ours is 6/west-1");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_NONE, .epoch = 6 }), ACTION_REFUSED, "");
    says(proxy, "main 127.0.0.1 0 5 ", " 2 4 1 1 ");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN, .epoch = 8 }), ACTION_OK, "");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_ALTERNATE, .epoch = 7, .check = true }),
           ACTION_REFUSED, "");
}

static void
what_somebody_changed_is_put_right(void **state)
{
    static const struct {
        const char *line;
        const char *text;
    } hands[] = {
        { "set server pam/main state maint", "put right: main was in maint" },
        { "set server pam/main state drain", "put right: main was in drain" },
        { "set server pam/alternate state ready", "put right: alternate was ready" },
        { "set server pam/main addr 127.0.0.9", "put right: main was at 127.0.0.9 port 8443" },
    };
    struct proxy *proxy = *state;
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN }), ACTION_OK, "");
    struct wish check = { .server = EFFECTIVE_MAIN, .check = true };
    for (size_t i = 0; i < ARRAY_COUNT(hands); i++) {
        tell(proxy, hands[i].line);
        struct call call = run(proxy, &check);
        expect(call, ACTION_OK, hands[i].text);
        assert_true(call.changed);
        says(proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
        assert_false(run(proxy, &check).changed);
    }
    /* by name: the number that was found is in the mark */
    check.server = EFFECTIVE_ALTERNATE;
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_ALTERNATE }), ACTION_OK, "");
    assert_false(run(proxy, &check).changed);
    tell(proxy, "set server pam/alternate addr 127.0.0.9");
    expect(run(proxy, &check), ACTION_OK, "put right: alternate was at 127.0.0.9");
}

static void
a_haproxy_that_was_restarted_gets_its_state(void **state)
{
    struct proxy *proxy = *state;
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN }), ACTION_OK, "");
    proxy_stop(proxy);
    struct wish check = { .server = EFFECTIVE_MAIN, .check = true };
    expect(run(proxy, &check), ACTION_FAILED, "start HAProxy with 'stats socket");
    proxy_start(proxy);
    says(proxy, "main 127.0.0.1 0 5 ", "alternate 127.0.0.1 0 5 ");
    expect(run(proxy, &check), ACTION_OK,
           "put right: main was at 127.0.0.1 port 9, main was in maint");
    says(proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
}

/* S11: what is connected stays for the grace and is cut when it is over. */
static void
a_drain_ends_with_a_check(void **state)
{
    struct proxy *proxy = *state;
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN }), ACTION_OK, "");
    struct call call =
        run(proxy, &(struct wish){ .server = EFFECTIVE_ALTERNATE, .more = ",\"drain_ms\":60000" });
    expect(call, ACTION_OK, "what is connected to another may stay for ");
    assert_in_range(call.again_ms, 1, 60000);
    says(proxy, "main 127.0.0.1 2 12 ", " 2 4 1 1 ");
    /* the grace is over: here because it is shorter now */
    call = run(proxy, &(struct wish){ .server = EFFECTIVE_ALTERNATE, .check = true });
    expect(call, ACTION_OK, "uses 'alternate'");
    assert_false(call.changed); /* it was so ordered */
    says(proxy, "main 127.0.0.1 0 5 ", " 2 4 1 1 ");
}

static void
what_is_wrong_is_named_with_its_mend(void **state)
{
    struct proxy *proxy = *state;
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN, .socket = "nobody" }),
           ACTION_FAILED, "/nobody': No such file or directory; start HAProxy with 'stats socket");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN, .socket = "operator" }),
           ACTION_FAILED, "HAProxy denies it on this socket; add 'level admin'");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN, .more = ",\"backend\":\"nope\"" }),
           ACTION_FAILED, "HAProxy has no backend 'nope'; see 'show backend'");
    expect(run(proxy,
               &(struct wish){ .server = EFFECTIVE_ALTERNATE, .more = ",\"backend\":\"half\"" }),
           ACTION_FAILED,
           "backend 'half' of HAProxy has no server 'alternate'; add 'server alternate");
    expect(run(proxy, &(struct wish){ .server = EFFECTIVE_MAIN, .more = ",\"backend\":\"half\"" }),
           ACTION_OK, "backend 'half' uses 'main'");
    says(proxy, "main 127.0.0.1 0 5 ", "alternate 127.0.0.1 0 5 ");
}

static void
who_does_not_answer_is_left_in_time(void **state)
{
    struct proxy *proxy = *state;
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    char *path = world_path(proxy->world, "silent");
    assert_true(str_copy(name.sun_path, sizeof name.sun_path, path));
    free(path);
    int silent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(silent, 8), 0);
    struct wish wish = { .server = EFFECTIVE_MAIN, .socket = "silent", .timeout_ms = 100 };
    expect(run(proxy, &wish), ACTION_FAILED, "has not answered in time");
    wish.timeout_ms = PATIENT_MS;
    wish.cancel = true;
    expect(run(proxy, &wish), ACTION_CANCELLED, "cancelled");
    (void)close(silent);
}

/* It is not told the same for ever. */
static void
who_does_not_do_it_is_left_soon(void **state)
{
    struct proxy *proxy = *state;
    static struct spread_target targets[SPREAD_COUNT_MAX];
    fill_targets(targets);
    struct wish wish = { .server = EFFECTIVE_MAIN,
                         .more = ",\"backend\":\"bound\",\"instances\":\"only\"",
                         .targets = targets,
                         .target_count = ARRAY_COUNT(targets) };
    expect(run(proxy, &wish), ACTION_FAILED,
           "HAProxy was told, and still: 256 places of instances were different; ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_its_line),
        cmocka_unit_test(instances_have_their_places),
        cmocka_unit_test(who_is_not_heard_yet_is_counted),
        cmocka_unit_test(many_instances_need_several_lines),
        cmocka_unit_test(several_lines_are_in_the_order_of_one),
        cmocka_unit_test(a_mark_of_a_later_epoch_refuses),
        cmocka_unit_test(no_two_backends_share_a_variable),
        cmocka_unit_test(senseless_answers_are_refused),
        cmocka_unit_test_setup_teardown(a_server_is_switched, proxy_setup, proxy_teardown),
        cmocka_unit_test_setup_teardown(an_address_of_ipv6_is_known_again, proxy_setup,
                                        proxy_teardown),
        cmocka_unit_test_setup_teardown(a_lower_epoch_is_refused, proxy_setup, proxy_teardown),
        cmocka_unit_test_setup_teardown(what_somebody_changed_is_put_right, proxy_setup,
                                        proxy_teardown),
        cmocka_unit_test_setup_teardown(a_haproxy_that_was_restarted_gets_its_state, proxy_setup,
                                        proxy_teardown),
        cmocka_unit_test_setup_teardown(a_drain_ends_with_a_check, proxy_setup, proxy_teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_named_with_its_mend, proxy_setup,
                                        proxy_teardown),
        cmocka_unit_test_setup_teardown(who_does_not_do_it_is_left_soon, proxy_setup,
                                        proxy_teardown),
        cmocka_unit_test_setup_teardown(who_does_not_answer_is_left_in_time, proxy_setup,
                                        proxy_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
