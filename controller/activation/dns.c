#include "controller/activation/dns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

#define DNS_PORT  "53"
#define WORDS     4 /* owner, TTL, class, type; the rest is the value */
#define LINE_SIZE 1024

static void
join(const char *before, const char *name, char to[DNS_NAME_SIZE])
{
    size_t length = strlen(name);
    (void)snprintf(to, DNS_NAME_SIZE, "%s%s%s", before, name, name[length - 1] == '.' ? "" : ".");
}

void
dns_mark_name(const struct connector_dns *options, char to[DNS_NAME_SIZE])
{
    join("_baton.", options->name, to);
}

void
dns_record_name(const struct connector_dns *options, char to[DNS_NAME_SIZE])
{
    join("", options->name, to);
}

void
dns_server(const char *text, char host[CONNECTOR_HOST_SIZE], char port[8])
{
    const char *start = text[0] == '[' ? text + 1 : text;
    const char *colon = strchr(text, ':');
    const char *number = NULL;
    size_t length = strlen(start);
    if (text[0] == '[') {
        length = strcspn(start, "]");
        number = start[length] == ']' && start[length + 1] == ':' ? start + length + 2 : NULL;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        length = (size_t)(colon - start);
        number = colon + 1;
    }
    ASSERT(str_copy(port, 8, number == NULL ? DNS_PORT : number));
    ASSERT(length < CONNECTOR_HOST_SIZE);
    memcpy(host, start, length);
    host[length] = '\0';
}

/* ---- what dig says ---- */

/* "3:west-1:main" */
static bool
read_mark(const char *mark, struct epoch *ret_epoch)
{
    char text[DNS_VALUE_SIZE];
    uint64_t number;
    if (!str_copy(text, sizeof text, mark))
        return false;
    char *holder = strchr(text, ':');
    char *server = holder == NULL ? NULL : strchr(holder + 1, ':');
    if (server == NULL)
        return false;
    *holder++ = *server++ = '\0';
    if (!str_to_u64(text, 0, UINT64_MAX, &number) || !str_is_name(holder))
        return false;
    ret_epoch->number = number;
    return str_copy(ret_epoch->holder, sizeof ret_epoch->holder, holder);
}

static enum err_code
not_ours(const char *name, struct err *err)
{
    (void)err_set(err, ERR_CONFLICT, "dns_mark", "the TXT record at '%s' is not Baton's", name);
    return err_mend(err, "remove it, or choose another 'name' for the driver");
}

static enum err_code
read_status(const char *line, struct err *err)
{
    const char *at = strstr(line, "status: ");
    if (at == NULL)
        return ERR_NONE;
    at += strlen("status: ");
    int length = (int)strcspn(at, ",");
    if (strncmp(at, "NOERROR", (size_t)length) == 0 || strncmp(at, "NXDOMAIN", (size_t)length) == 0)
        return ERR_NONE;
    (void)err_set(err, ERR_UNAVAILABLE, "dns_status", "the name server answers %.*s", length, at);
    return err_mend(err, "%s",
                    strncmp(at, "NOTAUTH", (size_t)length) == 0
                        ? "it does not know the key, or not the zone: see 'key_file' and 'zone'"
                        : "it must hold the zone and answer questions signed by the key");
}

/* Takes the quotes of a TXT and the '.' at the end of a name away. */
static char *
bare(char *value)
{
    size_t length = strlen(value);
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value[length - 1] = '\0';
        return value + 1;
    }
    if (length > 1 && value[length - 1] == '.')
        value[length - 1] = '\0';
    return value;
}

static enum err_code
read_row(char *line, const struct connector_dns *options, struct dns_view *view, struct err *err)
{
    char mark[DNS_NAME_SIZE], record[DNS_NAME_SIZE];
    char *words[WORDS];
    char *rest = NULL;
    char *word = strtok_r(line, " \t", &rest);
    dns_mark_name(options, mark);
    dns_record_name(options, record);
    for (size_t i = 0; i < WORDS; i++, word = strtok_r(NULL, " \t", &rest)) {
        if (word == NULL)
            return ERR_NONE;
        words[i] = word;
        if (i + 1 == WORDS)
            break;
    }
    rest += strspn(rest, " \t");
    char *value = bare(rest);
    if (strcasecmp(words[0], mark) == 0 && strcmp(words[3], "TXT") == 0) {
        if (view->mark[0] != '\0' || !read_mark(value, &view->epoch) ||
            !str_copy(view->mark, sizeof view->mark, value))
            return not_ours(mark, err);
    } else if (strcasecmp(words[0], record) == 0 && strcmp(words[3], options->type) == 0) {
        view->value_count++;
        if (!str_copy(view->value, sizeof view->value, value))
            view->value[0] = '\0';
    }
    return ERR_NONE;
}

enum err_code
dns_read(const char *output, const struct connector_dns *options, struct dns_view *ret_view,
         struct err *err)
{
    struct dns_view view = { .mark = "" };
    enum err_code code = ERR_NONE;
    while (code == ERR_NONE && *output != '\0') {
        char line[LINE_SIZE];
        size_t length = strcspn(output, "\n");
        if (length < sizeof line) {
            memcpy(line, output, length);
            line[length] = '\0';
            if (line[0] == ';')
                code = read_status(line, err);
            else if (line[0] != '\0')
                code = read_row(line, options, &view, err);
        }
        output += length + (output[length] == '\n');
    }
    if (code == ERR_NONE)
        *ret_view = view;
    return code;
}

/* ---- what nsupdate says ---- */

struct dns_plan
dns_plan(const struct dns_view *view, const struct dns_goal *goal)
{
    const struct connector_dns *options = goal->options;
    struct dns_plan plan = { .refused = false };
    char mark[DNS_NAME_SIZE], record[DNS_NAME_SIZE], wanted[DNS_VALUE_SIZE];
    char host[CONNECTOR_HOST_SIZE], port[8];
    bool none = goal->server == EFFECTIVE_NONE;
    if (view->mark[0] != '\0' && epoch_compare(&view->epoch, &goal->epoch) > 0) {
        plan.refused = true;
        return plan;
    }
    (void)snprintf(wanted, sizeof wanted, "%" PRIu64 ":%s:%s", goal->epoch.number,
                   goal->epoch.holder, effective_server_name(goal->server));
    if (none)
        plan.different = options->remove && view->value_count > 0;
    else
        plan.different = view->value_count != 1 || strcasecmp(view->value, goal->value) != 0;
    if (!plan.different && strcmp(view->mark, wanted) == 0)
        return plan;

    dns_mark_name(options, mark);
    dns_record_name(options, record);
    dns_server(options->server, host, port);
    buf_printf(&plan.script, "server %s %s\nzone %s\n", host, port, options->zone);
    if (view->mark[0] != '\0')
        buf_printf(&plan.script, "prereq yxrrset %s IN TXT \"%s\"\n", mark, view->mark);
    else
        buf_printf(&plan.script, "prereq nxrrset %s IN TXT\n", mark);
    buf_printf(&plan.script, "update delete %s TXT\nupdate add %s %u TXT \"%s\"\n", mark, mark,
               options->ttl, wanted);
    if (plan.different)
        buf_printf(&plan.script, "update delete %s %s\n", record, options->type);
    if (plan.different && !none)
        buf_printf(&plan.script, "update add %s %u %s %s%s\n", record, options->ttl, options->type,
                   goal->value, strcmp(options->type, "CNAME") == 0 ? "." : "");
    buf_add_text(&plan.script, "send\n");
    return plan;
}
