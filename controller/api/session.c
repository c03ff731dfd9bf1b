#include "controller/api/session.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"

struct sessions {
    struct session *list; /* owned, 'count' of 'capacity' */
    size_t count;
    size_t capacity;
};

struct sessions *
sessions_new(void)
{
    return mem_zero(1, sizeof(struct sessions));
}

void
sessions_free(struct sessions *sessions)
{
    if (sessions == NULL)
        return;
    free(sessions->list);
    free(sessions);
}

static void
forget(struct sessions *sessions, size_t at)
{
    sessions->list[at] = sessions->list[--sessions->count];
}

/* The one that was not used for longest, of 'user' or of all; and how many there are. */
static size_t
find_stalest(const struct sessions *sessions, const char *user, size_t *ret_count)
{
    size_t stalest = 0;
    size_t count = 0;
    for (size_t i = 0; i < sessions->count; i++) {
        const struct session *session = &sessions->list[i];
        if (user != NULL && strcmp(session->user, user) != 0)
            continue;
        if (count++ == 0 || session->used_ms < sessions->list[stalest].used_ms)
            stalest = i;
    }
    *ret_count = count;
    return stalest;
}

void
sessions_begin(struct sessions *sessions, const char *user, uint64_t user_revision, uint64_t now_ms,
               char ret_text[SESSION_TEXT_SIZE])
{
    size_t count;
    size_t stalest = find_stalest(sessions, user, &count);
    if (count >= SESSION_USER_COUNT_MAX)
        forget(sessions, stalest);
    stalest = find_stalest(sessions, NULL, &count);
    if (count >= SESSION_COUNT_MAX)
        forget(sessions, stalest);
    if (sessions->count == sessions->capacity) {
        sessions->capacity = sessions->capacity == 0 ? 16 : sessions->capacity * 2;
        sessions->list = mem_grow(sessions->list, sessions->capacity, sizeof(struct session));
    }

    uint8_t random[32];
    cert_random(random, sizeof random);
    CLEANUP(freep) char *text = str_base64url(random, sizeof random);
    ASSERT(str_copy(ret_text, SESSION_TEXT_SIZE, text));
    struct session *session = &sessions->list[sessions->count++];
    *session =
        (struct session){ .user_revision = user_revision, .begun_ms = now_ms, .used_ms = now_ms };
    ASSERT(str_copy(session->user, sizeof session->user, user));
    SHA256((const uint8_t *)ret_text, strlen(ret_text), session->hash);
}

/* 'count' of the list when there is none. Comparing hashes tells nothing about the text. */
static size_t
find(const struct sessions *sessions, const char *text)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)text, strlen(text), hash);
    size_t at = 0;
    while (at < sessions->count && memcmp(sessions->list[at].hash, hash, sizeof hash) != 0)
        at++;
    return at;
}

static bool
has_ended(const struct session *session, uint64_t now_ms, const struct session_limits *limits)
{
    return now_ms - session->used_ms >= limits->idle_ms ||
           now_ms - session->begun_ms >= limits->max_ms;
}

const struct session *
sessions_look(const struct sessions *sessions, const char *text, uint64_t now_ms,
              const struct session_limits *limits)
{
    size_t at = find(sessions, text);
    if (at == sessions->count || has_ended(&sessions->list[at], now_ms, limits))
        return NULL;
    return &sessions->list[at];
}

const struct session *
sessions_find(struct sessions *sessions, const char *text, uint64_t now_ms,
              const struct session_limits *limits)
{
    size_t at = find(sessions, text);
    if (at == sessions->count)
        return NULL;
    struct session *session = &sessions->list[at];
    if (has_ended(session, now_ms, limits)) {
        forget(sessions, at);
        return NULL;
    }
    session->used_ms = now_ms;
    return session;
}

void
sessions_end(struct sessions *sessions, const char *text)
{
    size_t at = find(sessions, text);
    if (at < sessions->count)
        forget(sessions, at);
}

void
sessions_end_user(struct sessions *sessions, const char *user)
{
    for (size_t i = sessions->count; i-- > 0;) {
        if (strcmp(sessions->list[i].user, user) == 0)
            forget(sessions, i);
    }
}

size_t
sessions_count(const struct sessions *sessions)
{
    return sessions->count;
}
