#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/postgres/managed.h"
#include "controller/postgres/managed_inner.h"

#define PROGRAMS_PATTERN "/usr/lib/postgresql/*/bin/postgres"
#define INITDB_MS_MAX    180000
#define TAIL_SIZE        8192
#define USER_NAME_SIZE   64

struct owner {
    uid_t uid; /* (uid_t)-1: as we are, nothing to change */
    gid_t gid;
};

static char *
path_of(const struct managed_config *config, const char *name)
{
    return str_printf("%s/%s", config->folder, name);
}

/* ---- programs and users ---- */

enum err_code
managed_find_programs(char **ret_folder, unsigned *ret_major, struct err *err)
{
    glob_t found = { 0 };
    uint64_t best = 0;
    if (glob(PROGRAMS_PATTERN, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            uint64_t major = 0;
            const char *number = found.gl_pathv[i] + strlen("/usr/lib/postgresql/");
            CLEANUP(freep) char *text = str_printf("%.*s", (int)strcspn(number, "/"), number);
            if (str_to_u64(text, MANAGED_MAJOR_MIN, MANAGED_MAJOR_MAX, &major) && major > best)
                best = major;
        }
    }
    globfree(&found);
    if (best == 0) {
        (void)err_set(err, ERR_NOT_FOUND, "postgresql_not_found",
                      "no PostgreSQL %d to %d is installed (" PROGRAMS_PATTERN ")",
                      MANAGED_MAJOR_MIN, MANAGED_MAJOR_MAX);
        return err_mend(err, "apt-get install postgresql-%d", MANAGED_MAJOR_MIN);
    }
    *ret_folder = str_printf("/usr/lib/postgresql/%u/bin", (unsigned)best);
    *ret_major = (unsigned)best;
    return ERR_NONE;
}

/* The major version that made the data; programs of another one refuse it. */
static enum err_code
programs_for_data(const struct managed_config *config, char **ret_folder, struct err *err)
{
    CLEANUP(freep) char *path = path_of(config, "data/PG_VERSION");
    CLEANUP(buf_done) struct buf text = { 0 };
    enum err_code code = file_read(path, 64, &text, err);
    if (code != ERR_NONE)
        return err_wrap(err, "no PostgreSQL data");
    uint64_t major = 0;
    text.data[strcspn(text.data, "\n")] = '\0';
    if (!str_to_u64(text.data, 1, 1000, &major))
        return err_set(err, ERR_INVALID, "postgresql_data", "'%s' holds no version", path);
    CLEANUP(freep) char *folder = str_printf("/usr/lib/postgresql/%u/bin", (unsigned)major);
    CLEANUP(freep) char *program = str_printf("%s/postgres", folder);
    if (!file_exists(program)) {
        (void)err_set(err, ERR_NOT_FOUND, "postgresql_not_found",
                      "the data is of PostgreSQL %u, which is not installed", (unsigned)major);
        return err_mend(err, "apt-get install postgresql-%u", (unsigned)major);
    }
    *ret_folder = take_ptr(&folder);
    return ERR_NONE;
}

static enum err_code
find_owner(const struct managed_config *config, struct owner *ret_owner, struct err *err)
{
    struct owner owner = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
    if (config->run_as != NULL) {
        char room[4096];
        struct passwd entry;
        struct passwd *found = NULL;
        if (getpwnam_r(config->run_as, &entry, room, sizeof room, &found) != 0 || found == NULL) {
            (void)err_set(err, ERR_NOT_FOUND, "user_not_found", "no user '%s' on this host",
                          config->run_as);
            return err_mend(err, "create it, or choose another with --run-as");
        }
        if (entry.pw_uid != geteuid())
            owner = (struct owner){ .uid = entry.pw_uid, .gid = entry.pw_gid };
    }
    *ret_owner = owner;
    return ERR_NONE;
}

enum err_code
managed_check_user(const struct managed_config *config, struct err *err)
{
    struct owner owner;
    enum err_code code = find_owner(config, &owner, err);
    if (code != ERR_NONE)
        return code;
    bool same = owner.uid == (uid_t)-1;
    if ((same ? geteuid() : owner.uid) == 0) {
        (void)err_set(err, ERR_DENIED, "postgresql_as_root", "PostgreSQL does not run as root");
        return err_mend(err, "name another user: --run-as postgres");
    }
    if (!same && geteuid() != 0) {
        (void)err_set(err, ERR_DENIED, "not_root", "cannot run PostgreSQL as '%s'", config->run_as);
        return err_mend(err, "run as root or as that user");
    }
    return ERR_NONE;
}

static void
our_name(char name[USER_NAME_SIZE])
{
    char room[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(geteuid(), &entry, room, sizeof room, &found) != 0 || found == NULL ||
        !str_copy(name, USER_NAME_SIZE, entry.pw_name))
        name[0] = '\0';
}

/* ---- configuration ---- */

static void
add_setting(struct buf *text, const char *name, const char *value)
{
    buf_printf(text, "%s = '", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_add(text, value, 1); /* doubled */
        buf_add(text, value, 1);
    }
    buf_add_text(text, "'\n");
}

/* The operator may tune these in conf/custom.conf. */
static const char *const soft_settings[][2] = {
    { "max_connections", "60" },
    { "shared_buffers", "32MB" },
    { "max_wal_size", "512MB" },
    { "min_wal_size", "64MB" },
    { "checkpoint_timeout", "5min" },
    { "wal_sender_timeout", "5s" },
    { "wal_receiver_timeout", "5s" },
    { "tcp_user_timeout", "3000" },
    { "tcp_keepalives_idle", "2" },
    { "tcp_keepalives_interval", "1" },
    { "tcp_keepalives_count", "3" },
    { "max_slot_wal_keep_size", "2GB" },
    { "idle_in_transaction_session_timeout", "60s" },
    { "authentication_timeout", "10s" },
    { "log_line_prefix", "%m [%p] %q%u@%d %a " },
    { "log_checkpoints", "off" },
    { "log_lock_waits", "on" },
    { "timezone", "UTC" },
};

/* Nobody may: replication, durability and the fence rest on them. Written last, so they win. */
static const char *const hard_settings[][2] = {
    { "wal_level", "logical" },
    { "max_wal_senders", "25" },
    { "max_replication_slots", "45" },
    { "max_logical_replication_workers", "32" },
    { "max_worker_processes", "40" },
    { "wal_retrieve_retry_interval", "50ms" },
    { "synchronous_commit", "local" },
    { "fsync", "on" },
    { "full_page_writes", "on" },
    { "restart_after_crash", "off" }, /* M3 */
    { "jit", "off" },                 /* the service's sandbox forbids writable code */
    { "lc_messages", "C" },
    { "password_encryption", "scram-sha-256" },
    { "ssl", "on" },
    { "ssl_min_protocol_version", "TLSv1.2" },
    { "logging_collector", "on" },
    { "log_filename", "postgresql-%a.log" }, /* seven files, one a weekday */
    { "log_file_mode", "0600" },
    { "log_rotation_age", "1d" },
    { "log_rotation_size", "0" },
    { "log_truncate_on_rotation", "on" },
    { "log_timezone", "UTC" },
};

/* After those: a witness sends nothing to anybody, and a commit of it is a promise (W3). */
static const char *const witness_settings[][2] = {
    { "wal_level", "minimal" },          { "max_wal_senders", "0" },
    { "max_replication_slots", "0" },    { "max_logical_replication_workers", "0" },
    { "max_worker_processes", "4" },     { "synchronous_commit", "on" },
    { "synchronous_standby_names", "" },
};

static void
add_path(struct buf *text, const struct managed_config *config, const char *name, const char *file)
{
    CLEANUP(freep) char *path = path_of(config, file);
    add_setting(text, name, path);
}

/* One call for the file system in place of one for each of a thousand files: a server that was
 * killed is back a second sooner. Before Linux 5.8 that call hides what could not be written. */
static bool
syncfs_tells_errors(void)
{
    struct utsname name;
    unsigned major;
    unsigned minor;
    return uname(&name) == 0 && strcmp(name.sysname, "Linux") == 0 &&
           sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 8));
}

static void
make_conf(const struct managed_config *config, struct buf *text)
{
    char port[8];
    buf_add_text(text, "# Written by batond before each start. Your own settings go to"
                       " custom.conf beside this file.\n");
    for (size_t i = 0; i < ARRAY_COUNT(soft_settings); i++)
        add_setting(text, soft_settings[i][0], soft_settings[i][1]);
    if (syncfs_tells_errors())
        add_setting(text, "recovery_init_sync_method", "syncfs");
    buf_add_text(text, "include_if_exists = 'tuned.conf'\ninclude_if_exists = 'custom.conf'\n");
    for (size_t i = 0; i < ARRAY_COUNT(hard_settings); i++)
        add_setting(text, hard_settings[i][0], hard_settings[i][1]);
    for (size_t i = 0; config->witness && i < ARRAY_COUNT(witness_settings); i++)
        add_setting(text, witness_settings[i][0], witness_settings[i][1]);
    (void)snprintf(port, sizeof port, "%u", config->port);
    add_setting(text, "listen_addresses", config->listen);
    add_setting(text, "port", port);
    add_setting(text, "unix_socket_directories", config->socket);
    add_path(text, config, "hba_file", "conf/pg_hba.conf");
    add_path(text, config, "ident_file", "conf/pg_ident.conf");
    add_path(text, config, "ssl_cert_file", "tls/server.crt");
    add_path(text, config, "ssl_key_file", "tls/server.key");
    add_path(text, config, "ssl_ca_file", "tls/ca.crt");
    add_path(text, config, "log_directory", "log");
}

/* Peers come by certificate, each as its own role; people who write SQL by password over TLS;
 * batond and the owner by the socket. A line that is not here is a refusal. */
static const char hba_text[] =
    "# Written by batond before each start.\n"
    "local   all                  " MANAGED_OWNER ",baton              peer map=baton_local\n"
    "hostssl " MANAGED_DATABASE " +baton_peers                all  cert map=baton_peer\n"
    "hostssl " MANAGED_DATABASE " +baton_writer,+baton_reader all  scram-sha-256\n";

/* The function that they call asks the certificate which cluster and which node it is. */
static const char witness_hba_text[] =
    "# Written by baton witness before each start.\n"
    "local   all " MANAGED_OWNER " peer map=baton_local\n"
    "hostssl " MANAGED_DATABASE " " MANAGED_WITNESS " all cert map=baton_witness\n";

static void
make_ident(const struct managed_config *config, struct buf *text)
{
    char name[USER_NAME_SIZE];
    our_name(name);
    const char *users[] = { "root", name, config->run_as };
    buf_add_text(text, "# Written by batond before each start.\n");
    for (size_t i = 0; i < ARRAY_COUNT(users); i++) {
        if (users[i] == NULL || users[i][0] == '\0' || (i == 1 && strcmp(name, "root") == 0))
            continue;
        buf_printf(text, "baton_local \"%s\" %s\nbaton_local \"%s\" baton\n", users[i],
                   MANAGED_OWNER, users[i]);
    }
    buf_add_text(text, config->witness ? "baton_witness /^ " MANAGED_WITNESS "\n"
                                       : "baton_peer /^(.*)$ baton_n_\\1\n");
}

enum err_code
managed_write_config(const struct managed_config *config, struct err *err)
{
    struct owner owner;
    enum err_code code = find_owner(config, &owner, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(buf_done) struct buf conf = { 0 };
    CLEANUP(buf_done) struct buf ident = { 0 };
    make_conf(config, &conf);
    make_ident(config, &ident);
    const struct {
        const char *name;
        const char *text;
    } files[] = {
        { "conf/postgresql.conf", buf_text(&conf) },
        { "conf/pg_hba.conf", config->witness ? witness_hba_text : hba_text },
        { "conf/pg_ident.conf", buf_text(&ident) },
    };
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        CLEANUP(freep) char *path = path_of(config, files[i].name);
        code = file_write_atomic(path, files[i].text, strlen(files[i].text), 0600, owner.uid,
                                 owner.gid, err);
        if (code != ERR_NONE)
            return code;
    }
    return ERR_NONE;
}

static void
add_number(struct buf *text, const char *name, uint64_t number, const char *unit)
{
    CLEANUP(freep) char *value = str_printf("%llu%s", (unsigned long long)number, unit);
    if (number != 0)
        add_setting(text, name, value);
}

enum err_code
managed_tune(const struct managed_config *config, const struct managed_tune *tune,
             bool *ret_changed, struct err *err)
{
    struct owner owner;
    CLEANUP(freep) char *path = path_of(config, "conf/tuned.conf");
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(buf_done) struct buf before = { 0 };
    enum err_code code = find_owner(config, &owner, err);
    if (code != ERR_NONE)
        return code;
    buf_add_text(&text, "# Written by batond from the settings pg.* of this node.\n");
    add_number(&text, "shared_buffers", tune->shared_buffers_mb, "MB");
    add_number(&text, "max_connections", tune->connections_max, "");
    add_number(&text, "max_slot_wal_keep_size", tune->slot_wal_keep_mb, "MB");
    bool same = file_read(path, TAIL_SIZE, &before, NULL) == ERR_NONE &&
                strcmp(buf_text(&before), buf_text(&text)) == 0;
    if (!same)
        code = file_write_atomic(path, text.data, text.size, 0600, owner.uid, owner.gid, err);
    if (code == ERR_NONE && ret_changed != NULL)
        *ret_changed = !same;
    return code;
}

enum err_code
managed_install_tls(const struct managed_config *config, const char *ca_certificate,
                    const char *certificate, const char *key, struct err *err)
{
    struct owner owner;
    enum err_code code = find_owner(config, &owner, err);
    if (code != ERR_NONE)
        return code;
    /* The key last: a crash in between leaves a pair that does not fit, which the server refuses
     * to load and goes on with the old one; batond writes all three again at its start. */
    const struct {
        const char *name;
        const char *text;
        mode_t mode;
    } files[] = {
        { "tls/ca.crt", ca_certificate, 0644 },
        { "tls/server.crt", certificate, 0644 },
        { "tls/server.key", key, 0600 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        CLEANUP(freep) char *path = path_of(config, files[i].name);
        code = file_write_atomic(path, files[i].text, strlen(files[i].text), files[i].mode,
                                 owner.uid, owner.gid, err);
        if (code != ERR_NONE)
            return code;
    }
    return ERR_NONE;
}

/* ---- making ---- */

static enum err_code
check_socket(const struct managed_config *config, struct err *err)
{
    CLEANUP(freep) char *path = str_printf("%s/.s.PGSQL.%u", config->socket, config->port);
    if (strlen(path) <= MANAGED_SOCKET_SIZE_MAX)
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "path_too_long",
                  "socket path '%s' has %zu bytes, at most %d work", path, strlen(path),
                  MANAGED_SOCKET_SIZE_MAX);
    return err_mend(err, "choose a data directory with a shorter path");
}

/* The socket's folder may lie in /tmp, where another could have been faster. */
static enum err_code
make_socket_folder(const struct managed_config *config, const struct owner *owner, struct err *err)
{
    struct stat status;
    enum err_code code = check_socket(config, err);
    if (code == ERR_NONE)
        code = file_make_folder(config->socket, 0700, owner->uid, owner->gid, err);
    if (code != ERR_NONE)
        return code;
    uid_t uid = owner->uid == (uid_t)-1 ? geteuid() : owner->uid;
    if (lstat(config->socket, &status) != 0)
        return err_errno(err, errno, "look at '%s'", config->socket);
    if (!S_ISDIR(status.st_mode) || status.st_uid != uid)
        return err_set(err, ERR_DENIED, "socket_folder",
                       "socket folder '%s' belongs to another user", config->socket);
    return ERR_NONE;
}

static enum err_code
run_initdb(const struct managed_config *config, struct err *err)
{
    CLEANUP(freep) char *programs = NULL;
    unsigned major;
    enum err_code code = managed_find_programs(&programs, &major, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(freep) char *program = str_printf("%s/initdb", programs);
    CLEANUP(freep) char *data = path_of(config, "data");
    const char *argv[] = { program,
                           "-D",
                           data,
                           "-U",
                           MANAGED_OWNER,
                           "--encoding=UTF8",
                           "--locale=C",
                           "--data-checksums",
                           "--auth=reject",
                           "--no-instructions",
                           NULL };
    CLEANUP(freep) char *output = NULL;
    struct child_options options = {
        .argv = argv, .run_as = config->run_as, .folder = data, .deadline_ms = INITDB_MS_MAX
    };
    code = child_run(&options, &output, err);
    if (code == ERR_DENIED)
        return err_mend(err, "let user '%s' pass through each folder above '%s' (chmod o+x)",
                        config->run_as == NULL ? "ourselves" : config->run_as, data);
    return code;
}

enum err_code
managed_make(const struct managed_config *config, struct err *err)
{
    static const struct {
        const char *name;
        bool theirs;
    } folders[] = {
        { "", false }, { "/conf", false }, { "/tls", false }, { "/data", true }, { "/log", true },
    };
    struct owner owner;
    enum err_code code = managed_check_user(config, err);
    if (code == ERR_NONE)
        code = check_socket(config, err);
    if (code == ERR_NONE)
        code = find_owner(config, &owner, err);
    if (code != ERR_NONE)
        return code;
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        CLEANUP(freep) char *path = str_printf("%s%s", config->folder, folders[i].name);
        bool theirs = folders[i].theirs;
        code =
            file_make_folder(path, theirs || owner.uid == (uid_t)-1 ? 0700 : 0711,
                             theirs ? owner.uid : (uid_t)-1, theirs ? owner.gid : (gid_t)-1, err);
        if (code != ERR_NONE)
            return code;
    }
    return run_initdb(config, err);
}

/* ---- running ---- */

void
managed_command_done(struct managed_command *command)
{
    for (size_t i = 0; i < ARRAY_COUNT(command->texts); i++)
        freep(&command->texts[i]);
}

enum err_code
managed_command_init(struct managed_command *command, const struct managed_config *config,
                     struct err *err)
{
    memset(command, 0, sizeof *command);
    CLEANUP(freep) char *programs = NULL;
    enum err_code code = programs_for_data(config, &programs, err);
    if (code != ERR_NONE)
        return code;
    command->texts[0] = str_printf("%s/postgres", programs);
    command->texts[1] = path_of(config, "data");
    command->texts[2] = str_printf("config_file=%s/conf/postgresql.conf", config->folder);
    command->texts[3] = path_of(config, "log/start.log");
    command->argv[0] = command->texts[0];
    command->argv[1] = "-D";
    command->argv[2] = command->texts[1];
    command->argv[3] = "-c";
    command->argv[4] = command->texts[2];
    command->options = (struct child_options){
        .argv = command->argv,
        .folder = command->texts[1],
        .run_as = config->run_as,
        .death_signal = SIGINT, /* fast shutdown when batond is killed */
        .output_path = command->texts[3],
    };
    return ERR_NONE;
}

enum err_code
managed_prepare(const struct managed_config *config, struct err *err)
{
    struct owner owner;
    enum err_code code = managed_check_user(config, err);
    if (code == ERR_NONE)
        code = find_owner(config, &owner, err);
    if (code == ERR_NONE)
        code = make_socket_folder(config, &owner, err);
    if (code == ERR_NONE)
        code = managed_write_config(config, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(freep) char *start_log = path_of(config, "log/start.log");
    if (unlink(start_log) != 0 && errno != ENOENT)
        return err_errno(err, errno, "remove '%s'", start_log);
    return ERR_NONE;
}

bool
managed_read_pid(const struct managed_config *config, pid_t *ret_pid, bool *ret_ready)
{
    /* postmaster.pid: pid, data folder, start time, port, socket folder, address, key, status. */
    CLEANUP(freep) char *path = path_of(config, "data/postmaster.pid");
    CLEANUP(buf_done) struct buf text = { 0 };
    uint64_t pid = 0;
    if (file_read(path, TAIL_SIZE, &text, NULL) != ERR_NONE)
        return false;
    char *line = text.data;
    bool ready = false;
    for (unsigned number = 1; line != NULL && *line != '\0'; number++) {
        size_t length = strcspn(line, "\n");
        char *next = line[length] == '\0' ? NULL : line + length + 1;
        line[length] = '\0';
        if (number == 1 && !str_to_u64(line, 2, INT32_MAX, &pid))
            return false;
        if (number == 8)
            ready = str_starts(line, "ready");
        line = next;
    }
    if (pid == 0)
        return false;
    *ret_pid = (pid_t)pid;
    *ret_ready = ready;
    return true;
}

/* The last line of the file's end that tells of an end. */
static bool
last_words(const char *path, char *to, size_t to_size)
{
    static const char *const marks[] = { "FATAL:  ", "PANIC:  ", "LOG:  server process (PID" };
    char text[TAIL_SIZE + 1];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return false;
    off_t end = lseek(file, 0, SEEK_END);
    (void)lseek(file, end > TAIL_SIZE ? end - TAIL_SIZE : 0, SEEK_SET);
    ssize_t got = read(file, text, TAIL_SIZE);
    (void)close(file);
    bool found = false;
    text[got > 0 ? got : 0] = '\0';
    for (char *line = text, *next = NULL; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
            const char *words = strstr(line, marks[i]);
            if (words == NULL)
                continue;
            (void)snprintf(to, to_size, "%s", words + strcspn(words, " ") + 2);
            found = true;
        }
    }
    return found;
}

enum err_code
managed_ended(const struct managed_config *config, bool exited, int status, struct err *err)
{
    char reason[ERR_TEXT_SIZE / 2];
    char day[8];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm parts;
    (void)gmtime_r(&now, &parts);
    (void)strftime(day, sizeof day, "%a", &parts);
    CLEANUP(freep) char *start = path_of(config, "log/start.log");
    CLEANUP(freep) char *today = str_printf("%s/log/postgresql-%s.log", config->folder, day);
    const char *how = exited ? "exit code" : "signal";
    if (last_words(start, reason, sizeof reason) || last_words(today, reason, sizeof reason))
        return err_set(err, ERR_UNAVAILABLE, "postgresql_ended", "PostgreSQL ended (%s %d): %s",
                       how, status, reason);
    (void)err_set(err, ERR_UNAVAILABLE, "postgresql_ended", "PostgreSQL ended (%s %d)", how,
                  status);
    return err_mend(err, "see '%s' and '%s'", today, start);
}

/* ---- blocking start and stop ---- */

static void
pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

/* Waits until what somebody else left is gone. */
static enum err_code
wait_for_old(const struct managed_config *config, struct err *err)
{
    uint64_t started = clock_now_ms();
    enum managed_old_kind told = MANAGED_OLD_GONE;
    for (;;) {
        struct managed_old old = managed_find_old(config);
        uint64_t waited = clock_now_ms() - started;
        if (old.kind == MANAGED_OLD_GONE)
            return ERR_NONE;
        if (waited >= MANAGED_OLD_PATIENCE_MS && told != old.kind) {
            managed_end_old(config, &old);
            told = old.kind;
        }
        if (waited >= MANAGED_OLD_MS_MAX)
            return managed_old_err(config, &old, err);
        pause_ms(MANAGED_POLL_MS);
    }
}

static enum err_code
wait_until_ready(const struct managed_config *config, pid_t pid, struct err *err)
{
    uint64_t until = clock_now_ms() + MANAGED_READY_MS_MAX;
    for (;;) {
        int status = 0;
        pid_t said = 0;
        bool ready = false;
        if (waitpid(pid, &status, WNOHANG) == pid)
            return managed_ended(config, WIFEXITED(status),
                                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), err);
        if (managed_read_pid(config, &said, &ready) && said == pid && ready)
            return ERR_NONE;
        if (clock_now_ms() >= until) {
            struct err late;
            if (managed_stop_blocking(config, pid, &late) != ERR_NONE)
                log_warn("postgres.stop", "reason=\"%s\"", late.text);
            return err_set(err, ERR_TIMEOUT, "postgresql_slow",
                           "PostgreSQL was not ready after %d ms", MANAGED_READY_MS_MAX);
        }
        pause_ms(MANAGED_POLL_MS);
    }
}

enum err_code
managed_start_blocking(const struct managed_config *config, pid_t *ret_pid, struct err *err)
{
    struct managed_command command;
    pid_t pid = 0;
    enum err_code code = wait_for_old(config, err);
    if (code == ERR_NONE)
        code = managed_prepare(config, err);
    if (code != ERR_NONE)
        return code;
    code = managed_command_init(&command, config, err);
    if (code == ERR_NONE)
        code = child_spawn(&command.options, &pid, err);
    managed_command_done(&command);
    if (code == ERR_NONE)
        code = wait_until_ready(config, pid, err);
    if (code == ERR_NONE)
        *ret_pid = pid;
    return code;
}

enum err_code
managed_stop_blocking(const struct managed_config *config, pid_t pid, struct err *err)
{
    static const struct {
        int signal;
        uint64_t ms;
    } steps[] = { { SIGINT, MANAGED_STOP_MS_MAX }, { SIGQUIT, 10000 }, { SIGKILL, 10000 } };
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        uint64_t until = clock_now_ms() + steps[i].ms;
        (void)kill(pid, steps[i].signal);
        while (clock_now_ms() < until) {
            int status = 0;
            if (waitpid(pid, &status, WNOHANG) != pid) {
                pause_ms(MANAGED_POLL_MS);
                continue;
            }
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return ERR_NONE;
            return managed_ended(config, WIFEXITED(status),
                                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), err);
        }
    }
    return err_set(err, ERR_TIMEOUT, "postgresql_stuck", "PostgreSQL (pid %d) does not end",
                   (int)pid);
}
