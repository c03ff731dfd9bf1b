/*
 * show.h -- the API's documents as a tired person reads them: the verdict first, then why.
 *
 * A document is never trusted to be complete. What is missing, null, or of another type reads as
 * unknown, and unknown is never green and never counted as well.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "controller/cli/table.h"

/* One screen: verdict, primary, durability, nodes, connectors, alarms. */
void show_status(const struct table_look *look, struct json_object *status);
/* "ok", or the gravest thing that is wrong; what show_status() says first. */
struct show_verdict {
    enum table_tone tone;
    char text[256];
};
struct show_verdict show_status_verdict(struct json_object *status);

void show_nodes(const struct table_look *look, struct json_object *list);
void show_sites(const struct table_look *look, struct json_object *list);
void show_connectors(const struct table_look *look, struct json_object *list);
void show_connector(const struct table_look *look, struct json_object *detail);
/* All connectors with instances; one of them; the line of show_status(). */
void show_instances(const struct table_look *look, struct json_object *list);
void show_instances_of(const struct table_look *look, struct json_object *connector);
void show_instance_line(const struct table_look *look, struct json_object *status);
void show_agent_tokens(const struct table_look *look, struct json_object *list);
void show_doctor(const struct table_look *look, struct json_object *doctor);

/* The plan of a dry run. */
void show_plan(const struct table_look *look, struct json_object *plan);
/* A whole promotion: headline, who and why, timeline. */
void show_promotion(const struct table_look *look, struct json_object *promotion);
/* How it ended, without the steps. */
void show_promotion_end(const struct table_look *look, struct json_object *promotion);
void show_promotions(const struct table_look *look, struct json_object *list);
/* One step of it in one line. */
void show_step(const struct table_look *look, struct json_object *step);

void show_explain(const struct table_look *look, struct json_object *explain);
void show_entries(const struct table_look *look, struct json_object *list);
void show_history(const struct table_look *look, struct json_object *history);
/* [{"site","key","value"|"delete"}] beside what holds now ('entries' of GET /v1/config, or NULL).
 */
void show_changes(const struct table_look *look, struct json_object *changes,
                  struct json_object *entries);
/* One line for one row of the log, for a watcher. */
void show_row(const struct table_look *look, struct json_object *row);
/* Names, keys and users of the secrets; there is nothing else to show. */
void show_secrets(const struct table_look *look, struct json_object *document);
void show_local(const struct table_look *look, struct json_object *list);
void show_tokens(const struct table_look *look, struct json_object *list);
void show_users(const struct table_look *look, struct json_object *list);
void show_setaside_list(const struct table_look *look, struct json_object *list);
void show_setaside(const struct table_look *look, struct json_object *batch);

void show_arbiter(const struct table_look *look, struct json_object *arbiter);
void show_arbiter_tested(const struct table_look *look, struct json_object *tested);
/* Of each node what decides, or every rule of the one that was asked for. */
void show_why(const struct table_look *look, struct json_object *list);
void show_why_one(const struct table_look *look, struct json_object *list);
/* Verdicts, reasons, and what was proved of each server. */
void show_ready(const struct table_look *look, struct json_object *document);
/* Of who would become primary; nothing where the plan does not tell it. */
void show_plan_ready(const struct table_look *look, struct json_object *plan);
void show_pause(const struct table_look *look, struct json_object *pause);
void show_budget(const struct table_look *look, struct json_object *budget);
void show_timeouts(const struct table_look *look, struct json_object *check);
