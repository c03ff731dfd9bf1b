#include "controller/base/check.h"
#include "controller/http/server.h"

static const struct {
    const char *slug;
    const char *text;
    int status;
} refusals[HTTP_REFUSAL_COUNT] = { [HTTP_REFUSE_NONE] = { "none", "", 200 },
#define X(symbol, code, name, words)                                                               \
    [HTTP_REFUSE_##symbol] = { .slug = (name), .text = (words), .status = (code) },
                                   HTTP_REFUSAL_TABLE(X)
#undef X
};

const char *
http_refusal_slug(enum http_refusal refusal)
{
    ASSERT((unsigned)refusal < HTTP_REFUSAL_COUNT);
    return refusals[refusal].slug;
}

int
http_refusal_status(enum http_refusal refusal)
{
    ASSERT((unsigned)refusal < HTTP_REFUSAL_COUNT);
    return refusals[refusal].status;
}

const char *
http_refusal_text(enum http_refusal refusal)
{
    ASSERT((unsigned)refusal < HTTP_REFUSAL_COUNT);
    return refusals[refusal].text;
}
