/* What is taken for the frame of a backup asks for a bounded amount of work, lies within the file,
 * and is written again byte for byte; what is taken for its document holds no secret that is not
 * sealed, and nothing later than its head (sites/backup.h). */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "sites/backup.h"
#include "tests/fuzz/fuzz.h"

static void
try_document(const char *text, size_t size)
{
    struct err err;
    struct backup backup;
    CLEANUP(json_putp) struct json_object *document = NULL;
    if (json_read(text, size, &document, &err) != ERR_NONE ||
        backup_read(document, &backup, &err) != ERR_NONE)
        return;
    ASSERT(backup_epoch(&backup) > backup.epoch);
    ASSERT(backup_member(&backup, backup.node) != NULL);
    size_t sealed = 0;
    for (size_t i = 0; i < json_object_array_length(backup.config); i++) {
        const char *key = "";
        ASSERT(json_get_string(json_object_array_get_idx(backup.config, i), "key", &key));
        ASSERT(backup_kind_of(key) != BACKUP_LEFT_OUT);
        sealed += backup_kind_of(key) == BACKUP_SEALED;
    }
    ASSERT(sealed == backup.secret_count + backup.user_count);
    backup_done(&backup);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct backup_frame frame;
    CLEANUP(buf_done) struct buf again = { 0 };
    if (backup_frame_read((const char *)data, size, &frame, &err) != ERR_NONE) {
        try_document((const char *)data, size); /* both parsers are met by any input */
        return 0;
    }
    ASSERT(frame.log_n <= BACKUP_LOG_N_MAX && frame.block == BACKUP_BLOCK &&
           frame.parallel <= BACKUP_PARALLEL_MAX);
    ASSERT(frame.document_at + frame.document_size == frame.proved_size &&
           frame.proved_size < size);
    backup_frame_begin(&frame, &again);
    buf_add(&again, data + frame.document_at, frame.document_size);
    backup_frame_end(frame.mac, &again);
    ASSERT(again.size == size && memcmp(again.data, data, size) == 0);
    try_document((const char *)data + frame.document_at, frame.document_size);
    return 0;
}
