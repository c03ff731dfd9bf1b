#include "sites/explain.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "sites/connector.h"
#include "sites/sealing.h"

struct explain_view
explain_promoted(const struct explain_view *now, const char *site, const char *candidate)
{
    struct explain_view then = *now;
    then.site_primary = strcmp(now->site, site) == 0;
    if (strcmp(now->node, candidate) == 0)
        then.role = EFFECTIVE_ROLE_PRIMARY;
    else if (then.role == EFFECTIVE_ROLE_PRIMARY)
        then.role = EFFECTIVE_ROLE_STANDBY;
    return then;
}

struct effective_choice
explain_connector(const char *name, const struct explain_view *view,
                  const struct setting_source *source, struct setting_value *ret_value)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    (void)snprintf(key, sizeof key, "connector/%s", name);
    setting_resolve(setting_row(SETTING_CONNECTOR), key, source, ret_value);
    struct effective_facts facts = {
        .site_primary = view->site_primary,
        .single_site = view->single_site,
        .role = view->role,
        .main_set = json_get(ret_value->value, "main") != NULL,
        .alternate_set = json_get(ret_value->value, "alternate") != NULL,
        .use_alternate = setting_use_alternate(name, source),
    };
    return effective_decide(&facts);
}

static const char *
url_of(struct json_object *document, enum effective_server server)
{
    const char *url = NULL;
    if (server != EFFECTIVE_MAIN && server != EFFECTIVE_ALTERNATE)
        return NULL;
    bool found = json_get_string(json_get(document, effective_server_name(server)), "url", &url);
    return found ? url : NULL;
}

/* The secret that the server's document names, and whether there is one; NULL: it names none. */
static struct json_object *
credential_json(struct json_object *document, enum effective_server server,
                const struct setting_source *source)
{
    const char *name;
    struct setting_stored stored = { 0 };
    if ((server != EFFECTIVE_MAIN && server != EFFECTIVE_ALTERNATE) ||
        !json_get_string(json_get(document, effective_server_name(server)), "credential", &name))
        return NULL;
    struct json_object *json = json_object_new_object();
    json_add_string(json, "name", name);
    json_add_bool(json, "there",
                  setting_layer_find(setting_row(SETTING_SECRET), name, SETTING_LAYER_CLUSTER,
                                     source, &stored));
    return json;
}

static struct json_object *
connector_json(const char *name, const struct explain_view *view,
               const struct setting_source *source)
{
    CLEANUP(setting_value_done) struct setting_value value;
    struct effective_choice choice = explain_connector(name, view, source, &value);
    struct json_object *json = json_object_new_object();
    json_add_string(json, "name", name);
    json_add_string(json, "role", effective_role_name(view->role));
    json_add_bool(json, "site_primary", view->site_primary);
    if (source->node_known) {
        json_add_string(json, "in_use", effective_server_name(choice.in_use));
        json_add_string(json, "would_use", effective_server_name(choice.would_use));
        json_add_string(json, "url", url_of(value.value, choice.would_use));
        struct json_object *credential = credential_json(value.value, choice.would_use, source);
        if (credential != NULL)
            json_add(json, "credential", credential);
        json_add_bool(json, "use_alternate_server", setting_use_alternate(name, source));
        json_add_string(json, "hint", choice.hint);
    } else {
        json_add_string(json, "in_use", "unknown");
        json_add_string(json, "would_use", "unknown");
        json_add(json, "url", NULL);
        json_add(json, "use_alternate_server", NULL);
        json_add_string(json, "hint", "the local settings of that node are known to it alone");
    }
    return json;
}

/* A secret is shown to nobody. */
static struct json_object *
shown_value(const struct setting_row *row, struct json_object *value)
{
    return row->scope == SETTING_SCOPE_SECRET ? sealing_shown(value) : json_object_get(value);
}

static struct json_object *
layers_json(const char *key, const struct setting_source *source, const struct setting_value *value)
{
    struct json_object *list = json_object_new_array();
    for (enum setting_layer layer = SETTING_LAYER_NODE; layer <= SETTING_LAYER_DEFAULT; layer++) {
        struct setting_stored stored = { 0 };
        struct json_object *shown = NULL;
        if (layer == SETTING_LAYER_DEFAULT) {
            shown = setting_default(value->row);
            if (shown == NULL)
                continue;
        } else if (setting_layer_find(value->row, key, layer, source, &stored)) {
            shown = shown_value(value->row, stored.value);
        } else {
            continue;
        }
        struct json_object *json = json_object_new_object();
        json_add_string(json, "layer", setting_layer_name(layer));
        json_add_string(json, "site", layer == SETTING_LAYER_SITE ? source->site : "");
        json_add(json, "value", shown);
        json_add_u64(json, "revision", stored.revision);
        json_add_string(json, "author", stored.author);
        json_add_string(json, "at", stored.at);
        json_add_bool(json, "used", value->known && value->set && layer == value->layer);
        ASSERT(json_object_array_add(list, json) == 0);
    }
    return list;
}

enum err_code
explain_key(const char *key, const struct explain_view *view, const struct setting_source *source,
            struct json_object **ret, struct err *err)
{
    const struct setting_row *row;
    enum err_code code = setting_check_key(key, &row, err);
    if (code != ERR_NONE)
        return code;
    if (row->scope == SETTING_SCOPE_SYSTEM)
        return err_set(err, ERR_INVALID, "key_system", "key '%s' is Baton's own", row->name);

    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(row, key, source, &value);
    struct json_object *json = json_object_new_object();
    json_add_string(json, "key", key);
    json_add_string(json, "scope", setting_scope_name(row->scope));
    json_add_string(json, "type", setting_type_name(row->type));
    json_add_string(json, "unit", row->unit);
    json_add_string(json, "reload", row->reload == SETTING_RELOAD_LIVE ? "live" : "restart");
    json_add_string(json, "text", row->text);
    json_add_string(json, "node", view->node);
    json_add_string(json, "site", view->site);
    bool shown = value.known && value.set;
    json_add(json, "value", shown ? shown_value(row, value.value) : NULL);
    json_add_string(json, "from", shown ? setting_layer_name(value.layer) : NULL);
    json_add_bool(json, "known", value.known);
    json_add_bool(json, "refused", value.refused);
    json_add(json, "layers", layers_json(key, source, &value));
    char name[CONNECTOR_NAME_SIZE];
    if (connector_name_of_key(key, name))
        json_add(json, "connector", connector_json(name, view, source));
    *ret = json;
    return ERR_NONE;
}
