/* What comes to the gate: headers a line each (an empty one is not there), and its own state. What
 * we sign ourselves is taken, whatever the texts; what is taken holds an epoch, and is taken again.
 */
#include <string.h>

#include "controller/activation/sign.h"
#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/gate.h"
#include "tests/fuzz/fuzz.h"

#define LINES 9
#define NOW_S 1763822576

static const char key_bytes[] = "0123456789abcdef0123456789abcdef";

static enum err_code
check(const struct sign_received *received, const struct sign_key *key)
{
    struct sign_claim claim = { 0 };
    const struct sign_key *with = NULL;
    struct err err;
    enum err_code code = sign_check(received, key, 1, NOW_S, 300, &claim, &with, &err);
    ASSERT(code == ERR_NONE || code == ERR_LOGIN);
    ASSERT(code != ERR_NONE || (with == key && claim.epoch.number > 0 && claim.cluster != NULL));
    return code;
}

/* The request as it came, and one that we make of its words. */
static void
try_headers(char *text)
{
    const char *lines[LINES] = { NULL };
    struct sign_key key;
    for (size_t i = 0; i < LINES && text != NULL; i++) {
        char *line = strsep(&text, "\n");
        lines[i] = line[0] == '\0' ? NULL : line;
    }
    ASSERT(sign_key_make("k1", key_bytes, strlen(key_bytes), &key, NULL) == ERR_NONE);
    struct sign_received received = { lines[0], lines[1], lines[2], lines[3], lines[4],
                                      lines[5], lines[6], lines[7], lines[8] };
    ASSERT(check(&received, &key) == check(&received, &key));

    struct epoch seen;
    (void)!sign_proof_check(&key, lines[8], lines[3], &seen);
    if (lines[0] == NULL || lines[1] == NULL || lines[2] == NULL || lines[4] == NULL)
        return;
    struct sign_message message = {
        .method = lines[0],
        .target = lines[1],
        .claim = { .cluster = lines[2], .node = lines[4], .delivery = lines[5] },
        .body = lines[6],
        .body_size = lines[6] == NULL ? 0 : strlen(lines[6]),
        .now_s = NOW_S,
    };
    if (lines[3] == NULL || !epoch_parse(lines[3], &message.claim.epoch) ||
        message.claim.epoch.number == 0)
        message.claim.epoch = epoch_make(7, "west-1");
    struct sign_headers headers;
    sign_headers(&message, &key, &headers);
    received = (struct sign_received){ lines[0],
                                       lines[1],
                                       sign_headers_get(&headers, "Baton-Cluster"),
                                       sign_headers_get(&headers, "Baton-Epoch"),
                                       sign_headers_get(&headers, "Baton-Node"),
                                       sign_headers_get(&headers, "Baton-Delivery"),
                                       sign_headers_get(&headers, "Content-Digest"),
                                       sign_headers_get(&headers, "Signature-Input"),
                                       sign_headers_get(&headers, "Signature") };
    ASSERT(check(&received, &key) == ERR_NONE);
    sign_headers_done(&headers);
}

static void
try_state(const char *text, size_t size)
{
    struct gate_state state;
    struct gate_state again;
    struct err err;
    if (gate_state_read(text, size, &state, &err) != ERR_NONE)
        return;
    CLEANUP(freep) char *written = gate_state_text(&state);
    ASSERT(gate_state_read(written, strlen(written), &again, &err) == ERR_NONE);
    ASSERT(epoch_equal(&state.highest, &again.highest) &&
           strcmp(state.cluster, again.cluster) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(freep) char *text = mem_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    try_state(text, size);
    try_headers(text);
    return 0;
}
