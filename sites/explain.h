/*
 * explain.h -- why a key has its value at a node, now and if a site were promoted.
 *
 * explain_key() of the view that explain_promoted() makes is, byte for byte, what explain_key()
 * says after that promotion: nothing in the answer depends on time or on who asks. For a
 * connector the answer includes which server is in use.
 *
 *   {"key","scope","type","unit","reload","text","node","site",
 *    "value","from":"site"|null,"known":true,"refused":false,
 *    "layers":[{"layer","site","value","revision","author","at","used"}],   narrowest first
 *    "connector":{"name","role","site_primary","in_use","would_use","url","use_alternate_server",
 *                 "credential":{"name":"secret/pam-main","there":true},      where the server has
 * one "hint"}}
 */
#pragma once

#include <json-c/json.h>

#include "controller/base/err.h"
#include "sites/effective.h"
#include "sites/setting.h"

/* One node, as the roles are now or would be. */
struct explain_view {
    const char *node; /* borrowed */
    const char *site; /* borrowed */
    bool site_primary;
    bool single_site;
    enum effective_role role;
};

/* The same node after 'candidate' of 'site' has become the primary: it is primary, a primary
 * before is standby, a fenced one stays fenced. */
struct explain_view explain_promoted(const struct explain_view *now, const char *site,
                                     const char *candidate);

/* '*ret' is the caller's. 'source' is that node's. Fails as setting_check_key(),
 * and with "key_system" for a system key. */
MUST_CHECK enum err_code explain_key(const char *key, const struct explain_view *view,
                                     const struct setting_source *source, struct json_object **ret,
                                     struct err *err);

/* The choice at the node for one connector, from its effective document and flag. '*ret_value' is
 * the effective document (setting_value_done() it); a document that is not set or not valid has no
 * server. */
struct effective_choice explain_connector(const char *name, const struct explain_view *view,
                                          const struct setting_source *source,
                                          struct setting_value *ret_value);
