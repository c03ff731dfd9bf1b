/*
 * run.h -- what each command does: asks the API, shows the answer. One function for each row of the
 * table in commands.c; each returns the error that ends the command.
 */
#pragma once

#include "controller/base/err.h"

struct cli;

/*    function */
#define RUN_TABLE(X)                                                                               \
    X(init)                                                                                        \
    X(join)                                                                                        \
    X(backup)                                                                                      \
    X(restore)                                                                                     \
    X(schema_upgrade)                                                                              \
    X(status)                                                                                      \
    X(doctor)                                                                                      \
    X(promote)                                                                                     \
    X(promotion_list)                                                                              \
    X(promotion_show)                                                                              \
    X(arbiter_show)                                                                                \
    X(arbiter_set)                                                                                 \
    X(arbiter_test)                                                                                \
    X(why)                                                                                         \
    X(pause)                                                                                       \
    X(resume)                                                                                      \
    X(ready)                                                                                       \
    X(budget)                                                                                      \
    X(check_timeouts)                                                                              \
    X(config_get)                                                                                  \
    X(config_set)                                                                                  \
    X(config_delete)                                                                               \
    X(config_list)                                                                                 \
    X(config_history)                                                                              \
    X(config_rollback)                                                                             \
    X(config_export)                                                                               \
    X(config_import)                                                                               \
    X(config_watch)                                                                                \
    X(secret_set)                                                                                  \
    X(secret_list)                                                                                 \
    X(secret_rotate)                                                                               \
    X(secret_delete)                                                                               \
    X(local_get)                                                                                   \
    X(local_set)                                                                                   \
    X(local_delete)                                                                                \
    X(local_list)                                                                                  \
    X(local_edit)                                                                                  \
    X(explain)                                                                                     \
    X(setaside_list)                                                                               \
    X(setaside_show)                                                                               \
    X(setaside_apply)                                                                              \
    X(setaside_discard)                                                                            \
    X(connector_list)                                                                              \
    X(connector_show)                                                                              \
    X(connector_haproxy_config)                                                                    \
    X(connector_instances)                                                                         \
    X(connector_token_create)                                                                      \
    X(connector_token_list)                                                                        \
    X(connector_token_revoke)                                                                      \
    X(agent)                                                                                       \
    X(node_list)                                                                                   \
    X(node_remove)                                                                                 \
    X(site_list)                                                                                   \
    X(token_create)                                                                                \
    X(token_list)                                                                                  \
    X(token_revoke)                                                                                \
    X(witness_init)                                                                                \
    X(witness_run)                                                                                 \
    X(witness_add)                                                                                 \
    X(witness_sql)                                                                                 \
    X(gate_init)                                                                                   \
    X(gate_run)                                                                                    \
    X(login)                                                                                       \
    X(logout)                                                                                      \
    X(user_list)                                                                                   \
    X(user_set)                                                                                    \
    X(user_delete)                                                                                 \
    X(completion)                                                                                  \
    X(help)                                                                                        \
    X(version)

#define X(name) MUST_CHECK enum err_code run_##name(struct cli *cli, struct err *err);
RUN_TABLE(X)
#undef X
