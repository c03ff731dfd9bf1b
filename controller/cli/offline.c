#include "controller/cli/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/home.h"
#include "controller/loop/cert.h"

#define FREE_MB_MIN    100
#define CERT_DAYS_WARN 30
#define DAY_S          86400

enum state { OK, WARN, FAIL };

static void add(struct json_object *doctor, const char *name, enum state state, const char *mend,
                const char *format, ...) PRINTF_LIKE(5, 6);

static void
add(struct json_object *doctor, const char *name, enum state state, const char *mend,
    const char *format, ...)
{
    static const char *const names[] = { "ok", "warn", "fail" };
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct json_object *check = json_object_new_object();
    json_add_string(check, "name", name);
    json_add_string(check, "state", names[state]);
    json_add_string(check, "text", text);
    json_add_string(check, "mend", mend);
    (void)json_object_array_add(json_get(doctor, "checks"), check);
}

static void
add_err(struct json_object *doctor, const char *name, const struct err *err)
{
    add(doctor, name, FAIL, err->mend, "%s", err->text);
}

static void
check_modes(struct json_object *doctor, const struct home *home)
{
    static const char *const secrets[] = { "ca.key", "node.key" };
    unsigned faults = 0;
    for (size_t i = 0; i < ARRAY_COUNT(secrets); i++) {
        CLEANUP(freep) char *path = home_path(home, secrets[i]);
        CLEANUP(freep) char *mend = str_printf("chmod 400 '%s'", path);
        struct stat about;
        if (stat(path, &about) != 0) {
            add(doctor, "files", FAIL, "restore it from a backup, or join this node anew", "%s: %s",
                path, strerror(errno));
            faults++;
        } else if ((about.st_mode & 077) != 0) {
            add(doctor, "files", FAIL, mend, "%s: others may read it (mode %03o)", path,
                (unsigned)about.st_mode & 0777);
            faults++;
        }
    }
    if (faults == 0)
        add(doctor, "files", OK, "", "keys are there and private");
}

static enum err_code
read_pem(const struct home *home, const char *name, char **ret, struct err *err)
{
    CLEANUP(freep) char *path = home_path(home, name);
    CLEANUP(buf_done) struct buf text = { 0 };
    enum err_code code = file_read(path, CERT_PEM_SIZE_MAX, &text, err);
    if (code == ERR_NONE)
        *ret = buf_take(&text);
    return code;
}

static void
check_certificate(struct json_object *doctor, const struct home *home)
{
    CLEANUP(freep) char *ca = NULL;
    CLEANUP(freep) char *certificate = NULL;
    CLEANUP(cert_secret_freep) char *key = NULL;
    struct cert_info info;
    struct err err;
    int64_t now_s = clock_wall_ms() / 1000;
    enum err_code code = read_pem(home, "ca.crt", &ca, &err);
    if (code == ERR_NONE)
        code = read_pem(home, "node.crt", &certificate, &err);
    if (code == ERR_NONE)
        code = read_pem(home, "node.key", &key, &err);
    if (code == ERR_NONE)
        code = cert_read(certificate, &info, &err);
    if (code == ERR_NONE)
        code = cert_check_key(certificate, key, &err);
    if (code == ERR_NONE)
        code = cert_verify(ca, certificate, now_s, &err);
    if (code != ERR_NONE) {
        add_err(doctor, "certificate", &err);
        return;
    }
    char login[CERT_NAME_SIZE];
    long long days = (long long)(info.not_after_s - now_s) / DAY_S;
    if (strcmp(info.common_name, cert_login(home->node, home->generation, login)) != 0)
        add(doctor, "certificate", FAIL, "was the folder copied from another node? join anew",
            "it is of '%s', and this node is '%s'", info.common_name, login);
    else
        add(doctor, "certificate", days < CERT_DAYS_WARN ? WARN : OK,
            days < CERT_DAYS_WARN ? "a running batond renews it" : "", "valid for %lld more days",
            days);
}

static void
check_process(struct json_object *doctor, const struct home *home)
{
    int lock = -1;
    struct err err;
    CLEANUP(freep) char *mend = str_printf("start it: batond --data-dir %s", home->folder);
    enum err_code code = home_lock(home, &lock, &err);
    if (code == ERR_NONE) {
        (void)close(lock);
        add(doctor, "process", FAIL, mend, "batond is not running");
    } else if (code == ERR_CONFLICT) {
        add(doctor, "process", WARN, "look at its log; it may be starting, or listen elsewhere",
            "it runs and does not answer: %s", err.text);
    } else {
        add_err(doctor, "process", &err);
    }
}

static void
check_space(struct json_object *doctor, const struct home *home)
{
    struct statvfs about;
    if (statvfs(home->folder, &about) != 0) {
        add(doctor, "space", FAIL, "", "%s: %s", home->folder, strerror(errno));
        return;
    }
    unsigned long long free_mb =
        (unsigned long long)about.f_bavail * about.f_frsize / (1024 * 1024);
    add(doctor, "space", free_mb < FREE_MB_MIN ? FAIL : OK,
        free_mb < FREE_MB_MIN ? "make room: PostgreSQL stops on a full disk" : "",
        "%llu MB are free under %s", free_mb, home->folder);
}

static void
check_database(struct json_object *doctor, const struct home *home)
{
    if (!home_managed(home)) {
        add(doctor, "database", WARN, "batond checks it at its start",
            "external; not looked at while batond is stopped");
        return;
    }
    CLEANUP(freep) char *version = home_path(home, "pg/data/PG_VERSION");
    CLEANUP(freep) char *process = home_path(home, "pg/data/postmaster.pid");
    if (!file_exists(version))
        add(doctor, "database", FAIL, "join this node anew; its data is on the other nodes",
            "pg/data is no database cluster");
    else if (file_exists(process))
        add(doctor, "database", WARN, "batond takes it over or cleans it up at its start",
            "its PostgreSQL runs, or was killed (postmaster.pid is there)");
    else
        add(doctor, "database", OK, "", "managed; stopped cleanly");
}

struct json_object *
offline_doctor(const char *folder)
{
    struct json_object *doctor = json_object_new_object();
    CLEANUP(home_freep) struct home *home = NULL;
    struct err err;
    json_add(doctor, "checks", json_object_new_array());
    if (home_load(folder, &home, &err) != ERR_NONE) {
        json_add_string(doctor, "node", "?");
        add_err(doctor, "folder", &err);
        return doctor;
    }
    json_add_string(doctor, "node", home->node);
    add(doctor, "folder", OK, "", "%s: node %s of site %s, cluster %s", home->folder, home->node,
        home->site, home->cluster);
    check_process(doctor, home);
    check_modes(doctor, home);
    check_certificate(doctor, home);
    check_database(doctor, home);
    check_space(doctor, home);
    return doctor;
}
