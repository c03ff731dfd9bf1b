#include "controller/cli/command.h"
#include "controller/cli/run.h"

#define NODE_OPTIONS                                                                               \
    OPTION_NODE | COMMAND_REQUIRED, OPTION_LISTEN, OPTION_ADVERTISE, OPTION_DATABASE,              \
        OPTION_PG_LISTEN, OPTION_PG_ADVERTISE, OPTION_PG_PORT, OPTION_RUN_AS

#define VALUE_TEXT                                                                                 \
    "VALUE is JSON when it is JSON (5, true, {\"a\": 1}), and text when it is a plain word. "      \
    "- takes it from standard input."

const struct command command_rows[] = {
    {
        .name = "status",
        .operands = "",
        .options = { OPTION_WATCH, OPTION_INTERVAL },
        .text = "who is primary, since when and why, and what is wrong",
        .more = "The first line is the verdict. What is not known is shown as ? and is never "
                "green; a fact older than 5 s is marked STALE. LAG counts revisions behind the "
                "primary; DIGEST compares the hash of the log with the primary's; IN USE is the "
                "connector server that works now, WOULD USE the one that would if this node were "
                "primary.",
        .example = "baton status --watch",
        .run = run_status,
    },
    {
        .name = "promote",
        .operands = "SITE|NODE",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_DRY_RUN, OPTION_REASON, OPTION_ACCEPT_DATA_LOSS, OPTION_OVERRIDE,
                     OPTION_YES },
        .text = "make a site or a node primary",
        .more = "Planned when the primary answers: nothing is lost, and writes are held for a "
                "moment. Otherwise a failover. First the checks are shown, then the name must be "
                "typed; then each step is shown with its time. A step that fails before the first "
                "promise leaves everything as it was; later, repeat the command: it goes forward. "
                "The exit code is 0 only when the target is primary and takes writes.",
        .example = "baton promote west --dry-run\n"
                   "baton promote west --reason 'east is on fire'\n"
                   "baton promote west --yes --override connectors --reason 'alternate follows'",
        .run = run_promote,
    },
    {
        .name = "promotion list",
        .operands = "",
        .options = { OPTION_LIMIT },
        .text = "promotions on record, the newest first",
        .example = "baton promotion list",
        .run = run_promotion_list,
    },
    {
        .name = "promotion show",
        .operands = "ID",
        .operands_min = 1,
        .operands_max = 1,
        .text = "one promotion: who, why, and its steps with their times",
        .example = "baton promotion show west-1.1f29e53d",
        .run = run_promotion_show,
    },
    {
        .name = "arbiter show",
        .operands = "",
        .text = "who grants the lease, and how it stands",
        .example = "baton arbiter show",
        .run = run_arbiter_show,
    },
    {
        .name = "arbiter set",
        .operands = "manual|postgres|etcd",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_DSN, OPTION_ENDPOINTS, OPTION_ARBITER_CA, OPTION_ARBITER_FILE,
                     OPTION_ADOPT, OPTION_REASON, OPTION_YES },
        .text = "change who grants the lease, while the cluster runs",
        .more = "The arbiter stands in a third place: a witness (postgres) or an etcd. A node that "
                "holds its lease may act; with it the cluster takes over by itself. The record is "
                "made there first, then all members turn to it. manual: nobody; people promote.",
        .example = "baton arbiter set etcd --endpoints https://etcd.example:2379 --ca etcd-ca.crt\n"
                   "baton arbiter set postgres --file arbiter.json --reason 'witness stands'\n"
                   "baton arbiter set manual",
        .run = run_arbiter_set,
    },
    {
        .name = "arbiter test",
        .operands = "[postgres|etcd]",
        .operands_max = 1,
        .options = { OPTION_DSN, OPTION_ENDPOINTS, OPTION_ARBITER_CA, OPTION_ARBITER_FILE },
        .text = "ask an arbiter from every member; changes nothing",
        .more = "Without a kind the one that is set. Exit code 5 when a member cannot use it.",
        .example = "baton arbiter test\n"
                   "baton arbiter test postgres --file arbiter.json",
        .run = run_arbiter_test,
    },
    {
        .name = "why",
        .operands = "[NODE]",
        .operands_max = 1,
        .text = "why a node takes over by itself, or does not",
        .more = "Each member answers for itself. ready: it would, if the primary were gone. With "
                "NODE every rule of it, passed or failed.",
        .example = "baton why\n"
                   "baton why east-2",
        .run = run_why,
    },
    {
        .name = "ready",
        .operands = "[SITE]",
        .operands_max = 1,
        .options = { OPTION_WATCH, OPTION_INTERVAL },
        .text = "whether each site could do the work if promoted now",
        .more = "Each node proves the server that it would use for each connector: reachable, "
                "trusted, how long its certificate lasts, credential, health, every target "
                "connector there. With what is known of the nodes this comes to READY, or to every "
                "reason why not. What is not known, or too old, is not ready. A site is ready when "
                "one of its nodes is. For monitoring: exit code 0 when every site asked about is "
                "ready, 5 when one is not, 6 when it is not known or nobody answers. With --watch "
                "what changes is printed line by line.",
        .example = "baton ready\n"
                   "baton ready west --json\n"
                   "baton ready --watch",
        .run = run_ready,
    },
    {
        .name = "pause",
        .operands = "",
        .options = { OPTION_FOR, OPTION_UNTIL, OPTION_REASON },
        .text = "nobody takes over by itself, for a while",
        .more = "It ends by itself, and is shown everywhere until then. Orders of people are not "
                "held up, and a primary that loses its lease still stops. Without a time: shows "
                "the pause. To end it before its time: baton resume",
        .example = "baton pause --for 2h --reason 'new switches'\n"
                   "baton pause",
        .run = run_pause,
    },
    {
        .name = "resume",
        .operands = "",
        .options = { OPTION_REASON },
        .text = "end the pause",
        .example = "baton resume",
        .run = run_resume,
    },
    {
        .name = "budget",
        .operands = "",
        .options = { OPTION_BUDGET_SITE },
        .text = "how long an outage may last at worst, by the settings",
        .more = "Term by term. A setting that could make it longer than a declared rto_ms is "
                "refused when it is written. Exit code 5 when it is longer all the same.",
        .example = "baton budget --site west",
        .run = run_budget,
    },
    {
        .name = "check timeouts",
        .operands = "",
        .options = { OPTION_REQUESTS },
        .text = "whether the time-outs leave room for the network as it is",
        .more =
            "Asks every other member and the arbiter, each so often, by the time-outs in force. "
            "Run it on each node. Exit code 5 when an answer did not come or came too late.",
        .example = "baton check timeouts --requests 50",
        .run = run_check_timeouts,
    },
    {
        .name = "doctor",
        .operands = "",
        .text = "check this node, and say how to mend what is wrong",
        .more = "With --data-dir it also works while batond is stopped: then it looks at the "
                "files. Exit code 5 when a check fails.",
        .example = "baton doctor --data-dir /var/lib/baton",
        .run = run_doctor,
    },
    {
        .name = "config get",
        .operands = "KEY",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_SCOPE },
        .text = "print one value of the shared configuration",
        .more = "A text is printed as it is, anything else as JSON. What counts in the end is "
                "shown by baton explain.",
        .example = "baton config get app/colour",
        .run = run_config_get,
    },
    {
        .name = "config set",
        .operands = "KEY VALUE",
        .operands_min = 1,
        .operands_max = 2,
        .options = { OPTION_SCOPE, OPTION_VALUE_FILE, OPTION_TEXT, OPTION_IF_MATCH, OPTION_REASON },
        .text = "set one value of the shared configuration",
        .more = VALUE_TEXT,
        .example = "baton config set app/colour red --reason 'new colours'\n"
                   "baton config set connector/pam --file pam.yaml --site west",
        .run = run_config_set,
    },
    {
        .name = "config delete",
        .operands = "KEY",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_SCOPE, OPTION_IF_MATCH, OPTION_REASON },
        .text = "delete one value of the shared configuration",
        .example = "baton config delete app/old --reason 'no longer used'",
        .run = run_config_delete,
    },
    {
        .name = "config list",
        .operands = "[PREFIX]",
        .operands_max = 1,
        .options = { OPTION_SCOPE },
        .text = "the shared configuration",
        .example = "baton config list connector/",
        .run = run_config_list,
    },
    {
        .name = "config history",
        .operands = "[KEY]",
        .operands_max = 1,
        .options = { OPTION_AFTER, OPTION_LIMIT },
        .text = "who changed what, when and why",
        .example = "baton config history app/colour",
        .run = run_config_history,
    },
    {
        .name = "config rollback",
        .operands = "REVISION",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_PREFIX, OPTION_DRY_RUN, OPTION_REASON, OPTION_YES },
        .text = "make the shared configuration what it was at a revision",
        .more = "This is a new change: nothing disappears from the history.",
        .example = "baton config rollback 1040 --prefix app/ --dry-run",
        .run = run_config_rollback,
    },
    {
        .name = "config export",
        .operands = "[PREFIX]",
        .operands_max = 1,
        .options = { OPTION_FORMAT, OPTION_OUTPUT },
        .text = "write the shared configuration as JSON or YAML",
        .example = "baton config export --output config.yaml",
        .run = run_config_export,
    },
    {
        .name = "config import",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_FORMAT, OPTION_PREFIX, OPTION_PRUNE, OPTION_DRY_RUN, OPTION_REASON,
                     OPTION_YES },
        .text = "make the shared configuration what a file says",
        .more = "One atomic write. Only what differs is written, and only if nobody changed it in "
                "between. Keys that "
                "the file does not have stay, unless --prune is given.",
        .example = "baton config import config.yaml --dry-run\n"
                   "baton config import config.yaml --prefix app/ --prune --yes",
        .run = run_config_import,
    },
    {
        .name = "config watch",
        .operands = "[PREFIX]",
        .operands_max = 1,
        .text = "show changes as they happen",
        .more = "A lost connection is made again and nothing is left out. With --json one line "
                "for each change.",
        .example = "baton config watch app/",
        .run = run_config_watch,
    },
    {
        .name = "secret set",
        .operands = "NAME",
        .operands_min = 1,
        .operands_max = 2, /* the second is refused without being repeated */
        .options = { OPTION_SECRET_FILE, OPTION_STDIN, OPTION_IF_MATCH, OPTION_REASON },
        .text = "seal a secret and keep it for the whole cluster",
        .more = "A password, token or key of 1 to 65536 bytes that connectors name as "
                "secret/NAME. It is asked for without echo, and sealed by the node that takes it, "
                "before anything is stored. Nothing prints it again: there is no secret get.",
        .example = "baton secret set pam-main --reason 'new password'\n"
                   "baton secret set pam-tls --file pam.key\n"
                   "vault kv get -field=password pam | baton secret set pam-main --stdin",
        .run = run_secret_set,
    },
    {
        .name = "secret list",
        .operands = "",
        .text = "the names of the secrets, and who uses them",
        .more = "And who has the data key. HERE: whether the node that was asked can open it; "
                "missing: a connector names "
                "it, and there is none.",
        .example = "baton secret list",
        .run = run_secret_list,
    },
    {
        .name = "secret rotate",
        .operands = "",
        .options = { OPTION_REASON },
        .text = "make a new data key and seal all secrets by it",
        .more =
            "In one write: all of them or none. To be done after a node was removed or its disk "
            "was lost. Who has read a secret knows it all the same: change it where it counts, "
            "and set it again.",
        .example = "baton secret rotate --reason 'west-2 was sold'",
        .run = run_secret_rotate,
    },
    {
        .name = "secret delete",
        .operands = "NAME",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_IF_MATCH, OPTION_REASON, OPTION_YES },
        .text = "delete a secret that no connector names",
        .example = "baton secret delete pam-old",
        .run = run_secret_delete,
    },
    {
        .name = "local get",
        .operands = "KEY",
        .operands_min = 1,
        .operands_max = 1,
        .text = "print one local setting of this node",
        .example = "baton local get connector/pam/use_alternate_server",
        .run = run_local_get,
    },
    {
        .name = "local set",
        .operands = "KEY VALUE",
        .operands_min = 1,
        .operands_max = 2,
        .options = { OPTION_VALUE_FILE, OPTION_TEXT, OPTION_DRY_RUN },
        .text = "set one local setting of this node",
        .more = "It is not replicated, and needs no primary and no peer. " VALUE_TEXT,
        .example = "baton local set connector/pam/use_alternate_server true",
        .run = run_local_set,
    },
    {
        .name = "local delete",
        .operands = "KEY",
        .operands_min = 1,
        .operands_max = 1,
        .text = "forget one local setting; the default holds again",
        .example = "baton local delete connector/pam/use_alternate_server",
        .run = run_local_delete,
    },
    {
        .name = "local list",
        .operands = "",
        .text = "the local settings of this node",
        .example = "baton local list",
        .run = run_local_list,
    },
    {
        .name = "local edit",
        .operands = "",
        .options = { OPTION_FORMAT },
        .text = "change the local settings of this node in an editor",
        .more =
            "The editor is VISUAL, EDITOR or vi. All of it is checked before anything is written.",
        .example = "EDITOR=nano baton local edit",
        .run = run_local_edit,
    },
    {
        .name = "explain",
        .operands = "KEY",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_IF_PROMOTED },
        .text = "why a key has its value, now and if a site were promoted",
        .example = "baton explain connector/pam --if-promoted west",
        .run = run_explain,
    },
    {
        .name = "connector list",
        .operands = "",
        .text = "which connector server is in use, and which would be",
        .example = "baton connector list",
        .run = run_connector_list,
    },
    {
        .name = "connector show",
        .operands = "NAME",
        .operands_min = 1,
        .operands_max = 1,
        .text = "one connector: configuration, state, activations",
        .example = "baton connector show pam",
        .run = run_connector_show,
    },
    {
        .name = "connector haproxy-config",
        .operands = "[NAME...]",
        .operands_max = COMMAND_OPERANDS_MAX,
        .options = { OPTION_FRONTEND_LISTEN, OPTION_HOLD, OPTION_PLACES, OPTION_PROXY_MODE,
                     OPTION_PROXY_CERTIFICATE, OPTION_SERVER_CA },
        .text = "a whole haproxy.cfg for connectors with driver haproxy",
        .more = "Without a NAME: for all that have the driver. Servers start disabled, so a "
                "HAProxy that was restarted gives traffic to nobody before Baton says so. The "
                "head of the file tells how a reload keeps what Baton said.",
        .example = "baton connector haproxy-config pam >/etc/haproxy/haproxy.cfg",
        .run = run_connector_haproxy_config,
    },
    {
        .name = "connector instances",
        .operands = "[ID]",
        .operands_max = 1,
        .text = "the instances of connectors: who is there, and who was",
        .more = "As this node hears them from their agents. A connector is CONNECTED while one of "
                "its instances is. HEALTH is what the connector itself answers to its agent; ? is "
                "not known. How many there ought to be: baton config set instance/ID/expected 2",
        .example = "baton connector instances pam",
        .run = run_connector_instances,
    },
    {
        .name = "connector token create",
        .operands = "ID",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_AGENT_TTL, OPTION_REASON },
        .text = "make a token for the instances of a connector",
        .more = "It is shown once, works for every instance of this connector and for nothing "
                "else, and is shown again with every heartbeat: keep it as a secret.",
        .example = "baton connector token create pam",
        .run = run_connector_token_create,
    },
    {
        .name = "connector token list",
        .operands = "",
        .text = "the tokens of the instances",
        .example = "baton connector token list",
        .run = run_connector_token_list,
    },
    {
        .name = "connector token revoke",
        .operands = "TOKEN_ID",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_REASON },
        .text = "make such a token useless and end its sessions",
        .example = "baton connector token revoke 9f3c1b7a00112233",
        .run = run_connector_token_revoke,
    },
    {
        .name = "agent",
        .operands = "",
        .options = { OPTION_CONNECTOR_ID, OPTION_AGENT_TOKEN, OPTION_INSTANCE,
                     OPTION_VERSION | COMMAND_REQUIRED, OPTION_HEALTH | COMMAND_REQUIRED,
                     OPTION_CONNECTOR_ADDRESS, OPTION_HEALTH_CA, OPTION_AGENT_LISTEN,
                     OPTION_AGENT_NODE, OPTION_METADATA },
        .text = "say that an instance of a connector is there",
        .more = "Runs beside it, in the foreground, as a service does; SIGTERM and SIGINT end its "
                "session at once. "
                "It checks the connector at --health, and tells every node of the cluster, so that "
                "a promotion changes nothing for it. All instances of a connector must have the "
                "same --version; to upgrade: baton config set instance/ID/next_version VERSION, "
                "then one after the other. It needs no data directory.",
        .example = "baton agent --connector-id pam --version 1.7.0 --health http://127.0.0.1:9000/",
        .run = run_agent,
    },
    {
        .name = "setaside list",
        .operands = "",
        .text = "what this node wrote alone as an outdated primary",
        .more = "Each node keeps its own: ask the old primary.",
        .example = "baton setaside list --server https://east-1:7443",
        .run = run_setaside_list,
    },
    {
        .name = "setaside show",
        .operands = "ID",
        .operands_min = 1,
        .operands_max = 1,
        .text = "the set-aside changes of one batch, beside what holds now",
        .example = "baton setaside show 1",
        .run = run_setaside_show,
    },
    {
        .name = "setaside apply",
        .operands = "ID [REVISION...]",
        .operands_min = 1,
        .operands_max = COMMAND_OPERANDS_MAX,
        .options = { OPTION_REASON, OPTION_YES },
        .text = "write set-aside changes again, as your own change",
        .more = "Without REVISION all that are undecided.",
        .example = "baton setaside apply 1 1042 --reason 'anna wants it'",
        .run = run_setaside_apply,
    },
    {
        .name = "setaside discard",
        .operands = "ID [REVISION...]",
        .operands_min = 1,
        .operands_max = COMMAND_OPERANDS_MAX,
        .options = { OPTION_REASON, OPTION_YES },
        .text = "mark set-aside changes as not wanted",
        .more = "They stay on record. Without REVISION all that are undecided.",
        .example = "baton setaside discard 1 --reason 'repeated by hand'",
        .run = run_setaside_discard,
    },
    {
        .name = "init",
        .operands = "",
        .options = { OPTION_CLUSTER | COMMAND_REQUIRED, OPTION_SITE | COMMAND_REQUIRED,
                     NODE_OPTIONS, OPTION_PASSWORD_FILE, OPTION_YES },
        .text = "found a cluster with this host as its first node",
        .more = "Makes the cluster's CA, this node's key and certificate, the database, epoch 1 "
                "and the first administrator, 'admin', whose password is asked for or made and "
                "printed once. Nothing is left behind when it fails.",
        .example = "baton init --cluster prod --site east --node east-1 --data-dir /var/lib/baton",
        .run = run_init,
    },
    {
        .name = "join",
        .operands = "TOKEN",
        .operands_min = 1,
        .operands_max = 1,
        .options = { NODE_OPTIONS },
        .text = "make this host a node of a cluster",
        .more = "TOKEN is what baton token create printed; - takes it from standard input, so that "
                "it is not seen among the processes. The key never leaves this host.",
        .example = "baton join - --node west-1 --data-dir /var/lib/baton < token",
        .run = run_join,
    },
    {
        .name = "backup",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_CHECK, OPTION_FORCE, OPTION_PASSWORD_FILE },
        .text = "write the configuration to a file, secrets sealed",
        .more =
            "As the node that is asked has it at one moment: shared configuration with revision "
            "and author, users, secrets, members, and the local settings of that node. Not in "
            "it: tokens, certificates and keys, the history, what was set aside, the local "
            "settings of other nodes. The password never leaves this process; without it the "
            "secrets are lost. With --check no node is asked.",
        .example = "baton backup prod-1122.baton --password-file /etc/baton/backup.pw\n"
                   "baton backup --check prod-1122.baton",
        .run = run_backup,
    },
    {
        .name = "restore",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .options = { NODE_OPTIONS, OPTION_SITE, OPTION_PASSWORD_FILE, OPTION_NOT_A_MEMBER,
                     OPTION_YES },
        .text = "found the cluster of a backup anew, on this host",
        .more =
            "After all members are lost for good; what lives needs a join and no restore. Every "
            "address in the backup is asked first, and nothing is done while a member answers: "
            "two clusters from one backup would both act. The cluster keeps its name, id, users "
            "and revisions; CA, keys and epoch are new, so other nodes join again, and logins "
            "and agents need the new CA. Needs the version of Baton that made the backup or a "
            "newer one. Nothing is left behind when it fails.",
        .example = "baton restore prod-1122.baton --node east-1 --data-dir /var/lib/baton",
        .run = run_restore,
    },
    {
        .name = "schema upgrade",
        .operands = "",
        .options = { OPTION_OWNER_DATABASE, OPTION_ANY_ORDER },
        .text = "migrate the database of this node while it is stopped",
        .more = "After a newer Baton was installed, for an external database: batond migrates a "
                "managed one by itself. Nodes that were primary last come last; the others are "
                "asked. Nothing is changed when it fails.",
        .example =
            "baton schema upgrade --data-dir /var/lib/baton --database 'host=db user=postgres'",
        .run = run_schema_upgrade,
    },
    {
        .name = "token create",
        .operands = "",
        .options = { OPTION_SITE | COMMAND_REQUIRED, OPTION_HOST, OPTION_TTL, OPTION_REASON },
        .text = "make a token with which one host may join",
        .example = "baton token create --site west --ttl 1h\n"
                   "baton token create --site west --host west-1.example",
        .run = run_token_create,
    },
    {
        .name = "token list",
        .operands = "",
        .text = "join tokens and what became of them",
        .example = "baton token list",
        .run = run_token_list,
    },
    {
        .name = "token revoke",
        .operands = "ID",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_REASON },
        .text = "make a token useless",
        .example = "baton token revoke 9f3c1b7a00112233",
        .run = run_token_revoke,
    },
    {
        .name = "node list",
        .operands = "",
        .text = "the nodes",
        .example = "baton node list",
        .run = run_node_list,
    },
    {
        .name = "node remove",
        .operands = "NODE",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_REASON, OPTION_YES },
        .text = "remove a node for good and revoke its certificate",
        .example = "baton node remove west-2 --reason 'host is gone'",
        .run = run_node_remove,
    },
    {
        .name = "site list",
        .operands = "",
        .text = "the sites, their role and their nodes",
        .example = "baton site list",
        .run = run_site_list,
    },
    {
        .name = "witness init",
        .operands = "",
        .options = { OPTION_CLUSTER_CA | COMMAND_REQUIRED, OPTION_WITNESS_LISTEN,
                     OPTION_WITNESS_ADVERTISE, OPTION_RUN_AS },
        .text = "make a witness on this host, which grants the lease",
        .more = "A small PostgreSQL in a third place that does nothing else. It has a CA of its "
                "own, and takes the certificates of the clusters that it serves; a key of none. "
                "What a cluster is told of it is in the file arbiter.json of its data directory, "
                "which holds no secret. Nothing is left behind when it fails.",
        .example = "baton witness init --cluster-ca ca.crt --data-dir /var/lib/baton/witness",
        .run = run_witness_init,
    },
    {
        .name = "witness run",
        .operands = "",
        .text = "run the witness until it is told to stop",
        .more = "In the foreground, as a service does. SIGTERM and SIGINT stop it, SIGHUP reads "
                "certificates again. It renews its own certificate.",
        .example = "baton witness run --data-dir /var/lib/baton/witness",
        .run = run_witness_run,
    },
    {
        .name = "witness add",
        .operands = "CA_FILE",
        .operands_min = 1,
        .operands_max = 1,
        .text = "let one more cluster in, by the certificate of its CA",
        .more = "CA_FILE is the file ca.crt of any node of it. A witness that runs takes it up by "
                "itself within seconds.",
        .example = "baton witness add ca.crt --data-dir /var/lib/baton/witness",
        .run = run_witness_add,
    },
    {
        .name = "witness sql",
        .operands = "",
        .text = "print its schema, for a PostgreSQL of your own",
        .more =
            "Run it once, with psql, as the owner of a database that keeps what it commits; give "
            "the nodes a login that is a member of role baton_witness.",
        .example = "baton witness sql",
        .run = run_witness_sql,
    },
    {
        .name = "gate init",
        .operands = "",
        .options = { OPTION_STATE | COMMAND_REQUIRED, OPTION_CLUSTER_ID | COMMAND_REQUIRED,
                     OPTION_EPOCH },
        .text = "begin the state of a gate, beside a connector server",
        .more =
            "A state that is there is left alone. Where one was lost, --epoch says the epoch "
            "that it had, as baton status shows it: a gate that forgets lets an old primary in.",
        .example = "baton gate init --state g.json --cluster-id "
                   "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001",
        .run = run_gate_init,
    },
    {
        .name = "gate run",
        .operands = "",
        .options = { OPTION_STATE | COMMAND_REQUIRED, OPTION_SIGN_KEY | COMMAND_REQUIRED,
                     OPTION_GATE_LISTEN, OPTION_WINDOW, OPTION_CERT, OPTION_CERT_KEY },
        .text = "refuse what comes under an epoch that is over",
        .more =
            "In the foreground, as a service does. The proxy in front of a connector server "
            "asks it whether a request may pass (nginx: auth_request): it passes when it is "
            "signed by a key of --key, is of the cluster, and its epoch is not below the "
            "highest that an activation came with, which is kept in --state. SIGTERM and SIGINT "
            "stop it, SIGHUP reads keys and certificate again.",
        .example = "baton gate run --state gate.json --key k1=/etc/baton/pam.key",
        .run = run_gate_run,
    },
    {
        .name = "login",
        .operands = "",
        .options = { OPTION_USER, OPTION_PASSWORD_FILE, OPTION_CA, OPTION_PIN },
        .text = "log in to a node and keep the login for the next commands",
        .more = "The first login to a server names its CA, by file or by fingerprint; later ones "
                "believe only that CA. The login is kept in ~/.config/baton/credentials.json "
                "(mode 0600).",
        .example = "baton login --server https://east-1:7443 --user anna --ca ca.crt",
        .run = run_login,
    },
    {
        .name = "logout",
        .operands = "",
        .text = "end the session and forget the login",
        .example = "baton logout --server https://east-1:7443",
        .run = run_logout,
    },
    {
        .name = "user list",
        .operands = "",
        .text = "who may log in",
        .example = "baton user list",
        .run = run_user_list,
    },
    {
        .name = "user set",
        .operands = "NAME",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_ROLE, OPTION_PASSWORD, OPTION_PASSWORD_FILE, OPTION_REASON },
        .text = "make a user, or change role or password",
        .more = "Without --role the password is changed. A new user needs both.",
        .example = "baton user set anna --role operator --password",
        .run = run_user_set,
    },
    {
        .name = "user delete",
        .operands = "NAME",
        .operands_min = 1,
        .operands_max = 1,
        .options = { OPTION_REASON, OPTION_YES },
        .text = "delete a user and end all their sessions",
        .example = "baton user delete anna",
        .run = run_user_delete,
    },
    {
        .name = "completion",
        .operands = "bash",
        .operands_min = 1,
        .operands_max = 1,
        .text = "print the completion for a shell",
        .example = "source <(baton completion bash)",
        .run = run_completion,
    },
    {
        .name = "help",
        .operands = "[COMMAND...]",
        .operands_max = 3,
        .options = { OPTION_MAN },
        .text = "help of a command",
        .example = "baton help config set",
        .run = run_help,
    },
    {
        .name = "version",
        .operands = "",
        .text = "version of this program",
        .example = "baton version",
        .run = run_version,
    },
};

const size_t command_count = ARRAY_COUNT(command_rows);
