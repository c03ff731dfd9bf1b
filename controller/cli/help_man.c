#include <string.h>

#include "controller/base/str.h"
#include "controller/cli/help.h"
#include "sites/setting.h"

/* scdoc takes _ and * as marks, and \ escapes; two marks that stand inside a word are left alone by
 * it, but we do not rely on that. A line must not begin with what scdoc takes for a list. */
static void
print_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("_*\\<>[]#|`~+", *text) != NULL)
            (void)fputc('\\', to);
        (void)fputc(*text, to);
    }
}

static void
print_option(FILE *to, const struct option_row *row, bool needed)
{
    (void)fprintf(to, "*--%s*", row->name);
    if (row->argument != NULL) {
        (void)fputc(' ', to);
        print_text(to, row->argument);
    }
    (void)fputs("\n\t", to);
    print_text(to, row->text);
    (void)fputs(needed ? "; needed\n\n" : "\n\n", to);
}

static void
print_options(FILE *to, const unsigned short *options)
{
    for (; *options != OPTION_END; options++)
        print_option(to, option_row((enum option_id)(*options & ~COMMAND_REQUIRED)),
                     (*options & COMMAND_REQUIRED) != 0);
}

static void
print_synopsis(FILE *to, const struct command *command)
{
    (void)fprintf(to, "*baton %s*", command->name);
    if (command->operands[0] != '\0') {
        (void)fputc(' ', to);
        print_text(to, command->operands);
    }
    for (const unsigned short *at = command->options; *at != OPTION_END; at++) {
        const struct option_row *row = option_row((enum option_id)(*at & ~COMMAND_REQUIRED));
        bool needed = (*at & COMMAND_REQUIRED) != 0;
        (void)fprintf(to, needed ? " *--%s*" : " \\[*--%s*", row->name);
        if (row->argument != NULL) {
            (void)fputc(' ', to);
            print_text(to, row->argument);
        }
        if (!needed)
            (void)fputs("\\]", to);
    }
    (void)fputc('\n', to);
}

static void
print_command(FILE *to, const struct command *command)
{
    (void)fprintf(to, "## %s\n\n", command->name);
    print_synopsis(to, command);
    (void)fputc('\n', to);
    print_text(to, command->text);
    (void)fputs(".\n\n", to);
    if (command->more != NULL) {
        print_text(to, command->more);
        (void)fputs("\n\n", to);
    }
    print_options(to, command->options);
    (void)fputs("```\n", to);
    for (const char *at = command->example; *at != '\0';) {
        size_t size = strcspn(at, "\n");
        (void)fprintf(to, "$ %.*s\n", (int)size, at);
        at += size + (at[size] == '\n');
    }
    (void)fputs("```\n\n", to);
}

static void
print_exit_codes(FILE *to)
{
    static const struct {
        enum err_code code;
        const char *text;
    } rows[] = {
        { ERR_NONE, "done" },
        { ERR_INVALID, "the command line, a file or a value is wrong; a limit would be exceeded" },
        { ERR_DENIED, "not allowed, or nobody is logged in" },
        { ERR_NOT_FOUND, "there is no such key, node, promotion, ..." },
        { ERR_CONFLICT, "the state does not allow it now: a check says no, If-Match did not match, "
                        "a promotion failed" },
        { ERR_UNAVAILABLE, "a node, the primary or the database does not answer, or is fenced, or "
                           "there were too many tries; nothing was changed" },
        { ERR_TIMEOUT, "not done in time, and surely not done" },
        { ERR_UNKNOWN_OUTCOME, "perhaps done, perhaps not: look before you repeat it" },
        { ERR_INTERNAL, "anything else" },
    };
    (void)fputs("# EXIT STATUS\n\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        (void)fprintf(to, "*%d*\n\t%s\n\n", err_code_exit(rows[i].code), rows[i].text);
}

static const char description[] =
    "Baton moves the right to act, the baton, between sites: one site is primary, its connector "
    "servers are in use, and its node takes writes. *baton* asks any node over HTTPS; *batond*(8) "
    "is that node.\n\n"
    "In trouble: *baton status* first. Its first line is the verdict. Then *baton doctor*. "
    "*baton promote* SITE *--dry-run* shows what a promotion would do, and changes nothing.\n\n"
    "Options may stand anywhere. Their names are never abbreviated. Answers go to standard output, "
    "questions, progress and errors to standard error. An error names the cause and the next "
    "step:\n\n"
    "```\n"
    "baton: CAUSE\n"
    "  mend: NEXT STEP\n"
    "```\n\n"
    "With *--json* the answer is the document of the API, in one line (indented on a terminal), "
    "and "
    "an error is a problem document (RFC 9457) in one line on standard error.\n\n"
    "# WHO IS ASKED\n\n"
    "*--data-dir* DIR\n"
    "\tThe node of this host, with its own certificate: its local administrator. No login is "
    "needed, and it works while no other node does.\n\n"
    "*--server* URL\n"
    "\tAny node, with the login that *baton login* has saved; only the CA of that login is "
    "believed.\n\n"
    "Without either: BATON\\_DATA\\_DIR, BATON\\_SERVER, the last login, in this order.\n\n";

static const char ending[] =
    "# ENVIRONMENT\n\n"
    "*BATON\\_DATA\\_DIR*, *BATON\\_SERVER*\n"
    "\tWho is asked, see above.\n\n"
    "*NO\\_COLOR*\n"
    "\tAny value: no colour. Colour is only used on a terminal.\n\n"
    "*VISUAL*, *EDITOR*\n"
    "\tThe editor of *baton local edit*.\n\n"
    "*XDG\\_CONFIG\\_HOME*\n"
    "\tWhere logins are kept instead of ~/.config.\n\n"
    "# FILES\n\n"
    "_~/.config/baton/credentials.json_\n"
    "\tSaved logins, mode 0600. It is not used when others may read it.\n\n"
    "# SEE ALSO\n\n"
    "*batond*(8), *baton-settings*(5)\n";

void
help_man_baton(FILE *to)
{
    (void)fputs("baton(1)\n\n# NAME\n\nbaton - moves the right to act between sites\n\n"
                "# SYNOPSIS\n\n*baton* COMMAND \\[OPTION...\\]\n\n# DESCRIPTION\n\n",
                to);
    (void)fputs(description, to);
    (void)fputs("# OPTIONS OF EVERY COMMAND\n\n", to);
    print_options(to, command_common_options);
    (void)fputs("# COMMANDS\n\n", to);
    for (size_t i = 0; i < command_count; i++)
        print_command(to, &command_rows[i]);
    print_exit_codes(to);
    (void)fputs(ending, to);
}

/* ---- baton-settings(5) ---- */

static void
print_limits(FILE *to, const struct setting_row *row)
{
    (void)fprintf(to, "\t%s", setting_type_name(row->type));
    if (row->type == SETTING_TYPE_CHOICE) {
        (void)fputc(' ', to);
        print_text(to, row->choices);
    } else if (row->type == SETTING_TYPE_INTEGER) {
        (void)fprintf(to, " %lld to %lld %s", (long long)row->min, (long long)row->max, row->unit);
    } else if (row->type == SETTING_TYPE_TEXT) {
        (void)fprintf(to, " of %lld to %lld bytes", (long long)row->min, (long long)row->max);
    }
    if (row->default_text != NULL) {
        (void)fputs("; default ", to);
        print_text(to, row->default_text);
    }
    if (setting_drift(row->id) == SETTING_DRIFT_MATCH)
        (void)fputs("; must be the same on every node", to);
    if (setting_drift(row->id) == SETTING_DRIFT_DIFFER)
        (void)fputs("; must be the same on the nodes of a site, and not that of the primary's site",
                    to);
    (void)fputs(row->reload == SETTING_RELOAD_RESTART ? "; from the next start of batond on\n\n"
                                                      : "\n\n",
                to);
}

static void
print_scope(FILE *to, enum setting_scope scope, const char *title, const char *text)
{
    (void)fprintf(to, "# %s\n\n%s\n\n", title, text);
    for (int id = 0; id < SETTING_COUNT; id++) {
        const struct setting_row *row = setting_row((enum setting_id)id);
        if (row->scope != scope)
            continue;
        (void)fputc('*', to);
        print_text(to, row->name);
        (void)fputs("*\n\t", to);
        print_text(to, row->text);
        (void)fputs(".\n\n", to);
        print_limits(to, row);
    }
}

void
help_man_settings(FILE *to)
{
    (void)fputs(
        "baton-settings(5)\n\n# NAME\n\nbaton-settings - every setting of Baton, its scope and its "
        "limits\n\n# DESCRIPTION\n\n"
        "A setting has one scope. The value that counts on a node is the first that is set of: "
        "node, site, cluster, default; as far as the scope has these layers. *baton explain* KEY "
        "shows them all, and *--if-promoted* SITE|NODE what a promotion would make of them.\n\n"
        "A shared setting is written by *baton config set* and is the same on every node; a local "
        "one by *baton local set* and is the node's alone. The database refuses one in the place "
        "of the other. In a name, \\* stands for one name, \\*\\* for anything.\n\n",
        to);
    print_scope(to, SETTING_SCOPE_CLUSTER, "CLUSTER SETTINGS",
                "Shared; one value for the whole cluster.");
    print_scope(to, SETTING_SCOPE_SITE, "SITE SETTINGS",
                "Shared; one value for the cluster, and one for each site (*--site*) that wants "
                "its own.");
    print_scope(to, SETTING_SCOPE_NODE, "NODE SETTINGS",
                "Local; never replicated, and changeable at any time, primary or not.");
    print_scope(to, SETTING_SCOPE_SECRET, "SECRETS",
                "Shared, and sealed before they are stored: *baton secret set* NAME. What they "
                "hold is shown to nobody.");
    print_scope(to, SETTING_SCOPE_SYSTEM, "SYSTEM KEYS",
                "Written by Baton itself; shown for those who read the shared log with *psql*(1).");
    (void)fputs("# SEE ALSO\n\n*baton*(1), *batond*(8)\n", to);
}
