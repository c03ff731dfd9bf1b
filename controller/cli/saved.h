/*
 * saved.h -- logins that outlive the command: ~/.config/baton/credentials.json, mode 0600.
 *
 *     {"version":1,"default":URL,
 *      "servers":{URL:{"user","role","token","expires_at","ca":PEM}}}
 *
 * 'ca' is the CA that the person vouched for at the login; nobody else is ever believed.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "controller/base/err.h"

struct saved_login {
    const char *user;
    const char *role;
    const char *token;
    const char *expires_at;
    const char *ca; /* PEM */
};

/* The file's path ($XDG_CONFIG_HOME or $HOME/.config); the caller's. ERR_INVALID without either. */
MUST_CHECK enum err_code saved_path(char **ret_path, struct err *err);
/* '*ret' is the caller's; an empty document when there is no file. ERR_DENIED slug
 * "credentials_open": others may read the file, so it is not used. */
MUST_CHECK enum err_code saved_load(const char *path, struct json_object **ret, struct err *err);
/* Makes the folder (0700) when it is missing. */
MUST_CHECK enum err_code saved_store(const char *path, struct json_object *document,
                                     struct err *err);

/* Borrowed from the document; false when there is no login for the URL. */
MUST_CHECK bool saved_find(struct json_object *document, const char *url, struct saved_login *ret);
/* The URL of the last login; NULL when there is none. */
const char *saved_default(struct json_object *document);
/* Copies; the URL becomes the default. */
void saved_put(struct json_object *document, const char *url, const struct saved_login *login);
/* False when there was none. */
bool saved_remove(struct json_object *document, const char *url);
