#include "sites/backup.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/sealing.h"
#include "sites/setting.h"
#include "sites/shape.h"

#define FIRST_WORD     "baton-backup"
#define LAST_WORD      "hmac-sha256 "
#define FIRST_LINE_MAX 128
#define SALT_LENGTH    22 /* base64url of BACKUP_SALT_SIZE bytes */
#define MAC_LENGTH     43
#define LAST_LINE_SIZE (sizeof LAST_WORD - 1 + MAC_LENGTH + 1)
#define VALUE_TEXT_MAX 400000 /* of a sealed value, which is longer than the value */
#define HASH_LENGTH    64

/* ------------------------------------------------------------------ the file */

static enum err_code
form(struct err *err, const char *what)
{
    (void)err_set(err, ERR_INVALID, "backup_form", "it is no backup of Baton: %s", what);
    return err_mend(err, "name a file that baton backup has written");
}

static bool
read_bytes(const char *text, uint8_t *to, size_t size)
{
    uint8_t *bytes = NULL;
    size_t found = 0;
    bool ok = str_from_base64url(text, &bytes, &found) && found == size;
    if (ok)
        memcpy(to, bytes, size);
    free(bytes);
    return ok;
}

/* The next word of a line whose words are parted by one blank; NULL: there is none. */
static const char *
next_word(char **rest)
{
    char *word = *rest;
    if (word == NULL || word[0] == '\0' || word[0] == ' ')
        return NULL;
    char *blank = strchr(word, ' ');
    if (blank != NULL)
        *blank++ = '\0';
    *rest = blank;
    return word;
}

static bool
read_number(char **rest, uint64_t min, uint64_t max, unsigned *ret)
{
    uint64_t number = 0;
    const char *word = next_word(rest);
    if (word == NULL || !str_to_u64(word, min, max, &number))
        return false;
    *ret = (unsigned)number;
    return true;
}

/* B2: nothing is derived from a password before these bounds hold. */
static enum err_code
read_first_line(char *line, struct backup_frame *frame, struct err *err)
{
    unsigned format = 0;
    char *rest = line;
    const char *word = next_word(&rest);
    if (word == NULL || strcmp(word, FIRST_WORD) != 0)
        return form(err, "its first line does not say so");
    if (!read_number(&rest, 1, 1000000, &format))
        return form(err, "its first line says no format");
    if (format > BACKUP_FORMAT) {
        (void)err_set(err, ERR_CONFLICT, "backup_newer",
                      "the backup has format %u, and this program reads up to %d", format,
                      BACKUP_FORMAT);
        return err_mend(err, "install the version of Baton that made it, or a newer one");
    }
    word = next_word(&rest);
    if (word == NULL || strcmp(word, "scrypt") != 0)
        return form(err, "its first line does not say scrypt");
    if (!read_number(&rest, BACKUP_LOG_N_MIN, BACKUP_LOG_N_MAX, &frame->log_n) ||
        !read_number(&rest, BACKUP_BLOCK, BACKUP_BLOCK, &frame->block) ||
        !read_number(&rest, 1, BACKUP_PARALLEL_MAX, &frame->parallel))
        return form(err, "it asks for more work or memory than any backup needs");
    word = next_word(&rest);
    if (word == NULL || rest != NULL || strlen(word) != SALT_LENGTH ||
        !read_bytes(word, frame->salt, sizeof frame->salt))
        return form(err, "its first line has no salt");
    return ERR_NONE;
}

/* Only as it is written here: one spelling for one content. */
static bool
is_own_spelling(const struct backup_frame *frame, const char *bytes, size_t length)
{
    CLEANUP(buf_done) struct buf again = { 0 };
    backup_frame_begin(frame, &again);
    return again.size == length + 1 && memcmp(again.data, bytes, length) == 0;
}

static bool
read_last_line(const char *bytes, size_t size, struct backup_frame *frame)
{
    char text[MAC_LENGTH + 1];
    const char *line = bytes + size - LAST_LINE_SIZE;
    if (line[-1] != '\n' || line[LAST_LINE_SIZE - 1] != '\n' ||
        memcmp(line, LAST_WORD, strlen(LAST_WORD)) != 0)
        return false;
    memcpy(text, line + strlen(LAST_WORD), MAC_LENGTH);
    text[MAC_LENGTH] = '\0';
    return strlen(text) == MAC_LENGTH && read_bytes(text, frame->mac, sizeof frame->mac);
}

enum err_code
backup_frame_read(const char *bytes, size_t size, struct backup_frame *ret_frame, struct err *err)
{
    char line[FIRST_LINE_MAX];
    struct backup_frame frame = { 0 };
    if (size > BACKUP_SIZE_MAX)
        return form(err, "it is too large");
    const char *end = size == 0 ? NULL : memchr(bytes, '\n', size);
    size_t length = end == NULL ? size : (size_t)(end - bytes);
    if (length >= sizeof line || memchr(bytes, '\0', length) != NULL)
        return form(err, "its first line does not say so");
    if (size > 0)
        memcpy(line, bytes, length);
    line[length] = '\0';
    enum err_code code = read_first_line(line, &frame, err);
    if (code == ERR_NONE && !is_own_spelling(&frame, bytes, length))
        code = form(err, "its first line is not spelled as Baton does");
    if (code != ERR_NONE)
        return code;
    if (end == NULL || size < length + 1 + LAST_LINE_SIZE || !read_last_line(bytes, size, &frame)) {
        (void)err_set(err, ERR_INVALID, "backup_cut", "the backup's last line is missing");
        return err_mend(err, "it was cut off on its way, or something was added: copy it again");
    }
    frame.proved_size = size - LAST_LINE_SIZE;
    frame.document_at = length + 1;
    frame.document_size = frame.proved_size - frame.document_at;
    *ret_frame = frame;
    return ERR_NONE;
}

void
backup_frame_begin(const struct backup_frame *frame, struct buf *to)
{
    CLEANUP(freep) char *salt = str_base64url(frame->salt, sizeof frame->salt);
    buf_printf(to, FIRST_WORD " %d scrypt %u %u %u %s\n", BACKUP_FORMAT, frame->log_n, frame->block,
               frame->parallel, salt);
}

void
backup_frame_end(const uint8_t mac[BACKUP_MAC_SIZE], struct buf *to)
{
    CLEANUP(freep) char *text = str_base64url(mac, BACKUP_MAC_SIZE);
    buf_printf(to, LAST_WORD "%s\n", text);
}

/* ------------------------------------------------------------------ the document */

static const char *
name_fault(const char *value)
{
    return str_is_name(value) ? NULL : "must be a name";
}

static const char *
hash_fault(const char *value)
{
    uint8_t bytes[HASH_LENGTH / 2];
    return strlen(value) == HASH_LENGTH && str_from_hex(value, bytes, sizeof bytes)
               ? NULL
               : "must be 64 hexadecimal digits";
}

static const char *
uuid_fault(const char *value)
{
    static const char like[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    bool ok = strlen(value) == strlen(like);
    for (size_t i = 0; ok && like[i] != '\0'; i++)
        ok = like[i] == '-' ? value[i] == '-' : strchr("0123456789abcdef", value[i]) != NULL;
    return ok ? NULL : "must be an id of a cluster";
}

#define NUMBER_MAX (INT64_MAX - BACKUP_EPOCH_STEP)
#define NAME_MEMBER(member)                                                                        \
    {                                                                                              \
        .name = (member), .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63,               \
        .text_fault = name_fault                                                                   \
    }
#define NUMBER_MEMBER(member, least)                                                               \
    {                                                                                              \
        .name = (member), .type = SHAPE_INTEGER, .required = true, .min = (least),                 \
        .max = NUMBER_MAX                                                                          \
    }
#define TEXT_MEMBER(member, least, most)                                                           \
    {                                                                                              \
        .name = (member), .type = SHAPE_TEXT, .required = true, .min = (least), .max = (most)      \
    }

static const struct shape head_members[] = {
    NUMBER_MEMBER("revision", 1),
    NUMBER_MEMBER("epoch", 1),
    NAME_MEMBER("holder"),
    { .name = "hash",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = HASH_LENGTH,
      .text_fault = hash_fault },
    { .name = NULL },
};
static const struct shape epoch_members[] = {
    NUMBER_MEMBER("epoch", 1),
    NAME_MEMBER("holder"),
    NUMBER_MEMBER("revision", 1),
    { .name = NULL },
};
static const struct shape config_members[] = {
    TEXT_MEMBER("site", 0, 63),
    TEXT_MEMBER("key", 1, SETTING_KEY_SIZE_MAX),
    TEXT_MEMBER("value", 1, VALUE_TEXT_MAX),
    NUMBER_MEMBER("revision", 1),
    NUMBER_MEMBER("epoch", 1),
    TEXT_MEMBER("author", 1, 255),
    NUMBER_MEMBER("at", 0),
    { .name = NULL },
};
static const struct shape local_members[] = {
    TEXT_MEMBER("key", 1, SETTING_KEY_SIZE_MAX),
    TEXT_MEMBER("value", 1, VALUE_TEXT_MAX),
    TEXT_MEMBER("author", 1, 255),
    { .name = NULL },
};
static const struct shape epoch_item = { .type = SHAPE_OBJECT, .inside = epoch_members };
static const struct shape config_item = { .type = SHAPE_OBJECT, .inside = config_members };
static const struct shape local_item = { .type = SHAPE_OBJECT, .inside = local_members };
static const struct shape document_members[] = {
    NAME_MEMBER("cluster"),
    { .name = "cluster_id",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = 36,
      .text_fault = uuid_fault },
    NAME_MEMBER("node"),
    NAME_MEMBER("site"),
    TEXT_MEMBER("baton", 1, 40),
    { .name = "schema", .type = SHAPE_INTEGER, .required = true, .min = 1, .max = 9999 },
    TEXT_MEMBER("taken_at", 1, 40),
    TEXT_MEMBER("taken_by", 1, 255),
    TEXT_MEMBER("key", 1, SEALING_ID_SIZE - 1),
    { .name = "head", .type = SHAPE_OBJECT, .required = true, .inside = head_members },
    { .name = "epochs",
      .type = SHAPE_LIST,
      .required = true,
      .max = BACKUP_CONFIG_MAX,
      .inside = &epoch_item },
    { .name = "config",
      .type = SHAPE_LIST,
      .required = true,
      .max = BACKUP_CONFIG_MAX,
      .inside = &config_item },
    { .name = "local",
      .type = SHAPE_LIST,
      .required = true,
      .max = BACKUP_LOCAL_MAX,
      .inside = &local_item },
    { .name = NULL },
};
static const struct shape document_shape = { .type = SHAPE_OBJECT, .inside = document_members };

/* Of Baton's own keys only what is named here leaves the cluster as it is (B1). */
enum backup_kind
backup_kind_of(const char *key)
{
    static const enum setting_id plain[] = {
        SETTING_SYSTEM_CLUSTER,   SETTING_SYSTEM_EPOCH,     SETTING_SYSTEM_NODE,
        SETTING_SYSTEM_INSTANCES, SETTING_SYSTEM_SYNC,      SETTING_SYSTEM_ARBITER,
        SETTING_SYSTEM_PAUSE,     SETTING_SYSTEM_PROMOTION,
    };
    const struct setting_row *row = setting_find(key);
    if (row == NULL)
        return BACKUP_PLAIN; /* of another version; the database lets nobody but people write it */
    if (row->scope == SETTING_SCOPE_SECRET || row->id == SETTING_SYSTEM_USER)
        return BACKUP_SEALED;
    if (row->scope != SETTING_SCOPE_SYSTEM)
        return BACKUP_PLAIN;
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (plain[i] == row->id)
            return BACKUP_PLAIN;
    }
    return BACKUP_LEFT_OUT;
}

char *
backup_bound(const char *cluster_id, const char *key)
{
    return str_printf("baton backup\n%s\n%s", cluster_id, key);
}

static const char *
text_of(struct json_object *object, const char *name)
{
    const char *text = "";
    (void)!json_get_string(object, name, &text);
    return text;
}

static uint64_t
number_of(struct json_object *object, const char *name)
{
    uint64_t number = 0;
    (void)!json_get_u64(object, name, &number);
    return number;
}

static enum err_code
row_fault(struct err *err, size_t index, const char *key, const char *what)
{
    return err_set(err, ERR_INVALID, "backup_form", "backup: config[%zu], key '%.64s': %s", index,
                   key, what);
}

/* Takes 'value'. */
static enum err_code
add_member(struct backup *backup, size_t index, const char *key, struct json_object *value,
           struct err *err)
{
    uint64_t generation = 1;
    struct backup_member member = { .name = key + strlen("node/"), .value = value };
    (void)!json_get_bool(value, "removed", &member.removed);
    (void)!json_get_u64(value, "generation", &generation);
    member.generation = generation > 1000000 ? 1000000 : (unsigned)generation;
    member.site = text_of(value, "site");
    member.address = text_of(value, "address");
    bool full = backup->live_count == BACKUP_MEMBERS_MAX && !member.removed;
    if (full || !str_is_name(member.site) || member.address[0] == '\0') {
        (void)json_object_put(value);
        return row_fault(err, index, key, full ? "more members than can be" : "it is no member");
    }
    backup->members = mem_grow(backup->members, backup->member_count + 1, sizeof *backup->members);
    backup->members[backup->member_count++] = member;
    backup->live_count += !member.removed;
    return ERR_NONE;
}

static enum err_code
read_row(struct backup *backup, size_t index, struct json_object *row, struct err *err)
{
    const char *key = text_of(row, "key");
    const char *text = text_of(row, "value");
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(sealing_value_done) struct sealing_value sealed = { 0 };
    struct err why;
    enum backup_kind kind = backup_kind_of(key);
    if (number_of(row, "revision") > backup->revision)
        return row_fault(err, index, key, "it is later than the head");
    if (kind == BACKUP_LEFT_OUT)
        return row_fault(err, index, key, "no backup holds that");
    if (kind == BACKUP_PLAIN && !str_starts(key, "node/"))
        return ERR_NONE; /* its value is for the database to read, exactly as it was */
    if (json_read(text, strlen(text), &value, &why) != ERR_NONE)
        return row_fault(err, index, key, "its value is no JSON");
    if (kind == BACKUP_PLAIN)
        return add_member(backup, index, key, take_ptr(&value), err);
    if (!sealing_read(value, &sealed) || strcmp(sealed.key, backup->key) != 0)
        return row_fault(err, index, key, "it is not sealed by the key of the backup");
    if (sealing_is_secret(key))
        backup->secret_count++;
    else
        backup->user_count++;
    return ERR_NONE;
}

enum err_code
backup_read(struct json_object *document, struct backup *ret_backup, struct err *err)
{
    CLEANUP(freep) struct fault_list *faults = mem_zero(1, sizeof *faults);
    shape_check(&document_shape, document, "", faults);
    enum err_code code = fault_err(faults, "backup_form", "backup", err);
    if (code != ERR_NONE)
        return code;
    struct json_object *head = json_get(document, "head");
    struct backup backup = { .document = document,
                             .cluster = text_of(document, "cluster"),
                             .cluster_id = text_of(document, "cluster_id"),
                             .node = text_of(document, "node"),
                             .site = text_of(document, "site"),
                             .baton = text_of(document, "baton"),
                             .taken_at = text_of(document, "taken_at"),
                             .taken_by = text_of(document, "taken_by"),
                             .key = text_of(document, "key"),
                             .schema = number_of(document, "schema"),
                             .revision = number_of(head, "revision"),
                             .epoch = number_of(head, "epoch"),
                             .holder = text_of(head, "holder"),
                             .hash = text_of(head, "hash"),
                             .epochs = json_get(document, "epochs"),
                             .config = json_get(document, "config"),
                             .local = json_get(document, "local") };
    for (size_t i = 0; code == ERR_NONE && i < json_object_array_length(backup.config); i++)
        code = read_row(&backup, i, json_object_array_get_idx(backup.config, i), err);
    if (code == ERR_NONE && backup_member(&backup, backup.node) == NULL)
        code = err_set(err, ERR_INVALID, "backup_form",
                       "backup: it was taken at '%s', which is no member", backup.node);
    if (code == ERR_NONE)
        *ret_backup = backup;
    else
        backup_done(&backup);
    return code;
}

void
backup_done(struct backup *backup)
{
    for (size_t i = 0; i < backup->member_count; i++)
        (void)json_object_put(backup->members[i].value);
    free(backup->members);
    *backup = (struct backup){ 0 };
}

const struct backup_member *
backup_member(const struct backup *backup, const char *name)
{
    for (size_t i = 0; i < backup->member_count; i++) {
        if (strcmp(backup->members[i].name, name) == 0)
            return &backup->members[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ may it be restored? */

/* "1.20.3", "1.20.3-rc1", "1.20"; what is no number counts as 0. */
static void
read_version(const char *text, unsigned long ret[3])
{
    for (size_t i = 0; i < 3; i++) {
        char *end = NULL;
        ret[i] = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
        if (end == NULL || *end != '.')
            text = ""; /* the rest is 0 */
        else
            text = end + 1;
    }
}

static int
compare_versions(const char *a, const char *b)
{
    unsigned long left[3];
    unsigned long right[3];
    read_version(a, left);
    read_version(b, right);
    for (size_t i = 0; i < 3; i++) {
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}

enum err_code
backup_check_version(const struct backup *backup, const char *version, unsigned schema,
                     struct err *err)
{
    if (compare_versions(backup->baton, version) <= 0 && backup->schema <= schema)
        return ERR_NONE;
    (void)err_set(err, ERR_CONFLICT, "backup_newer",
                  "the backup is of Baton %.40s with schema %llu, and this is Baton %s with schema "
                  "%u",
                  backup->baton, (unsigned long long)backup->schema, version, schema);
    return err_mend(err, "install Baton %.40s or a newer one, and restore with that",
                    backup->baton);
}

static bool
is_excused(const char *address, const char *const *excused, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(excused[i], address) == 0)
            return true;
    }
    return false;
}

static enum err_code
check_excused(const struct backup_asked *asked, size_t count, const char *const *excused,
              size_t excused_count, struct err *err)
{
    for (size_t i = 0; i < excused_count; i++) {
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || strcmp(asked[k].address, excused[i]) == 0;
        if (known)
            continue;
        (void)err_set(err, ERR_INVALID, "not_a_member",
                      "'%.128s' is no address of a member in the backup", excused[i]);
        return err_mend(err, "write it as baton backup --check shows it");
    }
    return ERR_NONE;
}

enum err_code
backup_check_twins(const struct backup *backup, const struct backup_asked *asked, size_t count,
                   const char *const *excused, size_t excused_count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (asked[i].answer != BACKUP_MEMBER)
            continue;
        (void)err_set(err, ERR_CONFLICT, "twin_lives",
                      "%s at %s lives, and is of cluster %s (%s): two clusters from one backup "
                      "would both act",
                      asked[i].node, asked[i].address, backup->cluster, backup->cluster_id);
        return err_mend(err, "what lives needs no restore: baton join. Or stop every member of it "
                             "for good, and restore then");
    }
    enum err_code code = check_excused(asked, count, excused, excused_count, err);
    for (size_t i = 0; code == ERR_NONE && i < count; i++) {
        if (asked[i].answer == BACKUP_SILENT ||
            is_excused(asked[i].address, excused, excused_count))
            continue;
        if (asked[i].answer == BACKUP_UNASKED) {
            (void)err_set(err, ERR_CONFLICT, "twin_unclear",
                          "%s, the address of %s, could not be asked: its name is not found",
                          asked[i].address, asked[i].node);
            return err_mend(err,
                            "does this host reach its name server? When %s is surely gone for "
                            "good: --not-a-member %s",
                            asked[i].node, asked[i].address);
        }
        (void)err_set(err, ERR_CONFLICT, "twin_unclear",
                      "something answers at %s, the address of %s, and cannot be told from a "
                      "member that hangs",
                      asked[i].address, asked[i].node);
        return err_mend(err, "look what it is; when %s is surely gone for good: --not-a-member %s",
                        asked[i].node, asked[i].address);
    }
    return code;
}

uint64_t
backup_epoch(const struct backup *backup)
{
    return backup->epoch + BACKUP_EPOCH_STEP;
}

bool
backup_local_fits(const struct backup *backup, const char *node)
{
    return strcmp(backup->node, node) == 0;
}
