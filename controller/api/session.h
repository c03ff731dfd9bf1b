/*
 * session.h -- who is logged in at this node. In memory only: a restart ends all sessions.
 *
 * A session's text has 256 random bits; only its SHA-256 is kept. It ends after idle_ms without
 * use and max_ms after its beginning, and with any change of its user (the row's revision is part
 * of it). Pure: time comes as a value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/own.h"

#define SESSION_COUNT_MAX      1024 /* beyond it the one unused for longest ends */
#define SESSION_USER_COUNT_MAX 32   /* of one user; beyond it that user's oldest ends */
#define SESSION_TEXT_SIZE      44   /* 32 bytes as base64url, with the NUL */
#define SESSION_USER_SIZE      64

struct session {
    uint8_t hash[32];
    char user[SESSION_USER_SIZE];
    uint64_t user_revision;
    uint64_t begun_ms;
    uint64_t used_ms;
};

struct session_limits {
    uint64_t idle_ms; /* session.idle_ms */
    uint64_t max_ms;  /* session.max_ms */
};

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions);
void sessions_begin(struct sessions *sessions, const char *user, uint64_t user_revision,
                    uint64_t now_ms, char ret_text[SESSION_TEXT_SIZE]);
/* The session of a text and marks it as used, borrowed until the next call; NULL when there is none
 * or it has ended. */
const struct session *sessions_find(struct sessions *sessions, const char *text, uint64_t now_ms,
                                    const struct session_limits *limits);
/* The same without marking it. */
const struct session *sessions_look(const struct sessions *sessions, const char *text,
                                    uint64_t now_ms, const struct session_limits *limits);
void sessions_end(struct sessions *sessions, const char *text);
void sessions_end_user(struct sessions *sessions, const char *user);
size_t sessions_count(const struct sessions *sessions);
