/*
 * metrics.h -- text format of Prometheus (0.0.4): a family with HELP and TYPE, then its samples.
 *
 *     metrics_family(text, "baton_revision", METRICS_GAUGE, "Revision of the log on this node.");
 *     metrics_sample(text, "baton_revision", 42, NULL);
 *     metrics_sample(text, "baton_member_up", 1, "node", "east-1", NULL);
 */
#pragma once

#include "controller/base/buf.h"

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_SUMMARY };

void metrics_family(struct buf *text, const char *name, enum metrics_type type, const char *help);
/* Pairs of label name and value, then NULL; values may be anything and are escaped. */
void metrics_sample(struct buf *text, const char *name, double value, ...)
    __attribute__((sentinel));
/* Family and its one sample without labels. */
void metrics_one(struct buf *text, const char *name, enum metrics_type type, double value,
                 const char *help);
