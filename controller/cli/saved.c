#include "controller/cli/saved.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define SAVED_SIZE_MAX (1024UL * 1024)
#define SAVED_VERSION  1

enum err_code
saved_path(char **ret_path, struct err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (config != NULL && config[0] == '/') {
        *ret_path = str_printf("%s/baton/credentials.json", config);
    } else if (home != NULL && home[0] == '/') {
        *ret_path = str_printf("%s/.config/baton/credentials.json", home);
    } else {
        (void)err_set(err, ERR_INVALID, "no_home", "no place for saved logins: HOME is not set");
        return err_mend(err, "set HOME, or use --data-dir on a node");
    }
    return ERR_NONE;
}

static struct json_object *
empty(void)
{
    struct json_object *document = json_object_new_object();
    json_add_i64(document, "version", SAVED_VERSION);
    json_add(document, "servers", json_object_new_object());
    return document;
}

enum err_code
saved_load(const char *path, struct json_object **ret, struct err *err)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return err_errno(err, errno, "saved logins '%s'", path);
        *ret = empty();
        return ERR_NONE;
    }
    if ((about.st_mode & 077) != 0) {
        (void)err_set(err, ERR_DENIED, "credentials_open",
                      "saved logins '%s': others may read or write the file (mode %03o)", path,
                      (unsigned)about.st_mode & 0777);
        return err_mend(err, "chmod 600 '%s', then log in again: the tokens may be known", path);
    }
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(json_putp) struct json_object *document = NULL;
    enum err_code code = file_read(path, SAVED_SIZE_MAX, &text, err);
    if (code == ERR_NONE)
        code = json_read(buf_text(&text), text.size, &document, err);
    if (code != ERR_NONE)
        return err_wrap(err, "saved logins '%s'", path);
    int64_t version = 0;
    if (!json_get_i64(document, "version", &version) || version != SAVED_VERSION ||
        !json_object_is_type(json_get(document, "servers"), json_type_object)) {
        (void)err_set(err, ERR_INVALID, "credentials", "saved logins '%s': not a file of ours",
                      path);
        return err_mend(err, "remove it and log in again");
    }
    *ret = take_ptr(&document);
    return ERR_NONE;
}

/* Makes the folder of the file and the one above it. */
static enum err_code
make_folders(const char *path, struct err *err)
{
    CLEANUP(freep) char *folder = str_dup(path);
    *strrchr(folder, '/') = '\0';
    CLEANUP(freep) char *above = str_dup(folder);
    *strrchr(above, '/') = '\0';
    enum err_code code = file_make_folder(above, 0700, (uid_t)-1, (gid_t)-1, err);
    if (code == ERR_NONE)
        code = file_make_folder(folder, 0700, (uid_t)-1, (gid_t)-1, err);
    return code;
}

enum err_code
saved_store(const char *path, struct json_object *document, struct err *err)
{
    enum err_code code = make_folders(path, err);
    const char *text = json_text(document);
    if (code == ERR_NONE)
        code = file_write_atomic(path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
    return code == ERR_NONE ? code : err_wrap(err, "save the login");
}

bool
saved_find(struct json_object *document, const char *url, struct saved_login *ret)
{
    struct json_object *server = json_get(json_get(document, "servers"), url);
    *ret = (struct saved_login){ 0 };
    return json_get_string(server, "user", &ret->user) &&
           json_get_string(server, "role", &ret->role) &&
           json_get_string(server, "token", &ret->token) &&
           json_get_string(server, "expires_at", &ret->expires_at) &&
           json_get_string(server, "ca", &ret->ca);
}

const char *
saved_default(struct json_object *document)
{
    const char *url = NULL;
    return json_get_string(document, "default", &url) ? url : NULL;
}

void
saved_put(struct json_object *document, const char *url, const struct saved_login *login)
{
    struct json_object *server = json_object_new_object();
    json_add_string(server, "user", login->user);
    json_add_string(server, "role", login->role);
    json_add_string(server, "token", login->token);
    json_add_string(server, "expires_at", login->expires_at);
    json_add_string(server, "ca", login->ca);
    json_add(json_get(document, "servers"), url, server);
    json_add_string(document, "default", url);
}

bool
saved_remove(struct json_object *document, const char *url)
{
    struct json_object *servers = json_get(document, "servers");
    bool found = json_object_object_get_ex(servers, url, NULL);
    json_object_object_del(servers, url);
    const char *standard = saved_default(document);
    if (standard != NULL && strcmp(standard, url) == 0)
        json_object_object_del(document, "default");
    return found;
}
