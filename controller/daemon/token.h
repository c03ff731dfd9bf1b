/*
 * token.h -- what `baton token create` prints and `baton join` takes: who the cluster is, where it
 * is reached, how its CA is recognised, and a secret that works once. And what `baton connector
 * token create` prints for `baton agent`: the same for a connector instead of a site, with a secret
 * that works until it is revoked (A3). Neither is taken for the other.
 *
 *     "baton1." base64url({"cluster","cluster_id","site","host"?,"id","secret","addresses","pin"})
 *     "batona1." base64url({"cluster","cluster_id","connector","id","secret","addresses","pin"})
 *
 * The database keeps SHA-256 of the secret: it has 256 random bits, so there is nothing to guess.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/loop/cert.h"

#define TOKEN_PREFIX        "baton1."
#define TOKEN_AGENT_PREFIX  "batona1."
#define TOKEN_TEXT_SIZE_MAX 8192
#define TOKEN_ID_SIZE       17 /* 8 random bytes, hexadecimal */
#define TOKEN_SECRET_SIZE   65 /* 32 random bytes, hexadecimal */
#define TOKEN_HASH_SIZE     65 /* SHA-256 of the secret's bytes, hexadecimal */
#define TOKEN_ADDRESSES_MAX 16

struct token {
    char *cluster;    /* owned */
    char *cluster_id; /* owned */
    char *site;       /* owned; NULL in an agent's */
    char *connector;  /* owned; NULL in one for joining */
    char *host;       /* owned; the only one that may join; NULL: any */
    char id[TOKEN_ID_SIZE];
    char secret[TOKEN_SECRET_SIZE];
    char *addresses[TOKEN_ADDRESSES_MAX]; /* owned; HOST:PORT */
    size_t address_count;
    uint8_t pin[CERT_PIN_SIZE]; /* of the CA */
};

/* Fills id and secret. */
void token_draw(struct token *token);
void token_done(struct token *token); /* wipes the secret */
/* The caller's, secret. */
char *token_encode(const struct token *token);
/* ERR_INVALID, slug "token": what is wrong; never the token itself. */
MUST_CHECK enum err_code token_decode(const char *text, struct token *ret_token, struct err *err);
/* The same for one of an agent. */
MUST_CHECK enum err_code token_decode_agent(const char *text, struct token *ret_token,
                                            struct err *err);
/* What the database keeps. False when 'secret' is not 64 hexadecimal digits. */
MUST_CHECK bool token_hash(const char *secret, char ret_hash[TOKEN_HASH_SIZE]);
/* Constant time. */
bool token_matches(const char *secret, const char *hash);
