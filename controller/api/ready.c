/*
 * ready.c -- which sites could do the work if they were promoted now.
 */
#include "controller/api/serve.h"
#include "controller/daemon/view_ready.h"

void
serve_ready(struct call *call)
{
    const char *site;
    bool evidence = false;
    if (!call_query_site(call, &site) || !call_query_bool(call, "evidence", &evidence))
        return;
    struct json_object *document = view_ready_document(call->api->core, site, evidence);
    if (document == NULL)
        call_refuse(call, ERR_NOT_FOUND, "site_not_found", "no site '%.63s'", site);
    else
        call_reply_read(call, document);
}
