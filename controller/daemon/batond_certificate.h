/*
 * batond_certificate.h -- watches the node's own certificate: renews it when two thirds of its life
 * are over, tells the view how many days are left, and hands new material to all who use it,
 * without a restart.
 */
#pragma once

struct batond_certificate;
struct core;
struct managed_config;

/* 'managed' is borrowed and its folder NULL when the database is external. Looks at once, and then
 * every hour. */
struct batond_certificate *batond_certificate_new(struct core *core,
                                                  const struct managed_config *managed);
void batond_certificate_free(struct batond_certificate *certificate);
/* Reads the files again and gives them to the server, the client and PostgreSQL. */
void batond_certificate_reload(struct batond_certificate *certificate);
