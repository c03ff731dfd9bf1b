#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/loop/pq.h"
#include "controller/loop/pq_inner.h"

#define CONNINFO_SIZE_MAX 4096
#define CONNECT_TIMEOUT_S "10"
#define PORT_DEFAULT      5432
#define HOSTS_MAX         8
#define PQ_ERROR_SIZE     512

void
pq_one_line(const char *message, char *to, size_t to_size)
{
    size_t used = 0;
    bool gap = false;
    for (; message != NULL && *message != '\0'; message++) {
        while (message[0] == '\n' && message[1] == '\t') /* what libpq guesses, after the cause */
            message += 1 + strcspn(message + 1, "\n");
        if (*message == '\0')
            break;
        if (*message == '\n' || *message == '\t' || *message == '\r' || *message == ' ') {
            gap = true;
            continue;
        }
        if (used + 3 > to_size)
            break;
        if (gap && used > 0)
            to[used++] = ' ';
        gap = false;
        to[used++] = *message;
    }
    to[used] = '\0';
}

/* ---- connection strings ---- */

static const char *
parsed_get(const PQconninfoOption *parsed, const char *keyword)
{
    for (; parsed->keyword != NULL; parsed++) {
        if (strcmp(parsed->keyword, keyword) == 0)
            return parsed->val != NULL && parsed->val[0] != '\0' ? parsed->val : NULL;
    }
    return NULL;
}

enum err_code
pq_conninfo_init(struct pq_conninfo *conninfo, const char *text, struct err *err)
{
    /* Used where the text does not say otherwise. GSSAPI may ask a key server, blocking. */
    static const char *const defaults[][2] = {
        { "gssencmode", "disable" },
        { "client_encoding", "UTF8" },
        { "fallback_application_name", "batond" },
        { "connect_timeout", CONNECT_TIMEOUT_S }, /* for blocking use; the loop has its own */
    };
    memset(conninfo, 0, sizeof *conninfo);
    if (strnlen(text, CONNINFO_SIZE_MAX) == CONNINFO_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "database_address", "connection string is too long");
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(text, &message);
    if (parsed == NULL) {
        /* libpq quotes the text at fault, which may be a piece of a password. */
        PQfreemem(message);
        (void)err_set(err, ERR_INVALID, "database_address", "connection string does not parse");
        return err_mend(err, "write it as keyword=value pairs or as postgresql://...");
    }
    if (parsed_get(parsed, "host") == NULL && parsed_get(parsed, "hostaddr") == NULL) {
        PQconninfoFree(parsed);
        (void)err_set(err, ERR_INVALID, "database_address", "connection string names no host");
        return err_mend(err, "add host=NAME, host=/SOCKET/FOLDER or hostaddr=ADDRESS");
    }
    size_t count = 0;
    for (const PQconninfoOption *at = parsed; at->keyword != NULL; at++) {
        if (at->val == NULL || at->val[0] == '\0')
            continue;
        ASSERT(count < PQ_KEYWORDS_MAX - ARRAY_COUNT(defaults));
        conninfo->keywords[count] = at->keyword;
        conninfo->values[count++] = at->val;
    }
    for (size_t i = 0; i < ARRAY_COUNT(defaults); i++) {
        if (parsed_get(parsed, defaults[i][0]) != NULL)
            continue;
        conninfo->keywords[count] = defaults[i][0];
        conninfo->values[count++] = defaults[i][1];
    }
    conninfo->parsed = parsed;
    return ERR_NONE;
}

void
pq_conninfo_done(struct pq_conninfo *conninfo)
{
    PQconninfoFree(conninfo->parsed); /* NULL is fine */
    conninfo->parsed = NULL;
}

const char *
pq_conninfo_get(const struct pq_conninfo *conninfo, const char *keyword)
{
    return parsed_get(conninfo->parsed, keyword);
}

static bool
host_is_numeric(const char *host)
{
    uint8_t address[16];
    return host[0] == '/' || host[0] == '@' || inet_pton(AF_INET, host, address) == 1 ||
           inet_pton(AF_INET6, host, address) == 1;
}

/* Calls for each member of a comma-separated list; false as soon as one says false. */
static bool
each_host(const char *list, bool (*member)(void *data, const char *host), void *data)
{
    char host[256];
    for (;;) {
        size_t length = strcspn(list, ",");
        if (length >= sizeof host)
            return false;
        memcpy(host, list, length);
        host[length] = '\0';
        if (!member(data, host))
            return false;
        if (list[length] == '\0')
            return true;
        list += length + 1;
    }
}

static bool
member_is_numeric(void *data, const char *host)
{
    (void)data;
    return host_is_numeric(host);
}

bool
pq_conninfo_is_numeric(const struct pq_conninfo *conninfo)
{
    if (pq_conninfo_get(conninfo, "hostaddr") != NULL)
        return true;
    return each_host(pq_conninfo_get(conninfo, "host"), member_is_numeric, NULL);
}

struct resolving {
    struct buf addresses; /* comma-separated, empty member for a socket folder */
    size_t count;
    struct err *err; /* borrowed */
};

static bool
resolve_member(void *data, const char *host)
{
    struct resolving *resolving = data;
    char text[INET6_ADDRSTRLEN] = "";
    if (resolving->count++ > 0)
        buf_add_text(&resolving->addresses, ",");
    if (resolving->count > HOSTS_MAX) {
        (void)err_set(resolving->err, ERR_LIMIT, "database_address",
                      "connection string names more than %d hosts", HOSTS_MAX);
        return false;
    }
    if (host[0] == '/' || host[0] == '@')
        return true;
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int number = getaddrinfo(host, NULL, &hints, &found);
    if (number == 0)
        number = getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0,
                             NI_NUMERICHOST);
    if (found != NULL)
        freeaddrinfo(found);
    if (number != 0) {
        (void)err_set(resolving->err, ERR_UNAVAILABLE, "database_address",
                      "look up database host '%s': %s", host, gai_strerror(number));
        return false;
    }
    buf_add_text(&resolving->addresses, text);
    return true;
}

void
pq_add_pair(struct buf *text, const char *keyword, const char *value)
{
    buf_printf(text, "%s%s='", text->size > 0 ? " " : "", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_add_text(text, "\\");
        buf_add(text, value, 1);
    }
    buf_add_text(text, "'");
}

enum err_code
pq_resolve(const char *text, char **ret_conninfo, struct err *err)
{
    struct pq_conninfo conninfo;
    enum err_code code = pq_conninfo_init(&conninfo, text, err);
    if (code != ERR_NONE)
        return code;
    struct err reason = { 0 };
    struct resolving resolving = { .err = &reason };
    bool needed = !pq_conninfo_is_numeric(&conninfo);
    if (needed && !each_host(pq_conninfo_get(&conninfo, "host"), resolve_member, &resolving)) {
        code = err_set(err, reason.code == ERR_NONE ? ERR_INVALID : reason.code, "database_address",
                       "%s", reason.text[0] == '\0' ? "a host name is too long" : reason.text);
    } else {
        struct buf pairs = { 0 };
        for (const PQconninfoOption *at = conninfo.parsed; at->keyword != NULL; at++) {
            if (at->val != NULL && at->val[0] != '\0')
                pq_add_pair(&pairs, at->keyword, at->val);
        }
        if (needed)
            pq_add_pair(&pairs, "hostaddr", buf_text(&resolving.addresses));
        *ret_conninfo = buf_take(&pairs);
    }
    buf_done(&resolving.addresses);
    pq_conninfo_done(&conninfo);
    return code;
}

enum err_code
pq_server_part(const char *text, char **ret_part, char **ret_host, uint16_t *ret_port,
               struct err *err)
{
    static const char *const dropped[] = { "user",    "password",         "passfile",   "dbname",
                                           "options", "application_name", "replication" };
    struct pq_conninfo conninfo;
    enum err_code code = pq_conninfo_init(&conninfo, text, err);
    if (code != ERR_NONE)
        return code;
    struct buf pairs = { 0 };
    for (const PQconninfoOption *at = conninfo.parsed; at->keyword != NULL; at++) {
        bool drop = at->val == NULL || at->val[0] == '\0';
        for (size_t i = 0; i < ARRAY_COUNT(dropped); i++)
            drop = drop || strcmp(at->keyword, dropped[i]) == 0;
        if (!drop)
            pq_add_pair(&pairs, at->keyword, at->val);
    }
    const char *host = pq_conninfo_get(&conninfo, "host");
    const char *port = pq_conninfo_get(&conninfo, "port");
    uint64_t number = PORT_DEFAULT;
    if (host == NULL)
        host = pq_conninfo_get(&conninfo, "hostaddr");
    if (port != NULL && !str_to_u64(port, 1, UINT16_MAX, &number)) {
        code = err_set(err, ERR_INVALID, "database_address",
                       "connection string: the port is no single number");
        buf_done(&pairs);
    } else {
        *ret_part = buf_take(&pairs);
        *ret_host = str_printf("%.*s", (int)strcspn(host, ","), host);
        if (ret_port != NULL)
            *ret_port = (uint16_t)number;
    }
    pq_conninfo_done(&conninfo);
    return code;
}

/* ---- results ---- */

/* The first row whose prefix fits the SQLSTATE decides. BT: raised by our own functions. */
static const struct {
    const char *prefix;
    enum err_code code;
    const char *slug;
} states[] = {
    { "25006", ERR_FENCED, "fenced" },
    { "BT001", ERR_CONFLICT, "gap" },
    { "BT002", ERR_FENCED, "stale_epoch" },
    { "BT003", ERR_FENCED, "promised" },
    { "BT004", ERR_PROTOCOL, "hash_mismatch" },
    { "BT005", ERR_INVALID, "scope" },
    { "BT006", ERR_LIMIT, "limit" },
    { "BT007", ERR_DENIED, "immutable_log" },
    { "BT008", ERR_CONFLICT, "fork" },
    { "BT009", ERR_CONFLICT, "primary" },
    { "BT010", ERR_CONFLICT, "needs_snapshot" },
    { "BT011", ERR_CONFLICT, "not_ours" },
    { "BT", ERR_CONFLICT, "refused" },
    { "42501", ERR_DENIED, "missing_right" },
    { "57014", ERR_TIMEOUT, "database_cancelled" },
    { "40", ERR_CONFLICT, "database_conflict" },
    { "55", ERR_CONFLICT, "database_conflict" },
    { "23", ERR_CONFLICT, "constraint" },
    { "22", ERR_INVALID, "value" },
    { "28", ERR_DENIED, "database_login" },
    { "53100", ERR_UNAVAILABLE, "disk_full" },
    { "53", ERR_UNAVAILABLE, "database_full" },
    { "57P", ERR_UNAVAILABLE, "database_down" },
    { "08", ERR_UNAVAILABLE, "database_down" },
    { "", ERR_INTERNAL, "database" },
};

const char *
pq_sqlstate(const PGresult *result)
{
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state == NULL ? "" : state;
}

enum err_code
pq_result_err(const PGresult *result, struct err *err)
{
    char text[PQ_ERROR_SIZE];
    const char *state = pq_sqlstate(result);
    size_t row = 0;
    while (!str_starts(state, states[row].prefix))
        row++;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *slug = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    pq_one_line(message != NULL ? message : PQresultErrorMessage(result), text, sizeof text);
    if (slug == NULL || str_starts(state, "23")) /* there it is a real constraint's name */
        slug = states[row].slug;
    enum err_code code = err_set(err, states[row].code, slug, "%s",
                                 text[0] != '\0' ? text : "the database gave no reason");
    if (hint != NULL) {
        pq_one_line(hint, text, sizeof text);
        (void)err_mend(err, "%s", text);
    }
    return code;
}

const char *
pq_text(const PGresult *result, int row, const char *column)
{
    int at = result == NULL ? -1 : PQfnumber(result, column);
    if (at < 0 || row < 0 || row >= PQntuples(result) || PQgetisnull(result, row, at))
        return NULL;
    return PQgetvalue(result, row, at);
}

uint64_t
pq_u64(const PGresult *result, int row, const char *column)
{
    uint64_t number = 0;
    const char *text = pq_text(result, row, column);
    return text != NULL && str_to_u64(text, 0, INT64_MAX, &number) ? number : 0;
}

/* ---- blocking ---- */

void
pq_finishp(PGconn **holder)
{
    PQfinish(*holder); /* NULL is fine */
    *holder = NULL;
}

void
pq_clearp(PGresult **holder)
{
    PQclear(*holder); /* NULL is fine */
    *holder = NULL;
}

static void
ignore_notice(void *data, const PGresult *notice)
{
    (void)data, (void)notice;
}

enum err_code
pq_connect_blocking(const char *text, PGconn **ret_connection, struct err *err)
{
    struct pq_conninfo conninfo;
    enum err_code code = pq_conninfo_init(&conninfo, text, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(pq_finishp)
    PGconn *connection = PQconnectdbParams(conninfo.keywords, conninfo.values, 0);
    pq_conninfo_done(&conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        char reason[PQ_ERROR_SIZE];
        pq_one_line(PQerrorMessage(connection), reason, sizeof reason);
        return err_set(err, ERR_UNAVAILABLE, "database_down", "database: %s", reason);
    }
    (void)PQsetNoticeReceiver(connection, ignore_notice, NULL);
    *ret_connection = take_ptr(&connection);
    return ERR_NONE;
}

enum err_code
pq_run_blocking(PGconn *connection, const char *sql, size_t count, const char *const *values,
                PGresult **ret_result, struct err *err)
{
    ASSERT(count <= PQ_VALUES_MAX);
    CLEANUP(pq_clearp)
    PGresult *result = count == 0
                           ? PQexec(connection, sql)
                           : PQexecParams(connection, sql, (int)count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        if (result == NULL || PQstatus(connection) == CONNECTION_BAD) {
            char reason[PQ_ERROR_SIZE];
            pq_one_line(PQerrorMessage(connection), reason, sizeof reason);
            return err_set(err, ERR_UNKNOWN_OUTCOME, "database_lost", "database: %s", reason);
        }
        return pq_result_err(result, err);
    }
    if (ret_result != NULL)
        *ret_result = take_ptr(&result);
    return ERR_NONE;
}
