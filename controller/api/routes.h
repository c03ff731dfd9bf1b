/*
 * routes.h -- every route of the HTTPS API, in one table: dispatch, roles, Allow, and the test that
 * compares it with docs/api.yaml.
 *
 * "{key...}" takes the rest of the path, slashes included. Roles: the least that is needed; NODE is
 * a member's certificate and nothing else. The last column names the query parameters.
 */
#pragma once

/*    operation        verb    pattern                        role      query */
#define ROUTE_TABLE(X)                                                                             \
    X(healthz, GET, "/healthz", NONE, "")                                                          \
    X(readyz, GET, "/readyz", NONE, "")                                                            \
    X(primary, GET, "/primary", NONE, "")                                                          \
    X(standby, GET, "/standby", NONE, "")                                                          \
    X(metrics, GET, "/metrics", VIEWER, "")                                                        \
    X(version, GET, "/v1/version", VIEWER, "")                                                     \
    X(status, GET, "/v1/status", VIEWER, "")                                                       \
    X(events, GET, "/v1/events", VIEWER, "")                                                       \
    X(doctor, GET, "/v1/doctor", VIEWER, "")                                                       \
    X(node_list, GET, "/v1/nodes", VIEWER, "")                                                     \
    X(node_remove, DELETE, "/v1/nodes/{name}", ADMIN, "")                                          \
    X(site_list, GET, "/v1/sites", VIEWER, "")                                                     \
    X(token_list, GET, "/v1/tokens", ADMIN, "")                                                    \
    X(token_create, POST, "/v1/tokens", ADMIN, "")                                                 \
    X(token_revoke, DELETE, "/v1/tokens/{id}", ADMIN, "")                                          \
    X(join, POST, "/v1/join", NONE, "")                                                            \
    X(config_list, GET, "/v1/config", VIEWER, "prefix,site")                                       \
    X(config_write, POST, "/v1/config", OPERATOR, "")                                              \
    X(config_get, GET, "/v1/config/{key...}", VIEWER, "site")                                      \
    X(config_set, PUT, "/v1/config/{key...}", OPERATOR, "site")                                    \
    X(config_delete, DELETE, "/v1/config/{key...}", OPERATOR, "site")                              \
    X(secret_list, GET, "/v1/secrets", VIEWER, "")                                                 \
    X(secret_set, PUT, "/v1/secrets/{name}", OPERATOR, "")                                         \
    X(secret_delete, DELETE, "/v1/secrets/{name}", OPERATOR, "")                                   \
    X(secret_rotate, POST, "/v1/datakey/rotate", OPERATOR, "")                                     \
    X(backup, POST, "/v1/backup", ADMIN, "")                                                       \
    X(history, GET, "/v1/history", VIEWER, "key,after,limit")                                      \
    X(rollback, POST, "/v1/rollback", OPERATOR, "")                                                \
    X(local_list, GET, "/v1/local", VIEWER, "")                                                    \
    X(local_get, GET, "/v1/local/{key...}", VIEWER, "")                                            \
    X(local_set, PUT, "/v1/local/{key...}", OPERATOR, "dry_run")                                   \
    X(local_delete, DELETE, "/v1/local/{key...}", OPERATOR, "")                                    \
    X(explain, GET, "/v1/explain/{key...}", VIEWER, "if_promoted")                                 \
    X(promote, POST, "/v1/promote", OPERATOR, "")                                                  \
    X(promotion_list, GET, "/v1/promotions", VIEWER, "limit")                                      \
    X(promotion_get, GET, "/v1/promotions/{id}", VIEWER, "")                                       \
    X(arbiter_get, GET, "/v1/arbiter", VIEWER, "")                                                 \
    X(arbiter_set, PUT, "/v1/arbiter", ADMIN, "")                                                  \
    X(arbiter_test, POST, "/v1/arbiter/test", OPERATOR, "node")                                    \
    X(why, GET, "/v1/why", VIEWER, "node")                                                         \
    X(ready, GET, "/v1/ready", VIEWER, "site,evidence")                                            \
    X(pause_get, GET, "/v1/pause", VIEWER, "")                                                     \
    X(pause_set, PUT, "/v1/pause", OPERATOR, "")                                                   \
    X(pause_delete, DELETE, "/v1/pause", OPERATOR, "")                                             \
    X(budget, GET, "/v1/budget", VIEWER, "site")                                                   \
    X(check_timeouts, POST, "/v1/check/timeouts", OPERATOR, "")                                    \
    X(setaside_list, GET, "/v1/setaside", VIEWER, "")                                              \
    X(setaside_get, GET, "/v1/setaside/{id}", VIEWER, "")                                          \
    X(setaside_apply, POST, "/v1/setaside/{id}/apply", OPERATOR, "")                               \
    X(setaside_discard, POST, "/v1/setaside/{id}/discard", OPERATOR, "")                           \
    X(connector_list, GET, "/v1/connectors", VIEWER, "")                                           \
    X(connector_get, GET, "/v1/connectors/{name}", VIEWER, "")                                     \
    X(instance_list, GET, "/v1/instances", VIEWER, "status,limit,page_token")                      \
    X(instance_get, GET, "/v1/instances/{name}", VIEWER, "")                                       \
    X(agent_token_list, GET, "/v1/agent/tokens", ADMIN, "")                                        \
    X(agent_token_create, POST, "/v1/agent/tokens", ADMIN, "")                                     \
    X(agent_token_revoke, DELETE, "/v1/agent/tokens/{id}", ADMIN, "")                              \
    X(agent_beat, POST, "/v1/agent/beat", NONE, "")                                                \
    X(agent_leave, POST, "/v1/agent/leave", NONE, "")                                              \
    X(login, POST, "/v1/login", NONE, "")                                                          \
    X(logout, POST, "/v1/logout", VIEWER, "")                                                      \
    X(user_list, GET, "/v1/users", ADMIN, "")                                                      \
    X(user_set, PUT, "/v1/users/{name}", VIEWER, "")                                               \
    X(user_delete, DELETE, "/v1/users/{name}", ADMIN, "")                                          \
    X(peer_state, GET, "/v1/peer/state", NODE, "suspect")                                          \
    X(peer_capture, POST, "/v1/peer/capture", NODE, "")                                            \
    X(peer_freeze, POST, "/v1/peer/freeze", NODE, "")                                              \
    X(peer_thaw, POST, "/v1/peer/thaw", NODE, "")                                                  \
    X(peer_prepare, POST, "/v1/peer/prepare", NODE, "")                                            \
    X(peer_attach, POST, "/v1/peer/attach", NODE, "")                                              \
    X(peer_follow, POST, "/v1/peer/follow", NODE, "")                                              \
    X(peer_deactivate, POST, "/v1/peer/deactivate", NODE, "")                                      \
    X(peer_word, POST, "/v1/peer/word", NODE, "")                                                  \
    X(peer_order, POST, "/v1/peer/order", NODE, "")                                                \
    X(peer_arbiter, POST, "/v1/peer/arbiter", NODE, "")                                            \
    X(peer_arbiter_test, POST, "/v1/peer/arbiter/test", NODE, "")                                  \
    X(peer_why, GET, "/v1/peer/why", NODE, "")                                                     \
    X(peer_ready, GET, "/v1/peer/ready", NODE, "")                                                 \
    X(peer_promotion, GET, "/v1/peer/promotion", NODE, "id")                                       \
    X(peer_log, GET, "/v1/peer/log", NODE, "after,limit")                                          \
    X(peer_match, POST, "/v1/peer/match", NODE, "")                                                \
    X(peer_snapshot, GET, "/v1/peer/snapshot", NODE, "")                                           \
    X(peer_write, POST, "/v1/peer/write", NODE, "")
