#include <signal.h>

#include "controller/base/check.h"
#include "controller/loop/fetch.h"
#include "controller/loop/fetch_transfer.h"

static enum err_code
run(const struct fetch_trust *trust, const struct fetch_request *request, fetch_chunk *chunk,
    void *data, struct fetch_reply *ret, struct err *err)
{
    ASSERT(ret->handle == NULL && ret->body.data == NULL);
    CLEANUP(fetch_trusted_done) struct fetch_trusted trusted = { 0 };
    CLEANUP(fetch_transfer_done) struct transfer transfer = { 0 };
    enum err_code code = fetch_trusted_copy(trust, &trusted, err);
    if (code != ERR_NONE)
        return code;
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    (void)signal(SIGPIPE, SIG_IGN);
    code = fetch_transfer_init(&transfer, &trusted, request, err);
    if (code != ERR_NONE)
        return code;
    if (chunk != NULL) {
        unsigned silence_ms = request->timeout_ms != 0 ? request->timeout_ms : FETCH_TIMEOUT_MS;
        transfer.chunk = chunk;
        transfer.chunk_data = data;
        CURL *easy = transfer.easy;
        ASSERT(curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 0L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)0) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(silence_ms + 999) / 1000) ==
                   CURLE_OK);
    }
    code = fetch_transfer_end(&transfer, curl_easy_perform(transfer.easy), err);
    if (code != ERR_NONE)
        return code;
    /* the headers of the reply live in the handle, which must not write here any more */
    ASSERT(curl_easy_setopt(transfer.easy, CURLOPT_ERRORBUFFER, NULL) == CURLE_OK);
    *ret = transfer.reply;
    transfer.reply = (struct fetch_reply){ 0 };
    transfer.easy = NULL;
    return ERR_NONE;
}

enum err_code
fetch_once(const struct fetch_trust *trust, const struct fetch_request *request,
           struct fetch_reply *ret, struct err *err)
{
    return run(trust, request, NULL, NULL, ret, err);
}

enum err_code
fetch_stream(const struct fetch_trust *trust, const struct fetch_request *request,
             fetch_chunk *chunk, void *data, struct fetch_reply *ret, struct err *err)
{
    ASSERT(chunk != NULL);
    return run(trust, request, chunk, data, ret, err);
}
