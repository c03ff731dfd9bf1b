/*
 * dns.h -- what a name server has to be told so that a record leads to the server in use, as text
 * for dig and nsupdate: pure. action_dns.c runs the two.
 *
 *     dig says: TXT of _baton.NAME, and NAME --dns_read()--> dns_plan() --> nsupdate:
 *         prereq yxrrset _baton.NAME. IN TXT "3:west-1:main"    what we read, or nxrrset: nothing
 *         update _baton.NAME. TXT "4:east-1:alternate"          our epoch
 *         update NAME. A 192.0.2.2
 *
 * I10  An update is atomic and its prerequisites are looked at by the name server (RFC 2136 3.2,
 *      3.7): a node that read before a later epoch wrote is refused by the name server itself, and
 *      one that reads afterwards refuses itself. So driver dns is fenced at the resource, against
 *      whoever uses Baton. Whoever else has the key can do as he likes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "sites/connector.h"
#include "sites/effective.h"
#include "sites/epoch.h"

#define DNS_VALUE_SIZE 256
#define DNS_NAME_SIZE  (CONNECTOR_DNS_NAME_MAX + 16)

struct dns_goal {
    const struct connector_dns *options; /* borrowed */
    enum effective_server server;        /* MAIN, ALTERNATE or NONE */
    const char *value;                   /* of the record; not looked at for NONE */
    struct epoch epoch;
};

struct dns_view {
    char mark[DNS_VALUE_SIZE];  /* "3:west-1:main"; "" for none */
    struct epoch epoch;         /* of the mark */
    char value[DNS_VALUE_SIZE]; /* of the record; "" for none */
    unsigned value_count;       /* records of the type at that name */
};

struct dns_plan {
    bool refused;   /* a later epoch was here */
    bool different; /* the record was not as it has to be */
    struct buf script;
};

/* "_baton.NAME." and "NAME." */
void dns_mark_name(const struct connector_dns *options, char to[DNS_NAME_SIZE]);
void dns_record_name(const struct connector_dns *options, char to[DNS_NAME_SIZE]);
/* Takes "HOST[:PORT]" apart. */
void dns_server(const char *text, char host[CONNECTOR_HOST_SIZE], char port[8]);

/*
 * Reads what dig printed with +noall +comments +answer. ERR_UNAVAILABLE: the name server refuses or
 * fails. ERR_CONFLICT: what stands at _baton.NAME is not Baton's. Each with its mend.
 */
MUST_CHECK enum err_code dns_read(const char *output, const struct connector_dns *options,
                                  struct dns_view *ret_view, struct err *err);
/* An empty script: nothing to do. buf_done(&script) is the caller's. */
struct dns_plan dns_plan(const struct dns_view *view, const struct dns_goal *goal);
