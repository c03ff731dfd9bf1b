/*
 * sign_inner.h -- what the two sides of a signature share: the text that is signed.
 */
#pragma once

#include "controller/activation/sign.h"
#include "controller/loop/digest.h"

void sign_base_add(struct buf *base, const char *name, const char *value);
/* Ends the text with the parameters, as they stand in Signature-Input, and signs it. */
void sign_base_mac(const struct sign_key *key, struct buf *base, const char *parameters,
                   uint8_t ret_mac[DIGEST_SIZE]);
