#include "controller/api/status.h"

#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/view.h"

struct status_page {
    struct core *core; /* borrowed */
    struct buf text;   /* empty: never rendered */
    uint64_t rendered_ms;
    uint64_t cache_generation;
    uint64_t driver_generation;
    uint64_t renders;
};

struct status_page *
status_page_new(struct core *core)
{
    struct status_page *page = mem_zero(1, sizeof *page);
    page->core = core;
    return page;
}

void
status_page_free(struct status_page *page)
{
    if (page == NULL)
        return;
    buf_done(&page->text);
    free(page);
}

const char *
status_page_text(struct status_page *page, uint64_t now_ms, size_t *ret_size)
{
    uint64_t age_ms = now_ms - page->rendered_ms;
    uint64_t cache_now = cache_generation(page->core->cache);
    uint64_t driver_now = driver_generation(page->core->driver);
    bool changed = cache_now != page->cache_generation || driver_now != page->driver_generation;
    if (page->text.size == 0 || age_ms >= STATUS_AGE_MS_MAX ||
        (changed && age_ms >= STATUS_AGE_MS_MIN)) {
        CLEANUP(json_putp) struct json_object *document = view_status(page->core);
        buf_clear(&page->text);
        buf_add_text(&page->text, json_text(document));
        page->rendered_ms = now_ms;
        page->cache_generation = cache_now;
        page->driver_generation = driver_now;
        page->renders++;
    }
    *ret_size = page->text.size;
    return buf_text(&page->text);
}

uint64_t
status_page_renders(const struct status_page *page)
{
    return page->renders;
}

void
serve_status(struct call *call)
{
    size_t size;
    char text[EPOCH_TEXT_SIZE];
    const struct cache_position *position = cache_position(call_cache(call));
    const char *page = status_page_text(call->api->page, clock_now_ms(), &size);
    struct epoch epoch = epoch_make(position->epoch, position->holder);
    if (position->epoch > 0)
        http_add_header(call->request, "Baton-Epoch", epoch_text(&epoch, text));
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)position->revision);
    http_add_header(call->request, "Baton-Revision", text);
    call_reply_text(call, 200, "application/json", page, size);
}
