/*
 * fencing.h -- is what a connector's drivers change kept from a primary that cannot be stopped?
 * Only what is known counts: a driver that is not known to be fenced is not.
 *
 *     never     nothing compares epochs where it acts           haproxy
 *     always    the driver itself compares, durably, or what    file, dns
 *               it changes does in the same step
 *     told      a person says so in the document                exec
 *     proved    the receiver has proved it, to this node        webhook
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FENCING_TEXT_SIZE 512

enum fencing_kind { FENCING_NEVER, FENCING_ALWAYS, FENCING_TOLD, FENCING_PROVED };

struct fencing_driver {
    const char *name; /* borrowed; "webhook" */
    enum fencing_kind kind;
    bool told;
    bool proved;
};

/* All of them, 'count' at least 1. 'text' is one line for people: "fenced at the resource", or "not
 * fenced at the resource: " and which driver is not. */
bool fencing_judge(const struct fencing_driver *drivers, size_t count,
                   char text[FENCING_TEXT_SIZE]);
