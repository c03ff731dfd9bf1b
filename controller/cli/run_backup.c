/*
 * run_backup.c -- baton backup and baton restore. The password stays in this process: the node gets
 * a key made from it (controller/daemon/archive.h).
 */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/prompt.h"
#include "controller/cli/run.h"
#include "controller/cli/setup_words.h"
#include "controller/daemon/archive.h"
#include "controller/daemon/setup.h"
#include "controller/loop/contact.h"

#define FILE_MODE 0600
#define WHO_SIZE  256

/* ---- the password ---- */

static enum err_code
ask_password(struct cli *cli, bool new_one, char password[PROMPT_PASSWORD_SIZE], struct err *err)
{
    char again[PROMPT_PASSWORD_SIZE];
    const char *file = cli_value(cli, OPTION_PASSWORD_FILE);
    enum err_code code =
        file != NULL
            ? prompt_password_file(file, password, PROMPT_PASSWORD_SIZE, err)
            : prompt_password("Password of the backup", password, PROMPT_PASSWORD_SIZE, err);
    if (code == ERR_NONE && new_one)
        code = archive_check_password(password, err); /* before it is typed again */
    if (code != ERR_NONE || !new_one || file != NULL)
        return code;
    code = prompt_password("Again", again, sizeof again, err);
    if (code == ERR_NONE && strcmp(password, again) != 0)
        code = err_set(err, ERR_INVALID, "password", "the two differ: nothing was done");
    explicit_bzero(again, sizeof again);
    return code;
}

/* ---- what it holds ---- */

static struct json_object *
members_json(const struct backup *backup)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < backup->member_count; i++) {
        const struct backup_member *member = &backup->members[i];
        if (member->removed)
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "node", member->name);
        json_add_string(one, "site", member->site);
        json_add_string(one, "address", member->address);
        (void)json_object_array_add(list, one);
    }
    return list;
}

static void
print_json(struct cli *cli, const char *path, const struct archive *archive)
{
    const struct backup *backup = &archive->backup;
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    json_add_string(document, "file", path);
    json_add_string(document, "sha256", archive->digest);
    json_add_string(document, "cluster", backup->cluster);
    json_add_string(document, "cluster_id", backup->cluster_id);
    json_add_string(document, "node", backup->node);
    json_add_string(document, "baton", backup->baton);
    json_add_u64(document, "schema", backup->schema);
    json_add_string(document, "taken_at", backup->taken_at);
    json_add_string(document, "taken_by", backup->taken_by);
    json_add(document, "head", json_object_get(json_get(backup->document, "head")));
    json_add_u64(document, "keys", json_object_array_length(backup->config));
    json_add_u64(document, "secrets", backup->secret_count);
    json_add_u64(document, "users", backup->user_count);
    json_add_u64(document, "local", json_object_array_length(backup->local));
    json_add(document, "members", members_json(backup));
    cli_print_json(cli, document);
}

static void
print_archive(struct cli *cli, const char *path, const struct archive *archive)
{
    const struct backup *backup = &archive->backup;
    if (cli_json(cli)) {
        print_json(cli, path, archive);
        return;
    }
    (void)fprintf(cli->out, "backup      %s, whole\n", path);
    (void)fprintf(cli->out, "sha256      %s\n", archive->digest);
    (void)fprintf(cli->out, "cluster     %s (%s)\n", backup->cluster, backup->cluster_id);
    (void)fprintf(cli->out, "taken       %s at %s by %s\n", backup->taken_at, backup->node,
                  backup->taken_by);
    (void)fprintf(cli->out, "version     Baton %s, schema %llu\n", backup->baton,
                  (unsigned long long)backup->schema);
    (void)fprintf(cli->out, "head        revision %llu of epoch %llu/%s\n",
                  (unsigned long long)backup->revision, (unsigned long long)backup->epoch,
                  backup->holder);
    (void)fprintf(cli->out,
                  "holds       %zu keys, of them %zu secrets and %zu users (sealed); %zu local "
                  "settings of %s\n",
                  json_object_array_length(backup->config), backup->secret_count,
                  backup->user_count, json_object_array_length(backup->local), backup->node);
    (void)fprintf(cli->out, "not in it   tokens, certificates and keys, the history, what was set "
                            "aside, other nodes' local settings\n");
    for (size_t i = 0; i < backup->member_count; i++) {
        if (!backup->members[i].removed)
            (void)fprintf(cli->out, "member      %s in site %s at %s\n", backup->members[i].name,
                          backup->members[i].site, backup->members[i].address);
    }
}

/* ---- backup ---- */

static enum err_code
require_absent(struct cli *cli, const char *path, struct err *err)
{
    if (cli_flag(cli, OPTION_FORCE) || !file_exists(path))
        return ERR_NONE;
    (void)err_set(err, ERR_CONFLICT, "file_exists", "'%s' exists", path);
    return err_mend(err, "name another file; --force writes over it");
}

static enum err_code
ask_node(struct cli *cli, const struct archive *archive, struct json_object **ret, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    char *key = str_base64url(archive->key.seal.bytes, sizeof archive->key.seal.bytes);
    struct connect_request request = { .method = "POST", .path = "/v1/backup", .body = body };
    json_add_string(body, "key", key);
    explicit_bzero(key, strlen(key));
    free(key);
    enum err_code code = connect_call(cli, &request, ret, err);
    const char *text;
    if (json_get_string(body, "key", &text))
        seal_wipe_text(text);
    return code;
}

static enum err_code
make_backup(struct cli *cli, const char *path, const char *password, struct err *err)
{
    CLEANUP(archive_done) struct archive archive = { 0 };
    CLEANUP(json_putp) struct json_object *document = NULL;
    CLEANUP(buf_done) struct buf text = { 0 };
    enum err_code code = archive_begin(password, &archive, err);
    if (code == ERR_NONE)
        code = ask_node(cli, &archive, &document, err);
    if (code == ERR_NONE)
        code = archive_finish(&archive, document, &text, err);
    if (code == ERR_NONE)
        code = file_write_atomic(path, text.data, text.size, FILE_MODE, (uid_t)-1, (gid_t)-1, err);
    if (code == ERR_NONE)
        print_archive(cli, path, &archive);
    return code;
}

/* Before anybody types a password for it. */
static enum err_code
require_file(const char *path, struct err *err)
{
    return access(path, R_OK) == 0 ? ERR_NONE : err_errno(err, errno, "open '%s'", path);
}

enum err_code
run_backup(struct cli *cli, struct err *err)
{
    char password[PROMPT_PASSWORD_SIZE] = "";
    const char *path = cli_operand(cli, 0);
    bool check = cli_flag(cli, OPTION_CHECK);
    CLEANUP(archive_done) struct archive archive = { 0 };
    enum err_code code = check ? require_file(path, err) : require_absent(cli, path, err);
    if (code == ERR_NONE)
        code = ask_password(cli, !check, password, err);
    if (code == ERR_NONE && check)
        code = archive_read(path, password, &archive, err);
    else if (code == ERR_NONE)
        code = make_backup(cli, path, password, err);
    explicit_bzero(password, sizeof password);
    if (code == ERR_NONE && check)
        print_archive(cli, path, &archive);
    return code == ERR_NONE ? code : err_wrap(err, "backup");
}

/* ---- restore ---- */

static enum backup_answer
answer_of(enum contact_answer answer)
{
    static const enum backup_answer answers[] = {
        [CONTACT_SILENT] = BACKUP_SILENT,
        [CONTACT_UNASKED] = BACKUP_UNASKED,
        [CONTACT_OTHER] = BACKUP_OTHER,
        [CONTACT_MEMBER] = BACKUP_MEMBER,
    };
    return answers[answer];
}

/* S71: all members of the backup are asked. */
static enum err_code
check_twins(struct cli *cli, const struct backup *backup, struct err *err)
{
    size_t count = 0;
    struct contact contacts[BACKUP_MEMBERS_MAX];
    struct backup_asked asked[BACKUP_MEMBERS_MAX];
    for (size_t i = 0; i < backup->member_count; i++) {
        const struct backup_member *member = &backup->members[i];
        if (member->removed)
            continue;
        ASSERT(count < BACKUP_MEMBERS_MAX); /* backup_read() */
        contacts[count] = (struct contact){ .address = member->address };
        asked[count++] = (struct backup_asked){ .node = member->name, .address = member->address };
    }
    cli_note(cli, "asking %zu addresses whether a member lives", count);
    contact_ask(backup->cluster_id, contacts, count);
    for (size_t i = 0; i < count; i++) {
        asked[i].answer = answer_of(contacts[i].answer);
        if (asked[i].answer == BACKUP_SILENT)
            cli_note(cli, "%s at %s does not answer", asked[i].node, asked[i].address);
    }
    return backup_check_twins(backup, asked, count, cli->arguments.repeated,
                              cli->arguments.repeated_count, err);
}

static enum err_code
confirm(struct cli *cli, const struct backup *backup, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    buf_printf(&text, "restore cluster %s as it was at %s: never may one of these run again:",
               backup->cluster, backup->taken_at);
    for (size_t i = 0; i < backup->member_count; i++) {
        if (!backup->members[i].removed)
            buf_printf(&text, " %s", backup->members[i].name);
    }
    return cli_confirm(cli, buf_text(&text), backup->cluster, err);
}

/* "anna as root at host-7" */
static const char *
name_person(char to[WHO_SIZE])
{
    char host[128] = "";
    const struct passwd *entry = getpwuid(geteuid());
    const char *name = entry == NULL ? "?" : entry->pw_name;
    const char *before = getenv("SUDO_USER");
    (void)gethostname(host, sizeof host - 1);
    if (before != NULL && strlen(before) < 64)
        (void)snprintf(to, WHO_SIZE, "%s as %.64s at %s", before, name, host);
    else
        (void)snprintf(to, WHO_SIZE, "%.64s at %s", name, host);
    return to;
}

static void
print_restored(struct cli *cli, const struct setup_restore *restore,
               const struct setup_answer *answer, const struct setup_restored *done)
{
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_string(document, "cluster", answer->cluster);
        json_add_string(document, "cluster_id", answer->cluster_id);
        json_add_string(document, "site", answer->site);
        json_add_string(document, "node", restore->node.node);
        json_add_string(document, "ca_pin", answer->pin);
        json_add_u64(document, "epoch", done->epoch);
        json_add_u64(document, "secrets", done->secrets);
        json_add_u64(document, "users", done->users);
        json_add_u64(document, "local", done->locals);
        json_add_bool(document, "arbiter_removed", done->arbiter);
        cli_print_json(cli, document);
        return;
    }
    (void)fprintf(cli->out, "cluster     %s (%s)\n", answer->cluster, answer->cluster_id);
    (void)fprintf(cli->out, "node        %s in site %s\n", restore->node.node, answer->site);
    (void)fprintf(cli->out, "data        %s\n", restore->node.folder);
    (void)fprintf(cli->out, "ca          sha256:%s   (a new one)\n", answer->pin);
    (void)fprintf(cli->out, "epoch       %llu/%s\n", (unsigned long long)done->epoch,
                  restore->node.node);
    (void)fprintf(cli->out, "restored    %zu secrets, %zu users, %zu local settings\n",
                  done->secrets, done->users, done->locals);
    (void)fprintf(cli->out, "next        batond --data-dir %s\n", restore->node.folder);
    (void)fprintf(cli->out,
                  "then        baton token create, for each other node; logins and "
                  "agents need the new CA%s\n",
                  done->arbiter ? "; baton arbiter set, for there is none now" : "");
}

static enum err_code
restore_from(struct cli *cli, const struct archive *archive, struct err *err)
{
    char who[WHO_SIZE];
    struct setup_words words;
    struct setup_answer answer = { 0 };
    struct setup_restored done = { 0 };
    struct setup_restore restore = { .archive = archive, .site = cli_value(cli, OPTION_SITE) };
    restore.by = name_person(who);
    enum err_code code = setup_words_read(cli, &words, &restore.node, err);
    if (code == ERR_NONE)
        code = backup_check_version(&archive->backup, BATON_VERSION, setup_schema(), err);
    if (code == ERR_NONE)
        code = check_twins(cli, &archive->backup, err);
    if (code == ERR_NONE)
        code = confirm(cli, &archive->backup, err);
    if (code == ERR_NONE)
        code = setup_restore(&restore, &answer, &done, err);
    if (code == ERR_NONE)
        print_restored(cli, &restore, &answer, &done);
    return code;
}

enum err_code
run_restore(struct cli *cli, struct err *err)
{
    char password[PROMPT_PASSWORD_SIZE] = "";
    const char *path = cli_operand(cli, 0);
    CLEANUP(archive_done) struct archive archive = { 0 };
    enum err_code code = require_file(path, err);
    if (code == ERR_NONE)
        code = ask_password(cli, false, password, err);
    if (code == ERR_NONE)
        code = archive_read(path, password, &archive, err);
    explicit_bzero(password, sizeof password);
    if (code == ERR_NONE)
        code = restore_from(cli, &archive, err);
    return code == ERR_NONE ? code : err_wrap(err, "restore");
}
