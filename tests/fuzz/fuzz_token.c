/* A join token that is taken says the same when it is written again. The input is the JSON inside
 * the token, so that the fuzzer need not learn base64; and the whole token text as well. */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/daemon/token.h"
#include "tests/fuzz/fuzz.h"

static void
try_text(const char *text)
{
    struct token token;
    struct token again;
    struct err err;
    if (token_decode(text, &token, &err) != ERR_NONE) {
        ASSERT(err.code == ERR_INVALID && strcmp(err.slug, "token") == 0);
        return;
    }
    ASSERT(str_is_name(token.site) && token.address_count > 0);
    CLEANUP(freep) char *written = token_encode(&token);
    ASSERT(token_decode(written, &again, &err) == ERR_NONE);
    CLEANUP(freep) char *twice = token_encode(&again);
    ASSERT(strcmp(written, twice) == 0);
    token_done(&token);
    token_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(freep) char *body = str_base64url(data, size);
    CLEANUP(freep) char *wrapped = str_printf("%s%s", TOKEN_PREFIX, body);
    try_text(wrapped);
    CLEANUP(freep) char *text = mem_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    try_text(text);
    return 0;
}
